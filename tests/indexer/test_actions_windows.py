"""What Windows and its shares do otherwise, as far as it can be had here: other rules are put in for ours."""

import os
import stat
from pathlib import Path

import pytest

from indexer.actions import moving
from indexer.actions.checks import same_file
from indexer.actions.records import Action, Result

from .acting import Album, only, refusal

UNDOABLE = (Action.TRASH, Action.MOVE)


@pytest.fixture
def protecting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep write-protected files from being removed, as Windows does."""
    unlink = Path.unlink

    def unlink_unless_protected(path: Path, missing_ok: bool = False) -> None:
        if path.exists() and not path.stat().st_mode & stat.S_IWRITE:
            raise PermissionError(13, "Access is denied", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink_unless_protected)


@pytest.fixture
def protected(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.touch(mode=0o444)
    return path


def test_a_file_that_cannot_be_removed_is_at_one_place_after_renaming(
    protecting: None, protected: Path, tmp_path: Path
):
    moving.rename(protected, tmp_path / "b.jpg", system="nt")
    assert [path.name for path in tmp_path.iterdir()] == ["b.jpg"]


def test_a_write_protected_file_is_removed(protecting: None, protected: Path):
    moving.remove(protected, system="nt")
    assert not protected.exists()


def test_the_write_protection_of_a_file_with_another_name_stays(
    protecting: None, protected: Path, tmp_path: Path
):
    other = tmp_path / "other.jpg"
    other.hardlink_to(protected)
    with pytest.raises(PermissionError):
        moving.remove(protected, system="nt")
    assert stat.S_IMODE(other.stat().st_mode) == 0o444


def test_where_the_folder_keeps_a_file_its_permissions_stay(protecting: None, protected: Path):
    with pytest.raises(PermissionError):
        moving.remove(protected, system="posix")
    assert stat.S_IMODE(protected.stat().st_mode) == 0o444


# ---- file systems that give every file the number 0 ----


@pytest.fixture
def without_inodes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stat", "lstat", "fstat"):
        monkeypatch.setattr(os, name, forgetting_inodes(getattr(os, name)))


def forgetting_inodes(look):
    def forgetful(*arguments, **options) -> os.stat_result:
        status = look(*arguments, **options)
        fields = {name: getattr(status, name) for name in dir(status) if name.startswith("st_")}
        return os.stat_result((status.st_mode, 0, *status[2:]), fields)

    return forgetful


def test_two_files_without_numbers_are_two(without_inodes: None, tmp_path: Path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).touch()
    assert not same_file(tmp_path / "a.jpg", tmp_path / "b.jpg")


def test_a_link_leads_to_its_file_also_without_numbers(without_inodes: None, tmp_path: Path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "b.jpg").symlink_to("a.jpg")
    assert same_file(tmp_path / "a.jpg", tmp_path / "b.jpg")


@pytest.mark.parametrize("action", UNDOABLE)
def test_files_without_numbers_go_and_come_back(empty: Album, without_inodes: None, action: Action):
    empty.group("a.jpg", "copies/a.jpg", "b.jpg")
    before = empty.seen()
    assert [outcome.result for outcome in empty.apply(action)] == [Result.DONE] * 2
    assert [outcome.result for outcome in empty.undo()] == [Result.DONE] * 2
    assert empty.seen() == before


@pytest.mark.parametrize("action", [action for action in Action if action not in UNDOABLE])
def test_what_cannot_be_undone_is_not_done_to_files_without_numbers(
    empty: Album, without_inodes: None, action: Action
):
    empty.group("a.jpg", "b.jpg")
    assert "use --apply trash or move" in refusal(empty.apply(action))


def test_the_kept_file_stays_under_another_path_without_numbers(empty: Album, without_inodes: None):
    empty.group("real/a.jpg", "b.jpg")
    (empty.root / "link").symlink_to("real")
    empty.removals.clear()
    empty.plan(empty.root / "link" / "a.jpg", empty.root / "real" / "a.jpg")
    assert only(empty.apply(Action.MOVE)).result is Result.REFUSED
