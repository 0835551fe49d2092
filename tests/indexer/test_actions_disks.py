"""Actions on disks that refuse: no rights, read-only, full. The file stays, and nothing is left over."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.actions.journal import actions_folder, newest_to_undo
from indexer.actions.records import Action, Result
from indexer.errors import DiskFull, LibraryReadOnly

from .acting import LONG_AGO_NS, Album, names, only, refusal
from .rights import immutable, ordinary_user, write_protected
from .store.test_disk import fill, mount, mounted

UNDOABLE = [action for action in Action if action is not Action.DELETE]
SEALS = pytest.mark.parametrize("seal", [write_protected, immutable])


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a mounted folder read-only for a while."""
    mount("-o", "remount,bind,ro", str(folder))
    try:
        yield
    finally:
        mount("-o", "remount,bind,rw", str(folder))


# ---- no rights ----


@SEALS
@pytest.mark.parametrize("action", Action)
def test_a_folder_that_cannot_be_written_keeps_its_files_and_the_rest_goes_on(
    empty: Album, action: Action, seal
):
    empty.group("a.jpg", "shut/b.jpg", "open/c.jpg")
    with seal(empty.root / "shut"):
        first, second = empty.apply(action)
        assert (first.result, second.result) == (Result.REFUSED, Result.DONE)
        assert "not permitted" in first.reason or "permission denied" in first.reason
        assert names(empty.root / "shut") == ["b.jpg"]
        assert not (empty.elsewhere / "shut").exists()
        assert [entry.path.name for entry in empty.run().pending] == ["c.jpg"]


@SEALS
def test_a_file_that_cannot_be_removed_leaves_no_copy_on_the_other_disk(empty: Album, other_disk: Path, seal):
    empty.group("a.jpg", "shut/b.jpg")
    with seal(empty.root / "shut"):
        assert empty.apply(Action.MOVE, other_disk / "moved")[0].result is Result.REFUSED
        assert not (other_disk / "moved").exists()
        assert names(empty.root / "shut") == ["b.jpg"]


@SEALS
def test_a_file_that_cannot_be_removed_leaves_no_copy_in_the_trash(
    empty: Album, trash: Path, tmp_path: Path, seal
):
    empty.group("a.jpg", "shut/b.jpg")
    # A bound folder is another file system to `rename`, but not by its number, so send2trash makes a copy.
    with mounted(tmp_path / "bound", "--bind", str(empty.root)) as bound, seal(empty.root / "shut"):
        empty.removals[0] = replace(empty.removals[0], path=bound / "shut/b.jpg")
        reason = refusal(empty.apply(Action.TRASH))
        assert "not permitted" in reason or "permission denied" in reason
        assert (bound / "shut/b.jpg").is_file()
    assert not list(trash.glob("*/*"))


def test_a_write_protected_file_goes_to_the_trash_and_comes_back_as_it_was(empty: Album):
    empty.group("a.jpg", "b.jpg")
    (empty.root / "b.jpg").chmod(0o444)
    before = empty.seen()
    with ordinary_user():
        outcome = only(empty.apply(Action.TRASH))
        assert outcome.place is not None
        assert outcome.place.stat().st_mode & 0o777 == 0o444
        assert only(empty.undo()).result is Result.DONE
    assert empty.seen() == before


def test_a_write_protected_file_that_cannot_go_keeps_its_protection(empty: Album, trash: Path):
    empty.group("a.jpg", "b.jpg")
    (empty.root / "b.jpg").chmod(0o444)
    trash.parent.write_text("no folder")
    with ordinary_user():
        refusal(empty.apply(Action.TRASH))
    assert (empty.root / "b.jpg").stat().st_mode & 0o777 == 0o444


def test_a_write_protection_that_a_kill_left_lifted_comes_back(empty: Album):
    empty.group("a.jpg", "b.jpg")
    (empty.root / "b.jpg").chmod(0o444)
    before = empty.seen()
    place = only(empty.apply(Action.TRASH)).place
    assert place is not None
    place.rename(empty.root / "b.jpg").chmod(0o644)
    assert only(empty.undo()).result is Result.ALREADY
    assert empty.seen() == before


