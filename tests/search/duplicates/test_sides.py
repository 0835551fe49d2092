from pathlib import Path

import pytest

from indexer.errors import FolderMissing, UsageError
from search.duplicates.sides import read_side


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "sub/b.jpg", ".hidden/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_holds_what_is_below_it(folder: Path) -> None:
    side = read_side(folder / "sub")
    assert side.holds(folder / "sub/b.jpg")
    assert not side.holds(folder / "a.jpg")


def test_a_list_holds_its_files_by_paths_relative_to_it(folder: Path) -> None:
    (folder / "list.txt").write_text("a.jpg\n\nsub/../sub/b.jpg\n")
    side = read_side(folder / "list.txt")
    assert side.files == {folder / "a.jpg", folder / "sub/b.jpg"}
    assert side.folders == (folder,)


def test_a_file_that_is_listed_twice_is_not_missing(folder: Path) -> None:
    (folder / "list.txt").write_text("a.jpg\na.jpg\ngone.jpg\n")
    assert read_side(folder / "list.txt").missing == 1


def test_names_with_newlines_are_listed_with_zero_bytes(folder: Path) -> None:
    (folder / "two\nlines.jpg").touch()
    (folder / "list").write_bytes(b"two\nlines.jpg\0a.jpg\0")
    assert read_side(folder / "list").files == {folder / "two\nlines.jpg", folder / "a.jpg"}


def test_a_list_without_a_file_is_refused(folder: Path) -> None:
    (folder / "list.txt").write_text("gone.jpg\n")
    with pytest.raises(UsageError, match="names no file"):
        read_side(folder / "list.txt")


def test_what_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(FolderMissing):
        read_side(folder / "nowhere")
