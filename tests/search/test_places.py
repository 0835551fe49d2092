from pathlib import Path

import pytest

from indexer.store.library import open_library
from search.places import has_images, place_of

from ..indexer.store.making import make_library


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


def test_a_folder_without_pictures_keeps_its_name(photos: Path) -> None:
    (photos / "empty").mkdir()
    (photos / "link").symlink_to("empty")
    with open_library(photos / ".sightline") as reader:
        assert not has_images(reader, photos / "empty")
        assert place_of(reader, photos / "link") == photos / "link"
