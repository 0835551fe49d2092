"""Errors: one family, grouped by what the caller does next, each with its exit code.

SightlineError                    1  anything we can explain
├── UsageError                    2  the request is off: change it and call again
│   ├── FolderMissing
│   ├── QueryInvalid
│   │   └── ExampleMissing
│   ├── EncoderUnknown
│   ├── RunUnknown
│   ├── PairsInvalid                 nothing to be learned from them as they are
│   └── DeletedForGood               no undoing of that
├── LibraryError                  3  the library on disk does not allow this
│   ├── LibraryMissing               make one with `sightline index`
│   ├── LibraryEmpty
│   ├── LibraryReadOnly
│   │   └── FileSystemUnfit
│   ├── CatalogNewerThanProgram
│   ├── CatalogDamaged
│   ├── JournalUnreadable
│   ├── EncoderMismatch              the query and the library speak different encoders
│   └── VectorsMissing               no image was indexed with that encoder yet
├── LibraryBusy                   4  another process is writing: wait, or stop it
├── EncoderError                  5  the model cannot be loaded or run
│   ├── WeightsUnavailable
│   ├── NoPatchVectors               it cannot tell where in an image something is
│   └── HeadUnfit
├── SystemRefused                    a file or folder that the system does not let us use
├── TrainingFailed                7  the training cannot go on; the last checkpoint is kept
└── DiskFull                      6  free some space; what was committed is kept
    └── TemporaryFolderFull

Interrupted by Ctrl-C is 130, as shells have it. A bad image is no error but a value: `records.Skipped`.
"""

import errno
import os
import shlex
from pathlib import Path
from typing import ClassVar


def _shell(word: Path | str) -> str:
    """Write a path or a name as a shell takes it: with quotes when it has blanks."""
    return shlex.quote(str(word))


class SightlineError(Exception):
    """Anything we can explain to a person in one line: what, why, what to do."""

    exit_code: ClassVar[int] = 1


class UsageError(SightlineError):
    """The request itself is off."""

    exit_code = 2


class FolderMissing(UsageError):
    """A folder that was named is not there."""

    def __init__(self, path: Path, meant: str | None = None) -> None:
        super().__init__(path, meant)
        self.path = path
        self.meant = meant  # one that is there, by what else was typed

    def __str__(self) -> str:
        if self.meant is not None:
            return f"{self.path}: no such folder; did you forget quotes? {_shell(self.meant)}"
        return f"{self.path}: no such folder; check the spelling, or mount the drive it is on"


class QueryInvalid(UsageError):
    """A query that cannot be read; carries the sentence for the user."""


class ExampleMissing(QueryInvalid):
    """An example image that is not there."""

    def __init__(
        self, path: Path, *, among_words: bool = False, meant: str | None = None, known: tuple[Path, ...] = ()
    ) -> None:
        super().__init__(path)
        self.path = path
        self.among_words = among_words  # it may have been meant as a word
        self.meant = meant  # a file that is there, by what else was typed
        self.known = known  # files of that name in the library

    def __str__(self) -> str:
        return f"{self.path}: no such file; {self._remedy()}"

    def _remedy(self) -> str:
        if self.meant is not None:
            return f"did you forget quotes? {_shell(self.meant)}"
        if self.known:
            return f"did you mean {' or '.join(map(_shell, self.known))}?"
        words = ", or, to search for words, leave out ./ and the ending" if self.among_words else ""
        return f"check the spelling{words}"


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
    """No library at the place that was named, or at and above the current folder."""

    def __init__(
        self,
        path: Path,
        *,
        above: Path | None = None,
        below: tuple[Path, ...] = (),
        named_by: str | None = None,
        searched: bool = False,
    ) -> None:
        super().__init__(path)
        self.path = path
        self.above = above  # the folder of the nearest library above one that was named
        self.below = below  # folders just below the current one that have a library
        self.named_by = named_by  # the option or variable
        self.searched = searched  # above `path` too

    def __str__(self) -> str:
        where = f"at or above {self.path}" if self.searched else f"in {self.path}"
        named = f", which {self.named_by} names" if self.named_by else ""
        return f"no library {where}{named}; {self._remedy()}"

    def _remedy(self) -> str:
        if self.above is not None:
            return f"one lies above it: --library {_shell(self.above)}"
        if self.below:
            return _remedy_below(list(map(_shell, self.below)))
        make = f"make one with: sightline index {_worth_indexing(self.path)}"
        if self.searched:
            return f"cd to an indexed folder, or name it with --library FOLDER, or {make}"
        return f"check the spelling, or {make}" if self.named_by else make


