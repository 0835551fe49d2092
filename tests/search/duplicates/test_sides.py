import os
from pathlib import Path

import pytest

from indexer.errors import FolderMissing, UsageError
from indexer.pipeline import IndexSettings, index_folders
from search.duplicates.sides import read_side

from .photos import photo


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


def test_a_list_holds_nothing_else(folder: Path) -> None:
    (folder / "list.txt").write_text("a.jpg\n")
    side = read_side(folder / "list.txt")
    assert [side.holds(folder / name) for name in ("a.jpg", "sub/b.jpg")] == [True, False]


@pytest.mark.parametrize("name", [".sightline", "photos.library"])
def test_a_library_by_any_name_stands_for_the_files_it_holds(name: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    photo("coffee", 100).save(tmp_path / "in/a.png")
    index_folders(tmp_path / name, [tmp_path / "in"], IndexSettings(model="builtin", workers=1))
    (tmp_path / "in/new.png").touch()
    assert read_side(tmp_path / name).files == {tmp_path / "in/a.png"}


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


def test_a_list_may_begin_with_a_byte_order_mark(folder: Path) -> None:
    (folder / "list.txt").write_text("a.jpg\n", encoding="utf-8-sig")
    assert read_side(folder / "list.txt").files == {folder / "a.jpg"}


@pytest.mark.parametrize("order", ["le", "be"])
def test_a_list_may_be_in_utf_16_as_powershell_writes_it(order: str, folder: Path) -> None:
    (folder / "Zoë\u2028.jpg").touch()
    text = "\ufeffa.jpg\r\nZoë\u2028.jpg\r\n"
    (folder / "list.txt").write_bytes(text.encode(f"utf-16-{order}"))
    assert read_side(folder / "list.txt").files == {folder / "a.jpg", folder / "Zoë\u2028.jpg"}


def test_a_list_in_half_a_letter_of_utf_16_is_refused(folder: Path) -> None:
    (folder / "list.txt").write_bytes("\ufeffa.jpg".encode("utf-16-le") + b"\n")
    with pytest.raises(UsageError, match="in UTF-8"):
        read_side(folder / "list.txt")


def test_a_list_in_other_letters_is_refused_where_names_must_be_utf_8(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "list.txt").write_bytes("Zoë.jpg\n".encode("latin-1"))
    monkeypatch.setattr(os, "fsdecode", bytes.decode)  # as on Windows
    with pytest.raises(UsageError, match="in UTF-8"):
        read_side(folder / "list.txt")


def test_a_line_that_is_too_long_for_a_name_is_refused_and_cut(folder: Path) -> None:
    (folder / "list.txt").write_text("a.jpg\n" + "x" * 5_000)
    with pytest.raises(UsageError, match=r"too long for a file name: x{200}…"):
        read_side(folder / "list.txt")


def test_a_name_that_is_too_long_is_no_folder(folder: Path) -> None:
    with pytest.raises(FolderMissing):
        read_side(folder / ("x" * 300))


def test_a_folder_behind_a_link_holds_what_indexing_finds_there(folder: Path) -> None:
    (folder / "link").symlink_to("sub")
    assert read_side(folder / "link").holds(folder / "sub/b.jpg")


def test_a_listed_file_behind_a_link_is_the_one_that_indexing_finds(folder: Path) -> None:
    (folder / "link").symlink_to("sub")
    (folder / "list.txt").write_text("link/b.jpg\n")
    assert read_side(folder / "list.txt").files == {folder / "sub/b.jpg"}


def test_a_line_of_a_binary_file_is_shown_without_what_steers_a_terminal(folder: Path) -> None:
    (folder / "list").write_bytes(b"\x1b\xff" * 5_000)
    with pytest.raises(UsageError, match=r"name: \?{200}…"):
        read_side(folder / "list")
