"""Records: what is to be done to a file, and what became of it."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Action(StrEnum):
    """What may be done to a file that need not stay."""

    TRASH = "trash"
    MOVE = "move"
    HARDLINK = "hardlink"
    SYMLINK = "symlink"
    DELETE = "delete"

    @property
    def links(self) -> bool:
        """Tell whether the name stays, as a link to the kept file."""
        return self in (Action.HARDLINK, Action.SYMLINK)


@dataclass(frozen=True, slots=True)
class Removal:
    """A file to get rid of, and the file that is kept in its place."""

    path: Path  # absolute
    sha256: bytes  # as the report saw it
    keeper: Path  # absolute
    keeper_sha256: bytes  # another one than `sha256` when the two are near duplicates
    relative: str  # below its root, with forward slashes: what MOVE keeps of the tree


class Result(StrEnum):
    """How it went with a file."""

    DONE = "done"
    ALREADY = "already"  # it was so before: a link to the kept file, a file that is back in its place
    REFUSED = "refused"  # the file was left alone


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file."""

    path: Path
    result: Result
    reason: str = ""  # of a refusal, without the path; else what should be known besides
    place: Path | None = None  # where the file lies now, if somewhere and if that could be learned
    sidecars: tuple[Path, ...] = ()  # that went with it; undo gives each an outcome of its own
    size: int = 0  # bytes of the file and its sidecars; of DONE only
    bytes_freed: int = 0  # of these, what no other name holds; the trash frees them when emptied
    is_gone: bool = False  # there is nothing left to put back: trying again is of no use


class Refused(Exception):
    """A file must be left alone. Stays inside the actions: it leaves as an Outcome."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Gone(Refused):
    """What was to be put back is no longer anywhere."""