def _remedy_below(folders: list[str]) -> str:
    if len(folders) == 1:
        return f"there is one in {folders[0]}: cd {folders[0]}, or add --library {folders[0]}"
    return f"there are some in {', '.join(folders)}: cd to one, or name it, as in --library {folders[0]}"


def _worth_indexing(folder: Path) -> str:
    """Name a folder to index; the home folder and all above it hold much that is no picture of one's own."""
    home = os.path.realpath(os.path.expanduser("~"))  # noqa: PTH111  (Path.home may raise)
    too_wide = Path(home).is_relative_to(os.path.realpath(folder))
    return "FOLDER" if too_wide or not os.path.isdir(folder) else _shell(folder)  # noqa: PTH112


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


class FileSystemUnfit(LibraryReadOnly):
    """A file system on which a library can be read at best: nothing is wrong with the library itself."""

    def __str__(self) -> str:
        return (
            f"{self.path}: this file system cannot hold a library, its locks or shared memory do not work; "
            "keep the library on a local disk with --library PATH or SIGHTLINE_LIBRARY"
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

    def __init__(self, wanted: str, available: tuple[str, ...], unknown: str | None = None) -> None:
        super().__init__(wanted, available, unknown)
        self.wanted = wanted
        self.available = available
        self.unknown = unknown  # why no model has that name

    def __str__(self) -> str:
        have = ", ".join(self.available) or "none"
        said = f"this library was not indexed with {self.wanted!r} (it has: {have})"
        if self.unknown:
            return f"{said}, and there is no such model: {self.unknown}; leave --model out"
        return f"{said}; leave --model out, or run: sightline index --model {_shell(self.wanted)}"


class VectorsMissing(LibraryError):
    """A query asked for an encoder that the library knows, and has no vectors of."""

    def __init__(self, wanted: str) -> None:
        super().__init__(wanted)
        self.wanted = wanted

    def __str__(self) -> str:
        return (
            f"the library holds no vectors of {self.wanted} yet; "
            f"leave --model out, or run: sightline index --model {_shell(self.wanted)}"
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


class NoPatchVectors(EncoderError):
    """A model whose image vector cannot be traced to places in the picture."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.name} cannot tell where in a picture something is: {self.reason}; use builtin, or an "
            "open_clip model of the ViT, RN50 or ConvNeXt families"
        )


class HeadUnfit(EncoderError):
    """A head beside an encoder that it does not belong to, or that cannot be read."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(file, reason)
        self.file = file
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.file}: {self.reason}; move it away, leave it out with `sightline highlight --no-head`, "
            "or train one: sightline train PAIRS --method pacl --from MODEL --out RUN"
        )


class SystemRefused(SightlineError):
    """The system did not let us read or write something; carries its reason."""

    def __init__(self, path: str | None, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return self.reason if self.path is None else f"{self.path}: {self.reason}"


class TrainingFailed(SightlineError):
    """A training that cannot go on; carries the sentence for the user. The last checkpoint is kept."""

    exit_code = 7


class DiskFull(SightlineError):
    """There is no room left for the library."""

    exit_code = 6

    def __init__(self, path: Path | None) -> None:
        super().__init__(path)
        self.path = path  # None: the system does not tell

    def __str__(self) -> str:
        if self.path is None:
            return "writing: the disk is full"
        return (
            f"{self.path}: the disk is full; what was committed is kept. "
            "Free some space and run the same command again"
        )


class TemporaryFolderFull(DiskFull):
    """There is no room for temporary files, wherever the library is."""

    def __str__(self) -> str:
        return (
            f"{self.path}: the disk with the folder for temporary files is full; free some space there, or "
            "name another folder by the variable TMPDIR, and run the same command again"
        )


def of_system(error: OSError) -> SightlineError:
    """Give the error of ours that stands for one of the system's."""
    name = str(error.filename) if error.filename else None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(Path(name) if name else None)
    return SystemRefused(name, (error.strerror or str(error)).lower())