@SEALS
@pytest.mark.parametrize("action", UNDOABLE)
def test_undoing_where_nothing_can_be_written_can_be_repeated(empty: Album, action: Action, seal):
    empty.group("a.jpg", "shut/b.jpg")
    before = empty.seen()
    empty.apply(action)
    with seal(empty.root / "shut"):
        reason = refusal(empty.undo())
    assert "not permitted" in reason or "permission denied" in reason
    assert only(empty.undo()).result is Result.DONE
    assert empty.seen() == before


@SEALS
def test_nothing_is_touched_when_the_journal_cannot_be_written(empty: Album, seal):
    empty.group("a.jpg", "b.jpg")
    actions_folder(empty.library).mkdir()
    with seal(actions_folder(empty.library)), pytest.raises(LibraryReadOnly):
        empty.apply(Action.DELETE)
    assert (empty.root / "b.jpg").is_file()


# ---- read-only media ----


@pytest.mark.parametrize("action", Action)
def test_read_only_media_are_left_alone_with_the_reason(empty: Album, tmp_path: Path, action: Action):
    empty.group("a.jpg", "b.jpg")
    with mounted(tmp_path / "media", "--bind", str(empty.root)) as media, read_only(media):
        removal = empty.removals[0]
        empty.removals[0] = replace(removal, path=media / "b.jpg", keeper=media / "a.jpg")
        assert refusal(empty.apply(action)).endswith("read-only file system")
    assert (empty.root / "b.jpg").is_file()


@pytest.mark.parametrize("action", [Action.TRASH, Action.MOVE, Action.SYMLINK, Action.DELETE])
def test_a_kept_file_on_read_only_media_is_enough(empty: Album, tmp_path: Path, action: Action):
    kept = empty.write("media/a.jpg", b"same")
    empty.plan(empty.write("b.jpg", b"same"), kept)
    with mounted(tmp_path / "media", "--bind", str(empty.root / "media")) as media, read_only(media):
        empty.removals[0] = replace(empty.removals[0], keeper=media / "a.jpg")
        assert only(empty.apply(action)).result is Result.DONE


@pytest.mark.parametrize("action", UNDOABLE)
def test_undoing_on_media_that_have_become_read_only_can_be_repeated(
    tmp_path: Path, trash: Path, action: Action
):
    empty = Album(tmp_path / "photos")
    (tmp_path / "media").mkdir()
    with mounted(empty.root / "media", "--bind", str(tmp_path / "media")) as media:
        empty.group("media/a.jpg", "media/b.jpg")
        before = empty.seen()
        empty.apply(action)
        with read_only(media):
            assert refusal(empty.undo()) == "read-only file system"
        assert only(empty.undo()).result is Result.DONE
        assert empty.seen() == before


