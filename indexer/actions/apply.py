"""Applying: does an action to files, each checked at the last moment and told in the journal beforehand."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path, PurePosixPath

from ..errors import UsageError
from ..store.names import absolute
from . import linking, moving, trash
from .checks import Examined, Kept, Standing, examine, same_entry, same_file, verify, verify_keeper, words
from .journal import Entry, Journal, acting
from .records import Action, Outcome, Refused, Removal, Result
from .sidecars import Sidecars, renamed

NAMES_MAX = 10_000  # files of one name in one folder


def apply(
    removals: Iterable[Removal],
    action: Action,
    *,
    library: Path,
    destination: Path | None = None,
    links: Iterable[Path] = (),
) -> Iterator[Outcome]:
    """Get rid of files one by one; tell of each in turn, and stop for none that has to be left alone.

    What is a link to its kept file, hard or symbolic, takes no room of its own: it stays and is ALREADY,
    whatever the action. `destination` is the folder of MOVE; what one of the symbolic `links` leads to stays.
    With DELETE a file stays whose sidecar says something that the kept file's does not. The library's folder
    takes the journal.

    Raises UsageError at once; while it runs LibraryBusy when another program acts on files, LibraryReadOnly
    and DiskFull when the journal cannot be written: what was not journaled was not touched.
    """
    removals = [replace(r, path=absolute(r.path), keeper=absolute(r.keeper)) for r in removals]
    destination = destination and absolute(destination)
    _check_destination(action, destination)
    return _applied(removals, _Work(action, library, destination, removals, links))


def _check_destination(action: Action, destination: Path | None) -> None:
    if (action is Action.MOVE) != (destination is not None):
        raise UsageError("moving needs a folder to move to, and the other actions have no use for one")
    if destination is None:
        return
    there = moving.nearest(destination)
    if not there.is_dir():
        raise UsageError(f"{there}: not a folder; name one to move files to")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{there}: cannot be written; name another folder to move files to")


def _applied(removals: list[Removal], work: "_Work") -> Iterator[Outcome]:
    with acting(work.library):
        try:
            for removal in removals:
                yield work.remove(removal)
        finally:
            work.close()


@dataclass(frozen=True, slots=True)
class _Pair:
    """A file as it was just read, with the kept file where it matters."""

    file: Examined
    keeper: Examined | None = None

    def check(self) -> None:
        """Look once more: writing the journal takes its time."""
        if not self.file.still():
            raise Refused("changed since the report")
        if self.keeper is not None and not self.keeper.still():
            raise Refused(f"the kept file {self.keeper.path}: changed since the report")


class _Work:
    """One run of one action."""

    def __init__(
        self,
        action: Action,
        library: Path,
        destination: Path | None,
        removals: list[Removal],
        links: Iterable[Path],
    ) -> None:
        self.library = library
        self._action = action
        self._destination = destination
        self._kept = Kept(removal.keeper for removal in removals)
        leading = chain((removal.path for removal in removals), links)
        self._links = {} if action.links else linking.by_target(leading)
        self._journal: Journal | None = None
        self._entries = 0
        self._names_left: dict[tuple[int, int], int] = {}  # of files with several, of which some are gone
        self._sidecars, self._kept_sidecars = Sidecars(), Sidecars()

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def remove(self, removal: Removal) -> Outcome:
        try:
            if linking.is_link_to(removal.path, removal.keeper):
                return Outcome(removal.path, Result.ALREADY)
            pair = self._check(removal)
            entry, sidecars = self._plan(removal, pair)
            done = self._do(entry, pair)
        except Refused as refusal:
            return Outcome(removal.path, Result.REFUSED, refusal.reason)
        return self._with_sidecars(done, entry, sidecars)

    def _check(self, removal: Removal) -> _Pair:
        file = verify(removal.path, removal.sha256)
        keeper = verify_keeper(removal.keeper, removal.keeper_sha256)
        if None in (file.standing.identity, keeper.standing.identity):
            self._check_undoable()
        if same_file(removal.path, removal.keeper):
            raise Refused(f"the same file as the kept one, by another name: {removal.keeper}")
        if file in self._kept:
            raise Refused("kept in place of others in this run")
        link = self._links.get(file.standing.identity) if file.standing.identity else None
        if link is not None:  # links stay, so what they lead to must stay as well
            raise Refused(f"a symbolic link would lead nowhere: {link}")
        if self._action is Action.DELETE:
            self._check_sidecars(removal)
        if self._action.links and file.sha256 != keeper.sha256:
            raise Refused("not the same bytes as the kept file, so a link would show another picture")
        if self._action is Action.HARDLINK and file.standing.device != keeper.standing.device:
            raise Refused("not on the file system of the kept file, which hard links cannot leave")
        return _Pair(file, keeper)

    def _check_undoable(self) -> None:
        """Refuse what would lose the kept file if that should be the same one by another name."""
        if self._action not in (Action.TRASH, Action.MOVE):
            raise Refused(
                "this file system does not tell whether it is the kept file by another name: "
                "use --apply trash or move"
            )

    def _check_sidecars(self, removal: Removal) -> None:
        try:
            kept = {sidecar.read_bytes() for sidecar in self._kept_sidecars.of(removal.keeper)}
            lost = [each for each in self._sidecars.of(removal.path) if each.read_bytes() not in kept]
        except OSError as problem:
            raise Refused(words(problem)) from problem
        if lost:
            raise Refused(
                f"{lost[0].name} beside it would be lost, and the kept file has no such sidecar: move it "
                "there, or use --apply trash"
            )

    def _plan(self, removal: Removal, pair: _Pair) -> tuple[Entry, list[Path]]:
        sidecars = [] if self._action.links else self._sidecars.of(removal.path)
        target = None
        try:
            place = self._free_place(removal, sidecars) if self._destination else None
            if self._action is Action.SYMLINK:
                target = linking.target_for(removal.path, removal.keeper)
            entry = self._entry(pair.file, place)
        except OSError as problem:
            raise Refused(words(problem)) from problem
        keeper, keeper_sha256 = removal.keeper, removal.keeper_sha256
        return replace(entry, keeper=keeper, keeper_sha256=keeper_sha256, target=target), sidecars

    def _free_place(self, removal: Removal, sidecars: list[Path]) -> Path:
        """Find a name below the destination at which nothing stands, nor where the sidecars are to go."""
        assert self._destination is not None
        below = PurePosixPath(removal.relative)
        if below.is_absolute() or ".." in below.parts or not below.name:
            raise Refused(f"its path below the folder leads out of it: {removal.relative}")
        wanted = self._destination / below
        if same_entry(removal.path, wanted):
            raise Refused("it lies there already")
        for number in range(1, NAMES_MAX):
            place = wanted.with_name(moving.numbered(wanted.name, number))
            beside = [_beside(sidecar, removal.path, place) for sidecar in sidecars]
            if not any(map(os.path.lexists, (place, *beside))):
                return place
        raise Refused(f"too many files are called {wanted.name} in {wanted.parent}")

    def _entry(self, file: Examined, place: Path | None) -> Entry:
        self._entries += 1
        return Entry(
            number=self._entries - 1,
            path=file.path,
            sha256=file.sha256,
            size=file.standing.size,
            mtime_ns=file.standing.mtime_ns,
            mode=file.standing.mode & 0o7777,
            inode=file.standing.inode,
            temporary=moving.temporary_name(),
            place=place,
            made=moving.missing_folders(place.parent) if place else (),
        )

    def _do(self, entry: Entry, pair: _Pair) -> Outcome:
        if self._journal is None:
            self._journal = Journal.begin(self.library, self._action)
        self._journal.intend(entry)
        try:
            pair.check()
            place = _act(self._action, entry, pair)
        except (Refused, OSError) as problem:
            reason = problem.reason if isinstance(problem, Refused) else words(problem)
            if pair.file.left_alone():  # else undoing finds out
                self._journal.fail(entry.number, reason)
            raise Refused(reason) from problem
        self._journal.finish(entry.number, place)
        size = pair.file.standing.size
        freed = size if self._is_last_name(pair.file.standing) else 0
        return Outcome(entry.path, Result.DONE, place=place, size=size, bytes_freed=freed)

    def _is_last_name(self, gone: Standing) -> bool:
        """Count a name of a file as gone; tell whether it was the last.

        By the count of names when the first went: in the trash a file keeps the names that went before.
        """
        if gone.identity is None:
            return gone.links <= 1
        left = self._names_left.pop(gone.identity, gone.links) - 1
        if left:
            self._names_left[gone.identity] = left
        return not left

    def _with_sidecars(self, done: Outcome, entry: Entry, sidecars: list[Path]) -> Outcome:
        for sidecar in sidecars:
            try:
                moved = self._do_sidecar(sidecar, entry)
            except Refused as refusal:
                stayed = f"its sidecar {sidecar.name} stayed: {refusal.reason}"
                done = replace(done, reason="; ".join(filter(None, (done.reason, stayed))))
            else:
                done = replace(
                    done,
                    sidecars=(*done.sidecars, sidecar),
                    size=done.size + moved.size,
                    bytes_freed=done.bytes_freed + moved.bytes_freed,
                )
        return done

    def _do_sidecar(self, sidecar: Path, image: Entry) -> Outcome:
        file = examine(sidecar)
        place = _beside(sidecar, image.path, image.place) if image.place else None
        return self._do(replace(self._entry(file, place), sidecar_of=image.number), _Pair(file))


def _beside(sidecar: Path, image: Path, place: Path) -> Path:
    """Give where a sidecar goes when its image goes to `place`."""
    return place.with_name(renamed(sidecar.name, image.name, place.name))


def _act(action: Action, entry: Entry, pair: _Pair) -> Path | None:
    """Touch the file, now that all is checked and told; give where it lies afterwards."""
    match action:
        case Action.TRASH:
            return trash.put(pair.file)
        case Action.MOVE:
            assert entry.place is not None
            return _move(entry, pair.file, entry.place)
        case Action.HARDLINK:
            assert pair.keeper is not None
            linking.hard_link(entry.path, pair.keeper, entry.temporary)
        case Action.SYMLINK:
            assert pair.keeper is not None
            assert entry.target is not None
            linking.symbolic_link(entry.path, pair.keeper, entry.target, entry.temporary)
        case Action.DELETE:
            entry.path.unlink()
    return None


def _move(entry: Entry, file: Examined, place: Path) -> Path:
    try:
        moving.make_folders(entry.made)
        moving.move(file, place, entry.temporary)
    except BaseException:
        moving.remove_empty(entry.made)
        raise
    return place
