"""Actions on files: what each does, what it must not touch, and that undoing brings every byte back."""

import errno
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from indexer.actions.apply import _act, apply
from indexer.actions.journal import (
    Entry,
    Journal,
    acting,
    actions_folder,
    find_run,
    newest_to_undo,
    runs,
)
from indexer.actions.moving import rename
from indexer.actions.records import Action, Result
from indexer.actions.trash import is_at_hand, way_by_hand
from indexer.actions.undo import undo
from indexer.errors import JournalUnreadable, LibraryBusy, RunUnknown, UsageError

from .acting import Album, names, only, refusal, results, see
from .rights import ordinary_user
from .store.test_disk import mounted

UNDOABLE = [action for action in Action if action is not Action.DELETE]
TAKING = [action for action in Action if not action.links]


# ---- what each action does ----


def test_trash_keeps_the_file_with_a_note_of_its_old_path(empty: Album, trash: Path):
    empty.group("a.jpg", "b.jpg")
    outcome = only(empty.apply(Action.TRASH))
    assert outcome.place == trash / "files" / "b.jpg"
    assert f"Path={empty.root}/b.jpg" in (trash / "info" / "b.jpg.trashinfo").read_text()
    assert names(empty.root)[-1] == "a.jpg"


def test_trash_tells_files_of_one_name_apart(empty: Album):
    empty.group("a.jpg", "1/x.jpg", "2/x.jpg")
    places = [outcome.place for outcome in empty.apply(Action.TRASH)]
    assert all(place is not None and place.is_file() for place in places)
    assert len(set(places)) == 2


def test_trash_of_another_volume_is_on_that_volume(empty: Album, tmp_path: Path):
    empty.group("a.jpg", "b.jpg")
    with mounted(tmp_path / "volume", "-t", "tmpfs", "tmpfs") as volume:
        copy = Path(shutil.move(empty.root / "b.jpg", volume))
        empty.removals[0] = replace(empty.removals[0], path=copy)
        assert only(empty.apply(Action.TRASH)).place == volume / f".Trash-{os.getuid()}" / "files" / "b.jpg"
        assert only(empty.undo()).result is Result.DONE
        assert names(volume) == ["b.jpg"]


def test_move_keeps_the_tree(album: Album):
    album.apply(Action.MOVE)
    odd = os.fsdecode("copies/🐶\nodd ".encode() + b"\xe9.jpg")
    moved = ["copies/a.jpg", "copies/a.jpg.xmp", odd, "2020/b.png", "2020/b.xmp"]
    assert names(album.elsewhere) == sorted(moved)


def test_move_takes_another_name_where_one_is_taken_and_gives_it_to_the_sidecar_too(empty: Album):
    empty.group("a.jpg", "b.jpg")
    empty.write("b.xmp", b"x")
    empty.elsewhere.mkdir()
    (empty.elsewhere / "b.jpg").write_bytes(b"other")
    (empty.elsewhere / "b (2).xmp").write_bytes(b"other")
    empty.apply(Action.MOVE)
    assert names(empty.elsewhere) == ["b (2).xmp", "b (3).jpg", "b (3).xmp", "b.jpg"]
    assert (empty.elsewhere / "b.jpg").read_bytes() == b"other"


def test_move_to_another_file_system_keeps_bytes_time_and_permissions(album: Album, other_disk: Path):
    before = see(album.root / "copies/a.jpg")
    album.apply(Action.MOVE, other_disk / "moved")
    assert see(other_disk / "moved/copies/a.jpg") == before
    assert not (album.root / "copies/a.jpg").exists()


def test_hardlink_makes_two_names_of_one_file(empty: Album):
    empty.group("a.jpg", "b.jpg")
    empty.apply(Action.HARDLINK)
    assert (empty.root / "b.jpg").samefile(empty.root / "a.jpg")
    assert not (empty.root / "b.jpg").is_symlink()


