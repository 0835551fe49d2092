"""Undoing: puts back what a run of actions took away, by its journal and by what the disk shows.

The journal says what was intended, the disk how far it came; so a run that was killed, a half-done undoing
and a whole run are undone in the same way, and doing it again does no harm.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Final

from . import linking, moving, trash
from .checks import Examined, examine, has_bytes, same_entry, verify_keeper, words
from .journal import Entry, Journal, Run, acting, find_run
from .records import Action, Gone, Outcome, Refused, Result


def undo(run: Run) -> Iterator[Outcome]:
    """Put back the files of a run, the last first; tell of each in turn, sidecars too.

    What stands in a file's place is never overwritten; such a file is told and can be tried again. What was
    deleted stays so. Raises LibraryBusy, LibraryReadOnly and DiskFull, as applying does.
    """
    with acting(run.library):
        run = find_run(run.library, run.name)  # another program may have undone it meanwhile
        journal = Journal.resume(run)
        try:
            for entry in reversed(run.pending):
                outcome = _undo(entry, run.action)
                if outcome.result is not Result.REFUSED:
                    journal.mark_undone(entry.number)
                yield outcome
        finally:
            journal.close()


def _undo(entry: Entry, action: Action) -> Outcome:
    try:
        result = _WAYS[action](entry)
    except Refused as refusal:
        is_gone = isinstance(refusal, Gone)
        return Outcome(entry.path, Result.REFUSED, refusal.reason, entry.place, is_gone=is_gone)
    except OSError as problem:
        return Outcome(entry.path, Result.REFUSED, words(problem), entry.place)
    _clear(entry, action)
    if result is Result.ALREADY:
        return Outcome(entry.path, result, _remark(entry))
    return Outcome(entry.path, result, size=entry.size)


def _remark(entry: Entry) -> str:
    if entry.place is None or not has_bytes(entry.place, entry.sha256) or same_entry(entry.place, entry.path):
        return ""
    return f"a copy of it is still at {entry.place}"


def _clear(entry: Entry, action: Action) -> None:
    """Remove what a run made besides: temporary files, folders, the trash's notes."""
    for neighbour in filter(None, (entry.path, entry.place)):
        moving.discard(neighbour.with_name(entry.temporary))
    moving.remove_empty(entry.made)
    if action is Action.TRASH and entry.place is not None:
        trash.forget_place(entry.place)
    elif action is Action.TRASH:
        trash.forget(entry.path)


# ---- what was moved or put in the trash ----


def _bring_from_trash(entry: Entry) -> Result:
    if not trash.CAN_TELL and not has_bytes(entry.path, entry.sha256):
        raise Refused(trash.way_by_hand())
    # The trash is searched only for what is not where it was put, or was put there by a killed run.
    places = chain(_planned(entry), trash.candidates(entry.path, entry.inode))
    result = _bring_back(entry, places, trashed=True)
    if result is Result.ALREADY:
        trash.protect_again(entry.path, entry.mode)
    return result


def _bring_from_folder(entry: Entry) -> Result:
    return _bring_back(entry, _planned(entry), trashed=False)


def _planned(entry: Entry) -> list[Path]:
    return [] if entry.place is None else [entry.place]


def _bring_back(entry: Entry, places: Iterable[Path], *, trashed: bool) -> Result:
    held = _find(places, entry.sha256)
    if has_bytes(entry.path, entry.sha256):  # never left, or put back before a kill or by hand
        _drop(held, entry)
        return Result.ALREADY
    if os.path.lexists(entry.path):
        raise Refused(f"something else stands in its place now; {_whereabouts(held)}")
    if held is None:
        raise _missing(entry.place, trashed=trashed)
    entry.path.parent.mkdir(parents=True, exist_ok=True)
    moving.move(held, entry.path, entry.temporary)
    trash.forget_place(held.path)
    moving.restore_facts(entry.path, mtime_ns=entry.mtime_ns, mode=entry.mode)
    return Result.DONE


