from pathlib import Path

import pytest

from indexer.errors import LibraryMissing
from indexer.store.library import open_for_writing
from indexer.store.lookup import files_named, roots_of

from .making import make_card, make_file, scan


def make_named(folder: Path, *relative: str) -> Path:
    library = folder / ".sightline"
    with open_for_writing(library, create=True) as writer:
        scan(writer, writer.use_encoder(make_card()), {make_file(folder, name): name for name in relative})
    return library


def test_the_folders_of_a_library_are_told_as_they_stand(tmp_path: Path) -> None:
    library = make_named(tmp_path / "photos", "a.jpg")
    with open_for_writing(library, create=False) as writer:
        writer.use_root(tmp_path / "phone")
    assert set(roots_of(library)) == {tmp_path / "photos", tmp_path / "phone"}


def test_a_file_is_found_by_its_name_in_any_folder_and_with_any_capitals(tmp_path: Path) -> None:
    library = make_named(tmp_path, "phone/2019/img_1.JPG", "IMG_1.jpg", "imgX1.jpg", "myimg_1.jpg")
    assert files_named(library, "img_1.jpg") == [tmp_path / "IMG_1.jpg", tmp_path / "phone/2019/img_1.JPG"]


@pytest.mark.parametrize("name", ["100%.jpg", "a\\b.jpg", "caf\udce9.jpg"])
def test_signs_of_a_name_stand_for_themselves(tmp_path: Path, name: str) -> None:
    library = make_named(tmp_path, f"sub/{name}", "other.jpg", "100 more.jpg")
    assert files_named(library, name) == [tmp_path / "sub" / name]


def test_what_no_name_can_be_is_not_looked_for(tmp_path: Path) -> None:
    assert files_named(make_named(tmp_path, "a.jpg"), "x" * 60_000) == []


def test_a_library_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(LibraryMissing):
        roots_of(tmp_path / ".sightline")