def test_symlink_leads_to_the_kept_file_also_when_the_drive_is_mounted_elsewhere(empty: Album):
    empty.group("2019/a.jpg", "2020/b.jpg")
    empty.apply(Action.SYMLINK)
    assert (empty.root / "2020/b.jpg").readlink() == Path("../2019/a.jpg")
    assert (empty.root / "2020/b.jpg").read_bytes() == (empty.root / "2019/a.jpg").read_bytes()


def test_symlink_to_another_file_system_is_absolute(empty: Album, other_disk: Path):
    empty.group("a.jpg", "b.jpg")
    kept = Path(shutil.copy(empty.root / "a.jpg", other_disk))
    empty.removals[0] = replace(empty.removals[0], keeper=kept)
    empty.apply(Action.SYMLINK)
    assert (empty.root / "b.jpg").readlink() == kept


def test_delete_removes_the_file(empty: Album):
    empty.group("a.jpg", "b.jpg")
    outcome = only(empty.apply(Action.DELETE))
    assert (outcome.result, outcome.bytes_freed) == (Result.DONE, 500)
    assert not (empty.root / "b.jpg").exists()


# ---- sidecars ----


@pytest.mark.parametrize("action", [Action.TRASH, Action.MOVE])
def test_sidecars_travel_with_their_image(album: Album, action: Action):
    outcomes = album.apply(action)
    assert [[path.name for path in outcome.sidecars] for outcome in outcomes] == [
        ["a.jpg.xmp"],
        [],
        ["b.xmp"],
    ]
    assert not list(album.root.rglob("*.xmp"))


@pytest.mark.parametrize("action", [Action.HARDLINK, Action.SYMLINK])
def test_sidecars_stay_with_links(album: Album, action: Action):
    album.apply(action)
    assert len(list(album.root.rglob("*.xmp"))) == 2


def test_a_file_with_the_only_sidecar_is_not_deleted(empty: Album):
    empty.group("a.jpg", "b.jpg")
    empty.write("b.jpg.xmp", b"rating 5")
    (outcome,) = empty.apply(Action.DELETE)
    assert outcome.result is Result.REFUSED
    assert "b.jpg.xmp" in str(outcome.reason)
    assert (empty.root / "b.jpg.xmp").exists()


def test_a_file_goes_for_one_with_the_same_sidecar(empty: Album):
    empty.group("a.jpg", "b.jpg")
    for name in ("a.jpg.xmp", "b.jpg.xmp"):
        empty.write(name, b"rating 5")
    (outcome,) = empty.apply(Action.DELETE)
    assert outcome.result is Result.DONE


def test_what_a_symbolic_link_leads_to_stays(empty: Album):
    empty.group("a.jpg", "b.jpg")
    link = empty.root / "link.jpg"
    link.symlink_to("b.jpg")
    (outcome,) = apply(empty.removals, Action.TRASH, library=empty.library, links=[link])
    assert outcome.result is Result.REFUSED
    assert link.read_bytes() == (empty.root / "a.jpg").read_bytes()


@pytest.mark.parametrize("other", ["b.CR2", "b.png", "B.mov"])
def test_a_sidecar_that_another_image_needs_stays(empty: Album, other: str):
    empty.group("a.jpg", "b.jpg")
    empty.write(other, b"raw")
    empty.write("b.xmp", b"x")
    assert only(empty.apply(Action.DELETE)).sidecars == ()
    assert (empty.root / "b.xmp").exists()


def test_a_shared_sidecar_goes_with_the_last_of_its_images(empty: Album):
    empty.group("a.jpg", "b.jpg", "b.png")
    empty.write("b.xmp", b"x")
    assert [len(outcome.sidecars) for outcome in empty.apply(Action.TRASH)] == [0, 1]


# ---- what must not be touched ----


def change(path: Path) -> None:
    path.write_bytes(b"changed")