def _find(places: Iterable[Path], sha256: bytes) -> Examined | None:
    for place in places:
        with suppress(Refused):
            file = examine(place)
            if file.sha256 == sha256:
                return file
    return None


def _drop(held: Examined | None, entry: Entry) -> None:
    """Finish a renaming that a kill left half-done: remove the second name of the file that is back.

    A second file, even of the same bytes, may be another run's or the user's by now: it stays and is told. So
    does a name in the trash that is of another path: the file may have had two before.
    """
    if held is None or same_entry(held.path, entry.path) or held.standing.links < 2:
        return
    if held.path != entry.place and not trash.is_noted(held.path, entry.path):
        return
    if held.standing.identity is not None and held.path.samefile(entry.path):
        held.path.unlink()


def _whereabouts(held: Examined | None) -> str:
    return "the file cannot be found either" if held is None else f"the file is still at {held.path}"


def _missing(place: Path | None, *, trashed: bool) -> Refused:
    if place is None:
        return Refused(
            "not to be found in the trash of this computer; was it put there on another, or under macOS or "
            "Windows? Then put it back by hand from there"
        )
    if os.path.lexists(place):
        return Refused(f"what is at {place} has been changed since")
    if trashed and trash.is_at_hand(place):
        return Gone("no longer in the trash: that was emptied, or the file was taken out of it")
    return Refused(f"no longer at {place}")


# ---- what was replaced by a link ----


def _part_from_keeper(entry: Entry) -> Result:
    """Make a file of its own of a hard link."""
    if not os.path.lexists(entry.path):
        return _copy_keeper(entry)
    file = examine(entry.path)
    if file.sha256 != entry.sha256:
        raise Refused("its bytes have been changed since")
    if file.standing.inode == entry.inode:
        return Result.ALREADY
    if file.standing.links > 1:
        linking.replace_by_copy(entry.path, file, entry, file.still)
    else:
        moving.restore_facts(entry.path, mtime_ns=entry.mtime_ns, mode=entry.mode)
    return Result.DONE


def _fill_link(entry: Entry) -> Result:
    """Make a file of a symbolic link."""
    if not os.path.lexists(entry.path):
        return _copy_keeper(entry)
    if not _is_our_link(entry):
        if has_bytes(entry.path, entry.sha256):
            return Result.ALREADY
        raise Refused("something else stands in its place now")
    linking.replace_by_copy(entry.path, _behind_link(entry), entry, lambda: _is_our_link(entry))
    return Result.DONE


def _is_our_link(entry: Entry) -> bool:
    return entry.path.is_symlink() and str(entry.path.readlink()) == entry.target


def _behind_link(entry: Entry) -> Examined:
    """Read the bytes where the link leads, or at the kept file if the link was moved away from it."""
    with suppress(Refused):
        file = examine(entry.path, follow_links=True)
        if file.sha256 == entry.sha256:
            return file
    return _keeper(entry)


def _keeper(entry: Entry) -> Examined:
    assert entry.keeper is not None
    return verify_keeper(entry.keeper, entry.sha256)


def _copy_keeper(entry: Entry) -> Result:
    """Put a copy of the kept file where the link was removed meanwhile."""
    beside = entry.path.with_name(entry.temporary)
    source = _keeper(entry)
    entry.path.parent.mkdir(parents=True, exist_ok=True)
    moving.copy(source, beside)
    moving.restore_facts(beside, mtime_ns=entry.mtime_ns, mode=entry.mode)
    try:
        moving.rename(beside, entry.path)
    finally:
        moving.discard(beside)
    return Result.DONE


# ---- what was deleted ----


def _look_for_deleted(entry: Entry) -> Result:
    if has_bytes(entry.path, entry.sha256):
        return Result.ALREADY
    raise Refused("deleted for good")


_WAYS: Final[Mapping[Action, Callable[[Entry], Result]]] = {
    Action.TRASH: _bring_from_trash,
    Action.MOVE: _bring_from_folder,
    Action.HARDLINK: _part_from_keeper,
    Action.SYMLINK: _fill_link,
    Action.DELETE: _look_for_deleted,
}
