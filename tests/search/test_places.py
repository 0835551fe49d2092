from pathlib import Path

import pytest

from indexer.paths import identity_of
from indexer.store.library import open_for_writing, open_library
from search.places import place_of

from ..indexer.store.making import make_card, make_file, make_library, scan


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Give the root of a library that has pictures in its folders 0 to 9."""
    root = tmp_path / "photos"
    for number in range(10):
        (root / f"{number}").mkdir(parents=True)
    make_library(root, publish=False)
    return root


def place(photos: Path, folder: Path) -> Path:
    with open_library(photos / ".sightline") as reader:
        return place_of(reader, folder)


def test_a_link_to_a_folder_of_the_library_is_that_folder(photos: Path) -> None:
    (photos / "link").symlink_to("3")
    assert place(photos, photos / "link") == photos / "3"


def test_a_link_that_pictures_are_known_by_keeps_its_name(photos: Path, tmp_path: Path) -> None:
    (photos / "3").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (photos / "3").symlink_to(tmp_path / "elsewhere")
    assert place(photos, photos / "3") == photos / "3"


def test_a_folder_that_counts_from_a_root_may_be_a_link_too(photos: Path) -> None:
    (photos / "link").symlink_to("3")
    assert place(photos, Path("link")) == photos / "3"


def test_a_link_to_a_file_is_not_that_file(photos: Path) -> None:
    (photos / "3/3.jpg").touch()
    (photos / "link.jpg").symlink_to("3/3.jpg")
    assert place(photos, photos / "link.jpg") == photos / "link.jpg"


def test_a_folder_by_another_name_that_the_disk_has_for_it_is_found(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of one that is mounted twice, or on a disk that does not tell capitals from small letters."""
    other = photos.parent / "mounted"
    (other / "3").mkdir(parents=True)

    def identity(path: Path) -> tuple[int, int] | None:
        return identity_of(photos / path.relative_to(other) if path.is_relative_to(other) else path)

    monkeypatch.setattr("indexer.store.folders.identity_of", identity)
    assert place(photos, other / "3") == photos / "3"


def test_a_folder_without_pictures_keeps_its_name(photos: Path) -> None:
    (photos / "empty").mkdir()
    (photos / "link").symlink_to("empty")
    with open_library(photos / ".sightline") as reader:
        assert not reader.has_images(photos / "empty")
        assert place_of(reader, photos / "link") == photos / "link"


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """Give a folder with a library in root, of which pics leads to the folder real beside it."""
    root = tmp_path / "root"
    for number in range(10):
        (tmp_path / f"real/{number}").mkdir(parents=True)
    root.mkdir()
    (root / "pics").symlink_to("../real")
    with open_for_writing(root / ".sightline", create=True) as writer:
        files = {make_file(root, f"pics/{number}/{number}.jpg"): f"{number}" for number in range(10)}
        scan(writer, writer.use_encoder(make_card()), files, root)
    return tmp_path


@pytest.mark.parametrize(("named", "known"), [("real", "pics"), ("real/3", "pics/3"), ("root/b", "pics/3")])
def test_a_folder_that_the_library_reached_by_a_link_is_found_by_its_other_names(
    linked: Path, named: str, known: str
) -> None:
    (linked / "root/b").symlink_to("../real/3")
    assert place(linked / "root", linked / named) == linked / "root" / known