def change_keeping_size_and_time(path: Path) -> None:
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def change_facts(path: Path) -> None:
    path.chmod(0o600)
    os.utime(path, ns=(0, 0))


def put_link(path: Path) -> None:
    path.rename(path.with_name("real.jpg"))
    path.symlink_to("real.jpg")


def put_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def put_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def shut(path: Path) -> None:
    path.chmod(0)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (change, "changed since the report"),
        (change_keeping_size_and_time, "changed since the report"),
        (Path.unlink, "no longer there"),
        (put_link, "a symbolic link, not a file of its own"),
        (put_folder, "a folder stands in its place"),
        (put_pipe, "something that is no file stands in its place"),
        (shut, "cannot be read: permission denied"),
    ],
)
def test_a_file_that_is_not_as_reported_is_left_alone(empty: Album, action: Action, spoil, reason: str):
    empty.group("a.jpg", "b.jpg")
    spoil(empty.root / "b.jpg")
    before = names(empty.root)
    with ordinary_user():
        assert refusal(empty.apply(action)) == reason
    assert [name for name in names(empty.root) if "actions" not in name] == before


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (change, "changed since the report"),
        (Path.unlink, "no longer there"),
        (put_folder, "a folder stands in its place"),
        (shut, "cannot be read: permission denied"),
    ],
)
def test_nothing_goes_when_the_kept_file_is_not_as_reported(empty: Album, action: Action, spoil, reason: str):
    empty.group("a.jpg", "b.jpg")
    spoil(empty.root / "a.jpg")
    with ordinary_user():
        assert refusal(empty.apply(action)) == f"the kept file {empty.root}/a.jpg: {reason}"
    assert (empty.root / "b.jpg").is_file()


def alias_by_path(album: Album) -> Path:
    return album.root / "a.jpg"


def alias_by_folder(album: Album) -> Path:
    (album.root / "link").symlink_to(album.root)
    return album.root / "link" / "a.jpg"


@pytest.mark.parametrize("action", TAKING)
@pytest.mark.parametrize("alias", [alias_by_path, alias_by_folder])
def test_the_kept_file_is_not_removed_under_another_name(empty: Album, action: Action, alias):
    empty.group("a.jpg")
    kept = empty.root / "a.jpg"
    empty.removals.append(replace(empty.plan(kept, kept), path=alias(empty)))
    empty.removals[:1] = []
    assert "the same file as the kept one" in refusal(empty.apply(action))
    assert kept.is_file()


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("alias", [lambda path: path, lambda path: path.parent / "link" / path.name])
def test_a_file_kept_for_one_is_not_removed_for_another(empty: Album, action: Action, alias):
    empty.group("a.jpg", "b.jpg", "c.jpg", content=b"same")
    empty.group("z.jpg", content=b"same")
    (empty.root / "link").symlink_to(empty.root)
    empty.plan(empty.root / "a.jpg", empty.root / "z.jpg")
    empty.removals[-1] = replace(empty.removals[-1], path=alias(empty.root / "a.jpg"))
    assert results(empty.apply(action)) == [Result.DONE, Result.DONE, Result.REFUSED]
    assert empty.has_kept()


@pytest.mark.parametrize("relative", ["../b.jpg", "/b.jpg", "x/../../b.jpg", ""])
def test_move_does_not_leave_its_folder(empty: Album, relative: str):
    empty.group("a.jpg", "b.jpg")
    empty.removals[0] = replace(empty.removals[0], relative=relative)
    assert "leads out of it" in refusal(empty.apply(Action.MOVE))


def test_move_to_where_the_file_is_leaves_it_alone(empty: Album):
    empty.group("a.jpg", "b.jpg")
    assert refusal(empty.apply(Action.MOVE, empty.root)) == "it lies there already"


