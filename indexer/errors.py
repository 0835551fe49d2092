"""Errors: one family, grouped by what the caller does next, each with its exit code.

SightlineError                    1  anything we can explain
├── UsageError                    2  the request is off: change it and call again
│   ├── FolderMissing
│   ├── QueryInvalid
│   ├── EncoderUnknown
│   ├── RunUnknown
│   ├── PairsInvalid                 nothing to be learned from them as they are
│   └── DeletedForGood               no undoing of that
├── LibraryError                  3  the library on disk does not allow this
│   ├── LibraryMissing               make one with `sightline index`
│   ├── LibraryEmpty
│   ├── LibraryReadOnly
│   ├── CatalogNewerThanProgram
│   ├── CatalogDamaged
│   ├── JournalUnreadable
│   ├── EncoderMismatch              the query and the library speak different encoders
│   └── VectorsMissing               no image was indexed with that encoder yet
├── LibraryBusy                   4  another process is writing: wait, or stop it
├── EncoderError                  5  the model cannot be loaded or run
│   └── WeightsUnavailable
├── TrainingFailed                7  the training cannot go on; the last checkpoint is kept
└── DiskFull                      6  free some space; what was committed is kept

Interrupted by Ctrl-C is 130, as shells have it. A bad image is no error but a value: `records.Skipped`.
"""

from pathlib import Path
from typing import ClassVar


class SightlineError(Exception):
    """Anything we can explain to a person in one line: what, why, what to do."""

    exit_code: ClassVar[int] = 1


class UsageError(SightlineError):
    """The request itself is off."""

    exit_code = 2


class FolderMissing(UsageError):
    """A folder that was named is not there."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: no such folder; check the spelling, or mount the drive it is on"


class QueryInvalid(UsageError):
    """A query that cannot be read; carries the sentence for the user."""


class EncoderUnknown(UsageError):
    """A model name that names nothing we can load."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"model {self.name!r}: {self.reason}; `sightline models` lists what can be used"


class RunUnknown(UsageError):
    """A name that no run of actions has."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"no run is called {self.name!r}; `sightline undo --list` shows the runs"


class PairsInvalid(UsageError):
    """Images and texts that cannot be read, or that nothing can be learned from."""

    def __init__(self, place: Path | None, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place  # None: of the pairs as a whole
        self.reason = reason

    def __str__(self) -> str:
        return self.reason if self.place is None else f"{self.place}: {self.reason}"


class DeletedForGood(UsageError):
    """A run that cannot be undone, since it deleted."""

    def __init__(self, name: str, files: int) -> None:
        super().__init__(name, files)
        self.name = name
        self.files = files

    def __str__(self) -> str:
        return (
            f"the run {self.name} deleted {self.files:,} for good, which cannot be undone; an earlier run "
            "can be, by its name: sightline undo --list, then sightline undo --run NAME"
        )


class LibraryError(SightlineError):
    """The library on disk does not allow what was asked."""

    exit_code = 3


class LibraryMissing(LibraryError):
    """No library at the place that was named, nor above the current folder."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"no library at or above {self.path}; make one with: sightline index {self.path}"


class LibraryEmpty(LibraryError):
    """The library holds no image yet."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"the library {self.path} holds no images yet; add some with: sightline index FOLDER"


class LibraryReadOnly(LibraryError):
    """The library's folder cannot be written."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return (
            f"{self.path}: cannot be written; keep the library elsewhere with "
            "--library PATH or SIGHTLINE_LIBRARY"
        )


class CatalogNewerThanProgram(LibraryError):
    """The catalog was written by a later release."""

    def __init__(self, path: Path, revision: str) -> None:
        super().__init__(path, revision)
        self.path = path
        self.revision = revision

    def __str__(self) -> str:
        return (
            f"{self.path}: written by a newer sightline (schema {self.revision}); "
            "fetch the newest sightline and install it again, as its README says"
        )


class CatalogDamaged(LibraryError):
    """SQLite cannot read the catalog."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.path}: not a readable catalog ({self.reason}); restore a copy from its backups folder, "
            "or move it away and index again"
        )


class JournalUnreadable(LibraryError):
    """A journal of actions that cannot be read, so that nothing can be undone by it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.path}: not a journal that this sightline reads ({self.reason}); upgrade sightline, "
            "or move the file away if it is none"
        )


class EncoderMismatch(LibraryError):
    """A query was made with an encoder the library was not indexed with."""

    def __init__(self, wanted: str, available: tuple[str, ...]) -> None:
        super().__init__(wanted, available)
        self.wanted = wanted
        self.available = available

    def __str__(self) -> str:
        have = ", ".join(self.available) or "none"
        return (
            f"this library was not indexed with {self.wanted!r} (it has: {have}); "
            f"leave --model out, or run: sightline index --model {self.wanted}"
        )


class VectorsMissing(LibraryError):
    """A query asked for an encoder that the library knows, and has no vectors of."""

    def __init__(self, wanted: str) -> None:
        super().__init__(wanted)
        self.wanted = wanted

    def __str__(self) -> str:
        return (
            f"the library holds no vectors of {self.wanted} yet; "
            f"leave --model out, or run: sightline index --model {self.wanted}"
        )


class LibraryBusy(SightlineError):
    """Another process holds the writer's lock."""

    exit_code = 4

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(path, holder)
        self.path = path
        self.holder = holder

    def __str__(self) -> str:
        return f"{self.path} is being written by {self.holder}; wait for it to end, or stop it, and try again"


class EncoderError(SightlineError):
    """The model cannot be loaded or run."""

    exit_code = 5


class WeightsUnavailable(EncoderError):
    """The weights are neither here nor to be had."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"the weights of {self.name} are not to be had: {self.reason}; "
            "name a local file as ARCHITECTURE@FILE, or use --model builtin"
        )


class TrainingFailed(SightlineError):
    """A training that cannot go on; carries the sentence for the user. The last checkpoint is kept."""

    exit_code = 7


class DiskFull(SightlineError):
    """There is no room left for the library."""

    exit_code = 6

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return (
            f"{self.path}: the disk is full; what was committed is kept. "
            "Free some space and run the same command again"
        )
