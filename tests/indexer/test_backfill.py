import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from indexer import backfill
from indexer.backfill import fill_features
from indexer.errors import LibraryBusy
from indexer.features import local_features
from indexer.pipeline import IndexSettings, index_folders
from indexer.store.files import catalog_file
from indexer.store.library import open_for_writing, open_library
from indexer.store.writer import LibraryWriter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("coffee", "rocket"):
        Image.fromarray(getattr(skimage.data, name)()).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def library(folder: Path, tmp_path: Path) -> Path:
    """Make a library as an older program left it: without local features."""
    place = tmp_path / "library"
    index_folders(place, [folder], IndexSettings(model="builtin", device="cpu", workers=1))
    with closing(sqlite3.connect(catalog_file(place))) as connection:
        connection.execute("DELETE FROM local_feature")
        connection.commit()
    return place


def test_indexing_stores_the_marks_of_every_picture(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "library"
    index_folders(place, [folder], IndexSettings(model="builtin", device="cpu", workers=1))
    with open_library(place) as reader:
        ids, counts, marks = reader.local_features()
        images = reader.images(ids.tolist())
    assert [images[id][0].path.name for id in ids.tolist()] == ["coffee.png", "rocket.png"]
    coffee = local_features(Image.open(folder / "coffee.png").convert("RGB"))
    assert (marks[: counts[0]] == coffee).mean() > 0.9


def test_what_is_missing_is_taken_down_once(library: Path) -> None:
    assert fill_features(library) == 0
    with open_library(library) as reader:
        assert len(reader.local_features()[0]) == 2
        assert len(reader.without_features()) == 0


def test_a_file_that_holds_another_picture_by_now_gives_no_marks(library: Path, folder: Path) -> None:
    Image.open(folder / "rocket.png").crop((50, 50, 300, 300)).save(folder / "coffee.png")
    assert fill_features(library) == 1


def test_pictures_that_are_gone_are_counted_and_the_others_stored(library: Path, folder: Path) -> None:
    (folder / "coffee.png").unlink()
    assert fill_features(library) == 1
    with open_library(library) as reader:
        assert len(reader.local_features()[0]) == 1


def test_a_library_in_use_is_left_alone(library: Path) -> None:
    with open_for_writing(library, create=False), pytest.raises(LibraryBusy):
        fill_features(library)


def test_a_picture_that_is_forgotten_meanwhile_is_left_out(
    library: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget_first(place: Path, *, create: bool) -> LibraryWriter:
        with open_for_writing(place, create=create) as writer:
            writer.forget(folder / "coffee.png")
        return open_for_writing(place, create=create)

    monkeypatch.setattr(backfill, "open_for_writing", forget_first)
    fill_features(library)
    with open_library(library) as reader:
        assert len(reader.local_features()[0]) == 1


def test_a_complete_library_needs_no_writer(library: Path) -> None:
    fill_features(library)
    with open_for_writing(library, create=False):
        assert fill_features(library) == 0