@pytest.mark.parametrize("action", TAKING)
def test_what_is_changed_while_the_run_goes_on_is_left_alone(album: Album, action: Action):
    album.write("a.jpg.xmp", b"<x:xmpmeta/>")  # the same as the copy's, which may be deleted then
    destination = album.elsewhere if action is Action.MOVE else None
    run = apply(album.removals, action, library=album.library, destination=destination)
    assert next(run).result is Result.DONE
    (album.root / "2019/b.png").write_bytes(b"edited")
    assert [outcome.result for outcome in run] == [Result.DONE, Result.REFUSED]
    assert (album.root / "2020/b.png").is_file()


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("name", ["a.jpg", "b.jpg"])
def test_what_is_changed_while_the_journal_is_written_is_left_alone(
    empty: Album, monkeypatch: pytest.MonkeyPatch, action: Action, name: str
):
    empty.group("a.jpg", "b.jpg")
    intend = Journal.intend

    def intend_and_meet_another_program(journal: Journal, entry: Entry) -> None:
        intend(journal, entry)
        change(empty.root / name)

    monkeypatch.setattr(Journal, "intend", intend_and_meet_another_program)
    assert "changed since the report" in refusal(empty.apply(action))
    assert names(empty.root)[-2:] == ["a.jpg", "b.jpg"]
    assert not (empty.root / "b.jpg").is_symlink()


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("name", ["a.jpg", "b.jpg"])
def test_what_is_written_while_it_is_read_is_left_alone(
    empty: Album, monkeypatch: pytest.MonkeyPatch, action: Action, name: str
):
    empty.group("a.jpg", "b.jpg")
    digest = hashlib.file_digest

    def digest_and_meet_another_program(file: BinaryIO, kind: str) -> object:
        found = digest(file, kind)
        if os.path.samestat(os.fstat(file.fileno()), (empty.root / name).stat()):
            change(empty.root / name)
        return found

    monkeypatch.setattr(hashlib, "file_digest", digest_and_meet_another_program)
    assert refusal(empty.apply(action)).endswith("being written by another program")
    assert names(empty.root)[-2:] == ["a.jpg", "b.jpg"]
    assert not (empty.root / "b.jpg").is_symlink()


def test_a_file_is_not_renamed_over_one_that_just_came(tmp_path: Path):
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "yours").write_bytes(b"yours")
    with pytest.raises(FileExistsError):
        rename(tmp_path / "mine", tmp_path / "yours")
    assert [see(tmp_path / name).content for name in ("mine", "yours")] == [b"mine", b"yours"]


def test_a_renamed_file_stays_when_the_system_tells_of_a_failure_after_the_deed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "old").write_bytes(b"mine")
    unlink = os.unlink

    def unlink_and_fail(path: Path) -> None:
        unlink(path)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "unlink", unlink_and_fail)
    with pytest.raises(OSError, match="Input/output error"):
        rename(tmp_path / "old", tmp_path / "new")
    assert see(tmp_path / "new").content == b"mine"


def test_two_runs_at_once_are_refused(empty: Album):
    empty.group("a.jpg", "b.jpg")
    with acting(empty.library), pytest.raises(LibraryBusy):
        empty.apply(Action.DELETE)
    assert (empty.root / "b.jpg").is_file()


def test_moving_needs_a_folder(empty: Album):
    empty.group("a.jpg", "b.jpg")
    with pytest.raises(UsageError, match="folder to move to"):
        apply(empty.removals, Action.MOVE, library=empty.library)
    with pytest.raises(UsageError, match="not a folder"):
        apply(empty.removals, Action.MOVE, library=empty.library, destination=empty.root / "a.jpg")


# ---- undoing ----


@pytest.mark.parametrize("action", UNDOABLE)
def test_undoing_brings_back_every_byte_time_and_permission(album: Album, trash: Path, action: Action):
    before = album.seen()
    album.apply(action)
    assert album.seen() != before
    outcomes = album.undo()
    assert set(results(outcomes)) == {Result.DONE}
    assert album.seen() == before
    assert not list(trash.glob("*/*"))
    assert not album.elsewhere.exists()


