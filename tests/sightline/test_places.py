from pathlib import Path

import pytest

from indexer.errors import FolderMissing, LibraryMissing, UsageError
from sightline.places import as_library, library_to_read, library_to_write


def make_library(folder: Path) -> Path:
    library = folder / ".sightline"
    library.mkdir(parents=True)
    (library / "catalog.sqlite").touch()
    return library


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
    (tmp_path / "lock").touch()
    (tmp_path / "lock.json").touch()
    assert as_library(tmp_path) == tmp_path


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
