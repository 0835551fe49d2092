import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from indexer.errors import CatalogDamaged, FolderMissing, LibraryBusy, LibraryMissing, UsageError
from indexer.store.library import open_for_writing
from sightline.places import as_library, library_nearby, library_to_read, library_to_write, normal
from tests.indexer.store.test_disk import mounted


def make_library(folder: Path) -> Path:
    library = folder / ".sightline"
    library.mkdir(parents=True)
    (library / "catalog.sqlite").touch()
    return library


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Give a folder with two of pictures in it, and no library."""
    folder = tmp_path / "photos"
    for name in ("albums", "phone"):
        (folder / name).mkdir(parents=True)
    return folder


def test_a_library_is_named_by_itself_or_by_its_folder(tmp_path: Path):
    library = make_library(tmp_path)
    assert as_library(tmp_path) == as_library(library) == library


def test_a_new_place_becomes_the_library_and_a_folder_of_images_gets_one_inside(tmp_path: Path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    (tmp_path / "empty").mkdir()
    assert as_library(tmp_path / "new") == tmp_path / "new"
    assert as_library(tmp_path / "empty") == tmp_path / "empty"
    assert as_library(tmp_path / "photos") == tmp_path / "photos" / ".sightline"


def test_what_a_killed_run_left_is_still_the_same_place(tmp_path: Path):
    for file in ("lock", "lock.json", "catalog.sqlite-wal"):
        (tmp_path / file).touch()
    for folder in ("vectors", "backups", "actions"):
        (tmp_path / folder).mkdir()
    assert as_library(tmp_path) == tmp_path


def test_a_folder_by_the_name_of_libraries_is_one_whatever_lies_in_it(tmp_path: Path):
    (tmp_path / ".sightline").mkdir()
    (tmp_path / ".sightline" / ".DS_Store").touch()
    assert as_library(tmp_path / ".sightline") == tmp_path / ".sightline"


def test_option_wins_over_variable_wins_over_the_current_folder(tmp_path: Path):
    one, two, three = (make_library(tmp_path / name) for name in ("one", "two", "three"))
    environ = {"SIGHTLINE_LIBRARY": str(two)}
    assert library_to_read(tmp_path / "one", environ, tmp_path / "three") == one
    assert library_to_read(None, environ, tmp_path / "three") == two
    assert library_to_read(None, {"SIGHTLINE_LIBRARY": ""}, tmp_path / "three") == three


def test_a_library_that_was_named_but_is_not_there_is_missing(tmp_path: Path):
    make_library(tmp_path)
    with pytest.raises(LibraryMissing):
        library_to_read(tmp_path / "nowhere", {}, tmp_path)
    with pytest.raises(LibraryMissing):
        library_to_read(None, {"SIGHTLINE_LIBRARY": "/nowhere"}, tmp_path)


def test_indexing_uses_the_library_above_or_makes_one_in_the_folder(tmp_path: Path):
    library = make_library(tmp_path / "pictures")
    (tmp_path / "pictures" / "2023").mkdir()
    (tmp_path / "other").mkdir()
    assert library_to_write(None, {}, tmp_path, [tmp_path / "pictures" / "2023"]) == library
    assert library_to_write(None, {}, tmp_path, [tmp_path / "other"]) == tmp_path / "other" / ".sightline"
    assert library_to_write(tmp_path / "lib", {}, tmp_path, [tmp_path / "other"]) == tmp_path / "lib"


def test_several_folders_go_to_the_library_they_share_or_that_of_the_current_folder(tmp_path: Path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with pytest.raises(UsageError, match="--library"):
        library_to_write(None, {}, tmp_path, folders)
    library = make_library(tmp_path)
    assert library_to_write(None, {}, Path("/"), folders) == library


def test_of_several_folders_a_library_that_has_but_one_takes_not_all(tmp_path: Path):
    make_library(tmp_path / "pictures")
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match="--library"):
        library_to_write(None, {}, tmp_path, [tmp_path / "pictures", tmp_path / "other"])


def test_a_missing_folder_is_told_first(tmp_path: Path):
    with pytest.raises(FolderMissing):
        library_to_write(None, {}, tmp_path, [tmp_path / "gone"])


def test_a_library_of_a_user_who_is_none_is_told(tmp_path: Path):
    with pytest.raises(UsageError, match="no such user as ~nouser"):
        library_to_read(None, {"SIGHTLINE_LIBRARY": "~nouser/photos"}, tmp_path)


def test_the_current_folder_is_asked_for_only_when_no_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    library = make_library(tmp_path)

    def deleted() -> Path:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "cwd", deleted)
    assert library_to_read(library, {}) == library
    with pytest.raises(FolderMissing, match="/home/ada/gone: no such folder"):
        library_to_read(None, {"PWD": "/home/ada/gone"})


def test_a_search_above_the_indexed_folder_is_told_where_the_library_is(tmp_path: Path):
    make_library(tmp_path / "Summer 2019")
    with pytest.raises(LibraryMissing) as raised:
        library_to_read(None, {}, tmp_path)
    assert str(raised.value) == (
        f"no library at or above {tmp_path}; there is one in 'Summer 2019': cd 'Summer 2019', "
        "or add --library 'Summer 2019'"
    )


@pytest.mark.parametrize("folder", ["", "..", "/"])
def test_the_home_folder_and_what_is_above_it_are_not_proposed_to_be_indexed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert str(LibraryMissing(tmp_path / folder, searched=True)).endswith(
        "cd to an indexed folder, or name it with --library FOLDER, or make one with: sightline index FOLDER"
    )


def test_of_a_named_folder_without_a_library_the_one_above_is_told(tmp_path: Path):
    make_library(tmp_path)
    (tmp_path / "2019").mkdir()
    with pytest.raises(LibraryMissing) as raised:
        library_to_read(tmp_path / "2019", {}, tmp_path)
    assert str(raised.value) == (
        f"no library in {tmp_path / '2019'}, which --library names; one lies above it: --library {tmp_path}"
    )


def test_a_folder_that_the_current_library_has_is_indexed_into_it(photos: Path):
    library = photos / "albums" / ".sightline"
    with open_for_writing(library, create=True) as writer:
        writer.use_root(photos / "phone")
    (photos / "phone" / "2019").mkdir()
    assert library_to_write(None, {}, photos / "albums", [photos / "phone"]) == library
    assert library_to_write(None, {}, photos / "albums", [photos / "phone" / "2019"]) == library


def test_a_folder_that_the_current_library_has_not_gets_its_own_and_that_is_said(photos: Path):
    with open_for_writing(photos / "albums" / ".sightline", create=True) as writer:
        writer.use_root(photos / "albums")
    said: list[str] = []
    own = library_to_write(None, {}, photos / "albums", [photos / "phone"], notify=said.append)
    assert own == photos / "phone" / ".sightline"
    assert said == [
        f"making a new library in {photos / 'phone'}; --library {photos / 'albums'} adds it to the one of "
        "the current folder"
    ]


def test_a_new_library_above_or_below_another_is_said(photos: Path):
    make_library(photos / "albums")
    (photos / "albums" / "2019").mkdir()
    said: list[str] = []
    library_to_write(None, {}, photos, [photos], notify=said.append)
    library_to_write(photos / "albums" / "2019", {}, photos, [photos / "phone"], notify=said.append)
    assert [line.partition(",")[2] for line in said] == [
        f" above that of {photos / 'albums'}; each of them is searched by itself",
        f" below that of {photos / 'albums'}; each of them is searched by itself",
    ]


def test_a_name_that_the_shell_split_is_put_together(photos: Path, monkeypatch: pytest.MonkeyPatch):
    (photos / "from phone").mkdir()
    monkeypatch.chdir(photos)
    with pytest.raises(FolderMissing, match=r"did you forget quotes\? 'from phone'$"):
        library_to_write(None, {}, photos, [Path("from"), Path("phone")])


def test_the_library_of_a_folder_named_by_dots_is_told_without_them(photos: Path):
    assert library_to_write(None, {}, photos, [photos / "phone" / ".."]) == photos / ".sightline"
    assert as_library(photos / "phone" / ".." / "new") == photos / "new"


def test_dots_after_a_link_lead_where_the_system_goes(photos: Path, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "link").symlink_to(photos / "phone")
    assert normal(elsewhere / "link" / "..") == photos


def test_what_stands_behind_the_dots_keeps_its_name(photos: Path, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link").symlink_to(photos / "phone")
    (photos / "latest").symlink_to("albums")
    for name in ("latest", "gone.jpg"):
        assert normal(tmp_path / "elsewhere" / "link" / ".." / name) == photos / name


def test_a_damaged_library_that_may_cover_the_folder_is_told(photos: Path):
    library = make_library(photos / "albums")
    (library / "catalog.sqlite").write_bytes(b"no catalog, but of some length" * 100)
    with pytest.raises(CatalogDamaged):
        library_to_write(None, {}, photos / "albums", [photos / "phone"])


def test_a_locked_library_that_may_cover_the_folder_is_told(photos: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("indexer.store.opening.BUSY_SECONDS", 0.1)
    library = photos / "albums" / ".sightline"
    with open_for_writing(library, create=True) as writer:
        writer.use_root(photos / "phone")
    with closing(sqlite3.connect(library / "catalog.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LibraryBusy):
            library_to_write(None, {}, photos / "albums", [photos / "phone"])


def test_a_folder_that_the_current_library_has_is_known_by_another_mount(photos: Path, tmp_path: Path):
    library = photos / "albums" / ".sightline"
    with open_for_writing(library, create=True) as writer:
        writer.use_root(photos / "phone")
    (photos / "phone" / "2019").mkdir()
    with mounted(tmp_path / "bound", "--bind", str(photos / "phone")) as bound:
        assert library_to_write(None, {}, photos / "albums", [bound / "2019"]) == library


@pytest.mark.parametrize("environ", [{}, {"SIGHTLINE_LIBRARY": "gone"}])
def test_without_folders_no_library_is_said_to_be_made(photos: Path, environ: dict[str, str]):
    said: list[str] = []
    named = {name: str(photos / value) for name, value in environ.items()}
    option = None if named else photos / "gone"
    make_library(photos)
    with pytest.raises(LibraryMissing, match=f"which {'SIGHTLINE_LIBRARY' if named else '--library'} names"):
        library_to_write(option, named, photos, [], notify=said.append)
    assert said == []


def test_among_many_files_only_folders_are_looked_into_for_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for number in range(20):
        (tmp_path / f"{number}.jpg").touch()
    asked: list[str] = []
    real_stat = os.stat

    def stat(path: str | Path, **options: bool) -> os.stat_result:
        asked.append(str(path))
        return real_stat(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    with pytest.raises(LibraryMissing):
        library_to_read(None, {}, tmp_path)
    assert not [path for path in asked if ".jpg" in path]


def test_not_every_folder_of_many_is_looked_into_for_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sightline.places.ENTRIES_MAX", 3)
    for number in range(10):
        make_library(tmp_path / f"{number}")
    monkeypatch.setattr("sightline.places.BELOW_MAX", 10)
    with pytest.raises(LibraryMissing) as raised:
        library_to_read(None, {}, tmp_path)
    assert len(raised.value.below) == 3


def test_the_library_nearby_is_found_without_a_look_at_the_folders_below(
    photos: Path, monkeypatch: pytest.MonkeyPatch
):
    def scandir(folder: Path) -> None:
        raise AssertionError(f"{folder} is listed")

    monkeypatch.chdir(photos)
    monkeypatch.setattr(os, "scandir", scandir)
    assert library_nearby({}) is None
    library = make_library(photos)
    assert library_nearby({}) == library
    assert library_nearby({"SIGHTLINE_LIBRARY": str(photos / "phone")}) is None