@pytest.mark.parametrize("action", UNDOABLE)
def test_undoing_twice_finds_nothing_left(album: Album, action: Action):
    album.apply(action)
    run = album.run()
    list(undo(run))
    assert newest_to_undo(album.library) is None
    change_facts(album.root / "copies/a.jpg")
    after = album.seen()
    assert list(undo(run)) == []  # by what was known of it before the first time
    assert album.seen() == after
    assert runs(album.library)[0].state == "undone"


@pytest.mark.parametrize("action", UNDOABLE)
def test_what_went_although_the_system_told_of_a_failure_comes_back(
    album: Album, monkeypatch: pytest.MonkeyPatch, action: Action
):
    def act_and_fail(*arguments) -> None:
        _act(*arguments)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    before = album.seen()
    monkeypatch.setattr("indexer.actions.apply._act", act_and_fail)
    assert set(results(album.apply(action))) == {Result.REFUSED}
    assert album.seen() != before
    assert set(results(album.undo())) == {Result.DONE}
    assert album.seen() == before


@pytest.mark.parametrize("action", Action)
def test_a_file_that_a_killed_run_did_not_come_to_touch_is_there_already(
    empty: Album, monkeypatch: pytest.MonkeyPatch, action: Action
):
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    empty.group("a.jpg", "b.jpg")
    monkeypatch.setattr("indexer.actions.apply._act", die)
    with pytest.raises(KeyboardInterrupt):
        empty.apply(action)
    change_facts(empty.root / "b.jpg")
    after = empty.seen()
    assert results(empty.undo()) == [Result.ALREADY]
    assert empty.seen() == after


@pytest.mark.parametrize("action", [Action.TRASH, Action.MOVE])
def test_a_time_and_permissions_that_were_changed_where_a_file_went_are_put_back(
    empty: Album, action: Action
):
    empty.group("a.jpg", "b.jpg")
    before = empty.seen()
    place = only(empty.apply(action)).place
    assert place is not None
    change_facts(place)
    assert only(empty.undo()).result is Result.DONE
    assert empty.seen() == before


def test_the_last_run_is_undone_first(empty: Album):
    empty.group("a.jpg", "b.jpg")
    empty.apply(Action.MOVE)
    empty.removals.clear()
    empty.group("a.jpg", "c.jpg")
    empty.apply(Action.TRASH)
    assert [run.action for run in runs(empty.library)] == [Action.TRASH, Action.MOVE]
    assert only(empty.undo()).path.name == "c.jpg"
    assert only(empty.undo()).path.name == "b.jpg"


def test_a_run_that_refused_all_is_not_there_to_undo(empty: Album):
    empty.group("a.jpg", "b.jpg")
    change(empty.root / "b.jpg")
    empty.apply(Action.TRASH)
    assert newest_to_undo(empty.library) is None


@pytest.mark.parametrize("action", UNDOABLE)
def test_what_stands_in_the_place_now_is_not_overwritten_and_undoing_can_be_repeated(
    empty: Album, action: Action
):
    empty.group("a.jpg", "b.jpg")
    before = empty.seen()
    empty.apply(action)
    (empty.root / "b.jpg").unlink(missing_ok=True)
    (empty.root / "b.jpg").write_bytes(b"new")
    refused = only(empty.undo())
    assert refused.result is Result.REFUSED
    assert (empty.root / "b.jpg").read_bytes() == b"new"
    assert empty.run().state == "done"
    (empty.root / "b.jpg").unlink()
    assert only(empty.undo()).result is Result.DONE
    assert empty.seen() == before


@pytest.mark.parametrize("action", UNDOABLE)
def test_a_folder_that_is_gone_is_made_again(empty: Album, action: Action):
    empty.group("a.jpg", "deep/down/b.jpg")
    before = empty.seen()
    empty.apply(action)
    shutil.rmtree(empty.root / "deep")
    assert only(empty.undo()).result is Result.DONE
    assert empty.seen() == before


