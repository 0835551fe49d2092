"""The journal: what was done to a user's files, a file of JSON lines for each run, so that it can be undone.

A line that says what is about to be done to a file has reached the disk before the file is touched. What the
lines mean stands in docs/formats.md.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from io import FileIO
from pathlib import Path
from typing import Any, Self

from ..errors import JournalUnreadable, RunUnknown
from ..store.failures import explained
from ..store.files import sync_folder
from ..store.lock import WriterLock
from ..store.names import absolute, decode_name, encode_name
from .checks import words
from .records import Action

FORMAT = 1
SUFFIX = ".jsonl"
Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """What is about to be done to a file; all that is needed to undo it."""

    number: int  # within the run, from 0
    path: Path
    sha256: bytes
    size: int
    mtime_ns: int
    mode: int  # permissions
    inode: int
    temporary: str  # the name of a file that may be made beside `path` or `place`
    place: Path | None = None  # where it goes; of the trash only known once it is there
    keeper: Path | None = None
    keeper_sha256: bytes | None = None
    target: str | None = None  # of a symbolic link, as it is written in it
    made: tuple[Path, ...] = ()  # folders made for it, the outermost first
    sidecar_of: int | None = None  # the entry of its image


class Step(StrEnum):
    """How far an entry has come."""

    INTENDED = "intended"  # the run was killed here: the disk tells whether it was done
    DONE = "done"
    FAILED = "failed"  # the file was left as it was
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Run:
    """A run of actions as its journal tells of it."""

    library: Path
    name: str
    action: Action
    started: datetime
    entries: tuple[Entry, ...]
    steps: tuple[Step, ...]  # one for each entry

    @property
    def touched(self) -> tuple[Entry, ...]:
        """Give the entries of files that were touched, or may have been."""
        return tuple(e for e, step in self._each() if step is not Step.FAILED)

    @property
    def pending(self) -> tuple[Entry, ...]:
        """Give the entries that undoing has still to do."""
        return tuple(e for e, step in self._each() if step in (Step.INTENDED, Step.DONE))

    @property
    def state(self) -> str:
        """Say in words how it stands with the run."""
        if not self.touched:
            return "nothing done"
        if not self.pending:
            return "undone"
        if self.action is Action.DELETE:
            return "deleted for good"
        if Step.UNDONE in self.steps:
            return "partly undone"
        return "broken off" if Step.INTENDED in self.steps else "done"

    def _each(self) -> Iterator[tuple[Entry, Step]]:
        return zip(self.entries, self.steps, strict=True)


class Journal:
    """A run's journal, open for writing."""

    def __init__(self, library: Path, name: str, file: FileIO) -> None:
        self.name = name
        self._library = library
        self._file = file

    @classmethod
    def begin(cls, library: Path, action: Action) -> Self:
        """Make the journal of a new run; raise LibraryReadOnly or DiskFull."""
        now = datetime.now(UTC)
        with explained(library):
            name, file = _create(actions_folder(library), f"{now:%Y%m%dT%H%M%SZ}")
            journal = cls(library, name, file)
            header = {"type": "run", "format": FORMAT, "action": action, "started": now.isoformat()}
            with journal._closed_on_failure():
                journal._write(header)
            sync_folder(actions_folder(library))
        return journal

    @classmethod
    def resume(cls, run: Run) -> Self:
        """Open the journal of an earlier run, to tell what is undone."""
        with explained(run.library):
            file = FileIO(_file_of(run.library, run.name), "a+")
            journal = cls(run.library, run.name, file)
            with journal._closed_on_failure():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a line that a kill tore; its file was not touched
                    journal._write_bytes(b"\n")
        return journal

    def close(self) -> None:
        """Close it; all has reached the disk then."""
        with suppress(OSError):  # what a power cut may take are lines that the disk tells as well
            os.fsync(self._file.fileno())
        self._file.close()

    def intend(self, entry: Entry) -> None:
        """Tell what is about to be done; on the disk when this returns."""
        with explained(self._library):
            self._write(_line_of(entry, self._library))
            os.fsync(self._file.fileno())

    def finish(self, number: int, place: Path | None) -> None:
        """Tell that an intention was carried out."""
        place_line = {} if place is None else {"place": _stored(place, self._library)}
        self._tell({"type": Step.DONE, "number": number, **place_line})

    def fail(self, number: int, reason: str) -> None:
        """Tell that a file was left as it was."""
        self._tell({"type": Step.FAILED, "number": number, "reason": encode_name(reason)})

    def mark_undone(self, number: int) -> None:
        """Tell that a file is as it was before the run."""
        self._tell({"type": Step.UNDONE, "number": number})

    @contextmanager
    def _closed_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._file.close()
            raise

    def _tell(self, line: Line) -> None:
        with explained(self._library):
            self._write(line)

    def _write(self, line: Line) -> None:
        self._write_bytes(json.dumps(line, ensure_ascii=False).encode("utf-8") + b"\n")

    def _write_bytes(self, data: bytes) -> None:
        while data:
            data = data[self._file.write(data) :]


def actions_folder(library: Path) -> Path:
    """Give the folder of the journals."""
    return library / "actions"


