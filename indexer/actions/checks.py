"""Checks: whether a file still is what the report saw, at the moment before it is touched."""

import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..paths import identity_of
from .records import Refused

# A pipe that came to stand in a file's place would keep an ordinary open waiting for ever.
_OPEN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the system tells of a file: as long as it tells the same, nobody has written the file."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int
    links: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Take what matters from a stat."""
        return cls(
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_mode,
            status.st_nlink,
        )

    @property
    def identity(self) -> tuple[int, int] | None:
        """Give what all names of one file share; None where the file system does not tell files apart."""
        return (self.device, self.inode) if self.inode else None


@dataclass(frozen=True, slots=True)
class Examined:
    """A file that was read from end to end."""

    path: Path
    sha256: bytes
    standing: Standing
    follow_links: bool = False

    def still(self) -> bool:
        """Tell whether the file is there as it was read; costs one look and no reading."""
        return self._now() == self.standing

    def left_alone(self) -> bool:
        """Tell whether the file is there with its bytes; its count of names may have gone up and down."""
        now, then = self._now(), self.standing
        return now is not None and (now.identity, now.size, now.mtime_ns) == (
            then.identity,
            then.size,
            then.mtime_ns,
        )

    def _now(self) -> Standing | None:
        try:
            return Standing.of(self.path.stat(follow_symlinks=self.follow_links))
        except OSError:
            return None


def examine(path: Path, *, follow_links: bool = False) -> Examined:
    """Read a file and take its hash; raise Refused unless it is a regular file that holds still meanwhile."""
    try:
        before = _regular(path.stat(follow_symlinks=follow_links))
        with os.fdopen(os.open(path, _OPEN), "rb") as file:
            _regular(os.fstat(file.fileno()))
            sha256 = hashlib.file_digest(file, "sha256").digest()
        after = _regular(path.stat(follow_symlinks=follow_links))
    except (FileNotFoundError, NotADirectoryError):
        raise Refused("no longer there") from None
    except OSError as problem:
        raise Refused(f"cannot be read: {words(problem)}") from problem
    if before != after:
        raise Refused("being written by another program")
    return Examined(path, sha256, after, follow_links)


def verify(path: Path, sha256: bytes, *, follow_links: bool = False) -> Examined:
    """Read a file; raise Refused unless it has the bytes that are expected of it."""
    examined = examine(path, follow_links=follow_links)
    if examined.sha256 != sha256:
        raise Refused("changed since the report")
    return examined


def verify_keeper(path: Path, sha256: bytes) -> Examined:
    """Read the file that is kept; raise Refused, which names it, unless it is as the report saw it."""
    try:
        return verify(path, sha256, follow_links=True)
    except Refused as refusal:
        raise Refused(f"the kept file {path}: {refusal.reason}") from refusal


def has_bytes(path: Path, sha256: bytes) -> bool:
    """Tell whether a regular file with these bytes is there."""
    try:
        return examine(path).sha256 == sha256
    except Refused:
        return False


def same_entry(one: Path, other: Path) -> bool:
    """Tell whether two paths name one and the same entry of one folder, by whatever links they lead there."""
    if one.name.casefold() != other.name.casefold():  # a file system may not tell upper from lower case
        return False
    return same_file(one.parent, other.parent)


def same_file(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to one and the same file or folder.

    By where links lead if the file system does not tell files apart, where `samefile` says so of any two.
    """
    first, second = identity_of(one), identity_of(other)
    if first is not None and second is not None:
        return first == second
    if not (os.path.exists(one) and os.path.exists(other)):  # noqa: PTH110 a Path raises for want of rights
        return False
    return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))


class Kept:
    """The files that stay: no removal may touch one, under whatever name."""

    def __init__(self, keepers: Iterable[Path]) -> None:
        self._paths = frozenset(keepers)
        self._identities = frozenset(filter(None, map(identity_of, self._paths)))

    def __contains__(self, file: Examined) -> bool:
        return file.path in self._paths or file.standing.identity in self._identities  # which has no None


def words(problem: OSError) -> str:
    """Say in plain words what the system refused."""
    return os.strerror(problem.errno).lower() if problem.errno else str(problem)


def _regular(status: os.stat_result) -> Standing:
    if stat.S_ISLNK(status.st_mode):
        raise Refused("a symbolic link, not a file of its own")
    if stat.S_ISDIR(status.st_mode):
        raise Refused("a folder stands in its place")
    if not stat.S_ISREG(status.st_mode):
        raise Refused("something that is no file stands in its place")
    return Standing.of(status)