@pytest.mark.parametrize("action", [Action.TRASH, Action.MOVE])
def test_what_was_put_back_by_hand_counts_as_undone(empty: Album, action: Action):
    empty.group("a.jpg", "b.jpg")
    place = only(empty.apply(action)).place
    assert place is not None
    place.rename(empty.root / "b.jpg")
    assert only(empty.undo()).result is Result.ALREADY
    assert newest_to_undo(empty.library) is None


def test_a_file_that_is_back_leaves_a_copy_that_may_be_anothers(empty: Album):
    empty.group("a.jpg", "b.jpg")
    place = only(empty.apply(Action.MOVE)).place
    assert place is not None
    shutil.copy(place, empty.root / "b.jpg")
    assert only(empty.undo()).reason == f"a copy of it is still at {place}"
    assert place.is_file()


@pytest.mark.parametrize("action", [Action.TRASH, Action.MOVE])
def test_what_was_changed_where_it_went_does_not_come_back(empty: Album, action: Action):
    empty.group("a.jpg", "b.jpg")
    place = only(empty.apply(action)).place
    assert place is not None
    place.write_bytes(b"changed")
    assert "has been changed since" in refusal(empty.undo())
    assert not (empty.root / "b.jpg").exists()


def test_an_emptied_trash_is_told(empty: Album, trash: Path):
    empty.group("a.jpg", "b.jpg")
    empty.apply(Action.TRASH)
    shutil.rmtree(trash)
    assert refusal(empty.undo()).startswith("no longer in the trash: ")


@pytest.mark.parametrize("name", ["files", "other"])
def test_what_was_taken_from_the_folder_that_it_was_moved_to_was_in_no_trash(
    empty: Album, tmp_path: Path, name: str
):
    empty.group("a.jpg", "b.jpg")
    (tmp_path / "info").mkdir()
    place = only(empty.apply(Action.MOVE, tmp_path / name)).place
    assert place is not None
    place.unlink()
    assert refusal(empty.undo()) == f"no longer at {place}"


def test_a_folder_called_files_is_no_trash_without_notes_beside_it(tmp_path: Path):
    (tmp_path / "files").mkdir()
    assert not is_at_hand(tmp_path / "files/a.jpg")
    (tmp_path / "info").mkdir()
    assert is_at_hand(tmp_path / "files/a.jpg")


def test_the_trash_of_a_drive_that_is_away_is_not_told_as_emptied(empty: Album, tmp_path: Path):
    (tmp_path / "disk").mkdir()
    with mounted(tmp_path / "disk", "-t", "tmpfs", "tmpfs") as disk:
        empty.plan(*(empty.write(f"{name}.jpg", b"same") for name in "ba"))
        kept, copy = (Path(shutil.move(empty.root / f"{name}.jpg", disk)) for name in "ab")
        empty.removals[0] = replace(empty.removals[0], path=copy, keeper=kept)
        only(empty.apply(Action.TRASH))
    assert refusal(empty.undo()).startswith("no longer at ")


@pytest.mark.parametrize(("system", "place"), [("win32", "Recycle Bin"), ("darwin", "Dock")])
def test_a_trash_that_tells_no_place_is_put_back_from_by_hand(system: str, place: str):
    assert place in way_by_hand(system)


def test_a_folder_that_was_replaced_by_a_link_to_the_moved_files_keeps_them(empty: Album):
    empty.group("a.jpg", "copies/b.jpg")
    empty.apply(Action.MOVE)
    (empty.root / "copies").rmdir()
    (empty.root / "copies").symlink_to(empty.elsewhere / "copies")
    empty.undo()
    assert (empty.root / "copies/b.jpg").is_file()