# ---- full disks ----


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of 64 KiB and 16 names."""
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=64k,nr_inodes=16", "tmpfs") as disk:
        yield disk


def use_up_names(disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        for number in range(100):
            (disk / f"ballast {number}").touch()


def test_a_full_trash_leaves_the_file_where_it_is(empty: Album, small_disk: Path):
    empty.group("a.jpg", "b.jpg")
    copy = Path(shutil.move(empty.root / "b.jpg", small_disk))
    fill(small_disk / "ballast")
    empty.removals[0] = replace(empty.removals[0], path=copy)
    assert refusal(empty.apply(Action.TRASH)) == "the trash does not take it: no space left on device"
    assert copy.is_file()


@pytest.mark.parametrize("content", [b"short", bytes(100_000)])
def test_a_trash_on_another_disk_that_runs_full_keeps_no_part_of_the_file(
    empty: Album, small_disk: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
):
    monkeypatch.setenv("XDG_DATA_HOME", str(small_disk))
    empty.group("a.jpg", "b.jpg", content=content)
    if len(content) < 100:
        fill(small_disk / "ballast")
    assert refusal(empty.apply(Action.TRASH)) == "the trash does not take it: no space left on device"
    assert (empty.root / "b.jpg").read_bytes() == content
    assert not list(small_disk.glob("Trash/*/*"))


def test_a_trash_on_another_disk_keeps_no_note_of_what_came_back(
    empty: Album, small_disk: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_DATA_HOME", str(small_disk))
    empty.group("a.jpg", "b.jpg")
    before = empty.seen()
    assert only(empty.apply(Action.TRASH)).result is Result.DONE
    assert only(empty.undo()).result is Result.DONE
    assert empty.seen() == before
    assert not list(small_disk.glob("Trash/*/*"))


def test_what_lay_in_the_trash_before_stays_when_it_runs_full(
    empty: Album, small_disk: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_DATA_HOME", str(small_disk))
    content = bytes(100_000)
    empty.group("a.jpg", "b.jpg", content=content[:1000])
    earlier = only(empty.apply(Action.TRASH)).place
    assert earlier is not None
    for note in small_disk.glob("Trash/info/*"):
        os.utime(note, ns=(LONG_AGO_NS, LONG_AGO_NS))
    empty.removals.clear()
    empty.group("a.jpg", "b.jpg", content=content)
    refusal(empty.apply(Action.TRASH))
    assert earlier.read_bytes() == content[:1000]


def test_a_trash_that_cannot_be_used_leaves_the_file_where_it_is(empty: Album, trash: Path):
    empty.group("a.jpg", "b.jpg")
    trash.parent.write_text("no folder")
    assert refusal(empty.apply(Action.TRASH)).startswith("the trash does not take it: ")
    assert (empty.root / "b.jpg").is_file()
    assert newest_to_undo(empty.library) is None


@pytest.mark.parametrize("action", UNDOABLE)
def test_a_name_that_leaves_no_room_for_a_suffix_does_no_harm(empty: Album, action: Action):
    """The note in the trash has a longer name than the file, and a second file of one name gets a number."""
    empty.group("a.jpg", f"{'b' * 251}.jpg")
    empty.write(f"../moved/{'b' * 251}.jpg", b"other")
    before = empty.seen()
    outcome = only(empty.apply(action))
    if action.links:
        assert outcome.result is Result.DONE
    else:
        assert outcome.reason.endswith("file name too long")
        assert empty.seen() == before


def test_a_full_disk_leaves_what_was_to_be_moved_there(empty: Album, small_disk: Path):
    empty.group("a.jpg", "copies/b.jpg")
    fill(small_disk / "ballast")
    assert refusal(empty.apply(Action.MOVE, small_disk / "moved")) == "no space left on device"
    assert (empty.root / "copies/b.jpg").is_file()
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


@pytest.mark.parametrize("action", [Action.HARDLINK, Action.SYMLINK])
def test_a_disk_without_room_for_another_name_keeps_the_file(empty: Album, small_disk: Path, action: Action):
    empty.group("a.jpg", "b.jpg")
    kept, copy = (Path(shutil.move(empty.root / name, small_disk)) for name in ("a.jpg", "b.jpg"))
    use_up_names(small_disk)
    empty.removals[0] = replace(empty.removals[0], path=copy, keeper=kept)
    assert refusal(empty.apply(action)) == "no space left on device"
    assert not copy.samefile(kept)


@pytest.mark.parametrize("action", [Action.MOVE, Action.HARDLINK, Action.SYMLINK])
def test_undoing_on_a_disk_that_is_full_can_be_repeated(tmp_path: Path, small_disk: Path, action: Action):
    album = Album(tmp_path / "photos")
    (album.root / "disk").symlink_to(small_disk)
    album.group("disk/a.jpg", "disk/b.jpg")
    before = album.seen()
    album.apply(action)
    fill(small_disk / "ballast")
    assert refusal(album.undo()) == "no space left on device"
    (small_disk / "ballast").unlink()
    assert only(album.undo()).result is Result.DONE
    assert album.seen() == before
    assert sorted(path.name for path in small_disk.iterdir()) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("action", Action)
def test_nothing_is_touched_when_there_is_no_room_for_the_journal(
    empty: Album, small_disk: Path, action: Action
):
    empty.group("a.jpg", "b.jpg")
    before = empty.seen()
    empty.library = small_disk
    fill(small_disk / "ballast")
    with pytest.raises(DiskFull):
        empty.apply(action)
    empty.library = empty.root / ".sightline"
    assert empty.seen() == before