@contextmanager
def acting(library: Path) -> Iterator[None]:
    """Let one program at a time act on a library's files; raise LibraryBusy to the others."""
    with explained(library):
        actions_folder(library).mkdir(exist_ok=True)
        lock = WriterLock(actions_folder(library))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def runs(library: Path, on_unreadable: Callable[[JournalUnreadable], None] | None = None) -> list[Run]:
    """Read the journals, the newest first; one that was cut off before its first line told nothing.

    One that cannot be read is handed to `on_unreadable` and the others go on; without it, it is raised.
    """
    found = []
    files = sorted(actions_folder(library).glob(f"*{SUFFIX}"), key=lambda file: file.stem, reverse=True)
    for file in files:
        try:
            found += [_read(library, file)] if _has_begun(file) else []
        except JournalUnreadable as problem:
            if on_unreadable is None:
                raise
            on_unreadable(problem)
    return found


def find_run(library: Path, name: str) -> Run:
    """Read one journal; raise RunUnknown."""
    file = _file_of(library, name)
    if Path(name).name != name or not file.is_file():
        raise RunUnknown(name)
    return _read(library, file)


def newest_to_undo(
    library: Path, on_unreadable: Callable[[JournalUnreadable], None] | None = None
) -> Run | None:
    """Give the newest run of which something can be put back, or was deleted for good."""
    return next((run for run in runs(library, on_unreadable) if run.pending), None)


def _create(folder: Path, stamp: str) -> tuple[str, FileIO]:
    for number in range(1, 100):
        name = stamp if number == 1 else f"{stamp}-{number:02}"  # sorts behind the first
        with suppress(FileExistsError):
            return name, FileIO(folder / f"{name}{SUFFIX}", "x")
    raise FileExistsError(folder / stamp)


def _file_of(library: Path, name: str) -> Path:
    return actions_folder(library) / f"{name}{SUFFIX}"


def _has_begun(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.readline().endswith(b"\n")
    except OSError as problem:
        raise JournalUnreadable(file, words(problem)) from problem


def _read(library: Path, file: Path) -> Run:
    try:
        header, *lines = list(_lines(file))
        if header["type"] != "run":
            raise JournalUnreadable(file, "it does not begin as one")
        if header["format"] != FORMAT:
            raise JournalUnreadable(file, f"of another format: {header['format']}")
        entries, steps = _gather(lines, library)
        started = datetime.fromisoformat(header["started"])
        action = Action(header["action"])
    except OSError as problem:
        raise JournalUnreadable(file, words(problem)) from problem
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as problem:
        raise JournalUnreadable(file, "damaged, or of another program") from problem
    return Run(library, file.stem, action, started, entries, steps)


def _lines(file: Path) -> Iterator[Line]:
    with file.open("rb") as opened:
        for text in opened:
            with suppress(ValueError):  # torn by a kill before it counted, see Journal.resume
                yield json.loads(text)


def _gather(lines: list[Line], library: Path) -> tuple[tuple[Entry, ...], tuple[Step, ...]]:
    intents: dict[int, Line] = {}
    steps: dict[int, Step] = {}
    for line in lines:
        number = line["number"]
        if line["type"] == "intent":
            intents[number], steps[number] = line, Step.INTENDED
        else:
            steps[number] = Step(line["type"])
            if "place" in line:
                intents[number]["place"] = line["place"]
    entries = tuple(_entry_of(line, library) for line in intents.values())
    return entries, tuple(steps[entry.number] for entry in entries)


def _line_of(entry: Entry, library: Path) -> Line:
    """Turn an entry into a line, without what does not apply."""
    line = {
        "type": "intent",
        "number": entry.number,
        "path": _stored(entry.path, library),
        "sha256": entry.sha256.hex(),
        "size": entry.size,
        "mtime_ns": entry.mtime_ns,
        "mode": entry.mode,
        "inode": entry.inode,
        "temporary": entry.temporary,
        "place": _stored(entry.place, library) if entry.place else None,
        "keeper": _stored(entry.keeper, library) if entry.keeper else None,
        "keeper_sha256": entry.keeper_sha256.hex() if entry.keeper_sha256 else None,
        "target": encode_name(entry.target) if entry.target else None,
        "made": [_stored(folder, library) for folder in entry.made] or None,
        "sidecar_of": entry.sidecar_of,
    }
    return {key: value for key, value in line.items() if value is not None}


def _entry_of(line: Line, library: Path) -> Entry:
    return Entry(
        number=line["number"],
        path=_place(line["path"], library),
        sha256=bytes.fromhex(line["sha256"]),
        size=line["size"],
        mtime_ns=line["mtime_ns"],
        mode=line["mode"],
        inode=line["inode"],
        temporary=line["temporary"],
        place=_place(line["place"], library) if "place" in line else None,
        keeper=_place(line["keeper"], library) if "keeper" in line else None,
        keeper_sha256=bytes.fromhex(line["keeper_sha256"]) if "keeper_sha256" in line else None,
        target=decode_name(line["target"]) if "target" in line else None,
        made=tuple(_place(folder, library) for folder in line.get("made", ())),
        sidecar_of=line.get("sidecar_of"),
    )


def _stored(path: Path, library: Path) -> str:
    """Write a path: below the folder around the library without that folder, so that a drive may move."""
    around = absolute(library).parent
    return encode_name((path.relative_to(around) if path.is_relative_to(around) else path).as_posix())


def _place(stored: str, library: Path) -> Path:
    return absolute(library).parent / decode_name(stored)