def test_moved_files_come_back_from_another_file_system(album: Album, other_disk: Path):
    before = album.seen()
    album.apply(Action.MOVE, other_disk / "moved")
    assert set(results(album.undo())) == {Result.DONE}
    assert album.seen() == before
    assert not (other_disk / "moved").exists()


def test_a_drive_that_is_mounted_elsewhere_can_be_undone(empty: Album, tmp_path: Path):
    empty.group("a.jpg", "b.jpg")
    empty.apply(Action.MOVE, empty.root / "aside")
    drive = empty.root.rename(tmp_path / "mounted elsewhere")
    run = newest_to_undo(drive / ".sightline")
    assert run is not None
    assert only(list(undo(run))).path == drive / "b.jpg"
    assert (drive / "b.jpg").is_file()


def test_a_hard_link_that_was_edited_is_left_as_it_is(empty: Album):
    empty.group("a.jpg", "b.jpg")
    empty.apply(Action.HARDLINK)
    (empty.root / "a.jpg").write_bytes(b"edited")
    assert "changed since" in refusal(empty.undo())
    assert (empty.root / "b.jpg").read_bytes() == b"edited"


def test_a_hard_link_of_which_the_kept_name_is_gone_becomes_a_file_of_its_own(empty: Album):
    empty.group("a.jpg", "b.jpg", "c.jpg")
    before = empty.seen()
    empty.apply(Action.HARDLINK)
    (empty.root / "a.jpg").unlink()
    assert results(empty.undo()) == [Result.DONE, Result.DONE]
    assert not (empty.root / "b.jpg").samefile(empty.root / "c.jpg")
    assert {name: seen for name, seen in before.items() if name != "a.jpg"} == empty.seen()


@pytest.mark.parametrize("action", [Action.HARDLINK, Action.SYMLINK])
def test_a_link_that_was_removed_becomes_a_file_again(empty: Album, action: Action):
    empty.group("a.jpg", "b.jpg")
    before = empty.seen()
    empty.apply(action)
    (empty.root / "b.jpg").unlink()
    assert only(empty.undo()).result is Result.DONE
    assert empty.seen() == before


def test_a_symbolic_link_without_its_kept_file_is_told(empty: Album):
    empty.group("a.jpg", "b.jpg")
    empty.apply(Action.SYMLINK)
    (empty.root / "a.jpg").unlink()
    assert refusal(empty.undo()) == f"the kept file {empty.root}/a.jpg: no longer there"


def test_deleted_files_stay_deleted(empty: Album):
    empty.group("a.jpg", "b.jpg")
    empty.apply(Action.DELETE)
    assert refusal(empty.undo()) == "deleted for good"
    assert empty.run().state == "deleted for good"


# ---- the journal ----


def cut_journal(album: Album, inside: bytes) -> None:
    """Tear the journal as a power cut may: in the midst of a line of this type."""
    [file] = actions_folder(album.library).glob("*.jsonl")
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.index(inside) + len(inside)])


def test_a_torn_line_about_what_was_done_is_made_up_for_by_the_disk(empty: Album):
    empty.group("a.jpg", "b.jpg")
    before = empty.seen()
    empty.apply(Action.TRASH)
    cut_journal(empty, b'"done"')
    assert empty.run().state == "broken off"
    assert only(empty.undo()).result is Result.DONE
    assert empty.seen() == before
    assert newest_to_undo(empty.library) is None


def test_a_torn_intention_counts_as_none(empty: Album):
    empty.group("a.jpg", "b.jpg")
    empty.apply(Action.TRASH)
    cut_journal(empty, b'"intent"')
    assert [run.state for run in runs(empty.library)] == ["nothing done"]


def test_a_journal_cut_off_in_its_first_line_told_nothing(empty: Album):
    actions_folder(empty.library).mkdir()
    (actions_folder(empty.library) / "20260101T000000Z.jsonl").write_bytes(b'{"type": "ru')
    assert runs(empty.library) == []


def test_a_journal_of_a_later_format_is_told(empty: Album):
    empty.group("a.jpg", "b.jpg")
    empty.apply(Action.TRASH)
    [file] = actions_folder(empty.library).glob("*.jsonl")
    file.write_bytes(file.read_bytes().replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(JournalUnreadable, match="upgrade"):
        runs(empty.library)


@pytest.mark.parametrize("name", ["20260101T000000Z", "../../b", ""])
def test_a_run_that_is_not_there_is_told(empty: Album, name: str):
    with pytest.raises(RunUnknown):
        find_run(empty.library, name)


@pytest.mark.parametrize("action", Action)
def test_what_is_about_to_be_done_is_on_the_disk_before_a_file_is_touched(
    album: Album, monkeypatch: pytest.MonkeyPatch, action: Action
):
    fsync, folder = os.fsync, actions_folder(album.library)
    on_disk: dict[Path, bytes] = {}

    def fsync_and_note(descriptor: int) -> None:
        fsync(descriptor)
        for path in (folder, *folder.glob("*.jsonl")):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                on_disk[path] = path.read_bytes() if path.is_file() else b""

    def look_and_act(action: Action, entry: Entry, pair: object) -> object:
        [journal] = folder.glob("*.jsonl")
        assert {folder, journal} <= on_disk.keys()
        intent = json.loads(on_disk[journal].splitlines()[-1])
        assert (intent["type"], intent["number"]) == ("intent", entry.number)
        return _act(action, entry, pair)

    monkeypatch.setattr(os, "fsync", fsync_and_note)
    monkeypatch.setattr("indexer.actions.apply._act", look_and_act)
    assert Result.DONE in results(album.apply(action))


# ---- kills ----


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder in memory, where there is one: hundreds of synchronised writes cost nothing there."""
    in_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=in_memory if in_memory.is_dir() else tmp_path) as folder:
        yield Path(folder)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("action", Action)
def test_a_kill_before_any_call_loses_nothing_and_is_undone(quick_folder: Path, action: Action):
    check_kills(quick_folder, action)


@pytest.mark.timeout(900)
def test_a_kill_in_a_move_to_another_file_system_loses_nothing(tmp_path: Path, other_disk: Path):
    check_kills(tmp_path, Action.MOVE, other_disk / "moved")


def check_kills(folder: Path, *arguments: Path | str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.indexer.kill_actions", folder / "work", *arguments],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder / "data")},
        capture_output=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["problems"] == []
    assert min(found["kills"]) >= 10


APPLIER = """
import hashlib, sys
from pathlib import Path
from indexer.actions.apply import apply
from indexer.actions.records import Action, Removal
root, action = Path(sys.argv[1]), Action(sys.argv[2])
removals = []
for path in sorted((root / "copies").glob("*.jpg")):
    keeper = root / path.name
    digest = hashlib.sha256(keeper.read_bytes()).digest()
    removals.append(Removal(path, digest, keeper, digest, f"copies/{path.name}"))
destination = root.parent / "moved" if action is Action.MOVE else None
for outcome in apply(removals, action, library=root / ".sightline", destination=destination):
    print(outcome.result, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("action", UNDOABLE)
def test_kills_at_random_moments_lose_nothing(empty: Album, action: Action):
    for number in range(60):
        empty.group(f"{number:02}.jpg", f"copies/{number:02}.jpg")
    before = empty.seen()
    chance = random.Random(action)
    for _ in range(5):
        done = chance.randint(1, 40)
        process = subprocess.Popen(
            [sys.executable, "-c", APPLIER, empty.root, action], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\n" * done)  # it waits for more when one further file is gone, and never ends
        process.stdin.flush()
        assert [process.stdout.readline() for _ in range(done)] == [b"done\n"] * done
        process.kill()
        process.communicate()
        assert process.returncode != 0
        assert empty.has_kept()
        empty.undo()
        assert empty.seen() == before
