"""Sides: the files of a training or test set, given as a folder, a list of files, or a library."""

import codecs
import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import FolderMissing, UsageError
from indexer.store.files import LIBRARY_NAME, catalog_file
from indexer.store.library import open_library
from indexer.store.names import absolute

SHOWN_MAX = 200  # characters of a line that is no file name


@dataclass(frozen=True, slots=True)
class Side:
    """Which files are on one side of a split."""

    place: Path  # as it was given, absolute
    folders: tuple[Path, ...]  # that hold them all
    files: frozenset[Path] | None  # None: everything in the folders
    missing: int = 0  # files on the list that are not there

    def holds(self, path: Path) -> bool:
        """Tell whether a file is on this side."""
        if self.files is not None:
            return path in self.files
        return any(path.is_relative_to(folder) for folder in self.folders)

    def lies_inside(self, other: "Side") -> bool:
        """Tell whether all of this side is below the other's folders."""
        return other.files is None and all(map(other.holds, self.folders))


def read_side(place: Path) -> Side:
    """Find out what a path stands for; raise FolderMissing, or UsageError for a list without any file.

    A library is its .sightline folder, and stands for the files it holds. A list has one path a line, or
    paths ended by zero bytes; relative ones count from the list's folder.
    """
    place = absolute(place)
    if os.path.isdir(place):  # noqa: PTH112  # Path.is_dir raises for a name that is too long
        is_library = place.name == LIBRARY_NAME or catalog_file(place).exists()
        return _library(place) if is_library else Side(place, (place.resolve(),), None)
    if os.path.isfile(place):  # noqa: PTH113
        return _list(place)
    raise FolderMissing(place)


def _library(place: Path) -> Side:
    with open_library(place) as reader:
        ids, _, _ = reader.fingerprints()
        images = reader.images(ids.tolist())
        files = frozenset(image.path for copies in images.values() for image in copies)
        return Side(place, reader.roots(), files)


def _list(place: Path) -> Side:
    names = _names_in(place)
    named = {absolute(place.parent / name): name for name in names}
    there = [path for path, name in named.items() if _is_there(path, name, place)]
    files = frozenset(map(_as_indexed, there))
    if not files:
        raise UsageError(f"{place}: names no file that is there; a list has one path a line")
    return Side(place, _outermost({file.parent for file in files}), files, len(named) - len(there))


def _names_in(place: Path) -> list[str]:
    """Read the names on a list; raise UsageError where they are in letters that cannot be told."""
    content = place.read_bytes().removeprefix(codecs.BOM_UTF8)  # which editors on Windows write
    try:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # PowerShell's > writes it
            content = os.fsencode(content.decode("utf-16"))
        lines = content.split(b"\0") if b"\0" in content else content.splitlines()
        return [os.fsdecode(line) for line in lines if line.strip()]
    except UnicodeError as problem:
        raise UsageError(
            f"{place}: has a line that is not in UTF-8, nor is it all in UTF-16; write the list anew in UTF-8"
        ) from problem


def _is_there(path: Path, name: str, source: Path) -> bool:
    """Tell whether a listed path is a file; raise UsageError where no file can be called so."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError as problem:
        if problem.errno != errno.ENAMETOOLONG:
            return False
        start = "".join(letter if letter.isprintable() else "?" for letter in name[:SHOWN_MAX])
        raise UsageError(
            f"{source}: has a line that is too long for a file name: {start}…; a list has one path a line"
        ) from problem


def _as_indexed(file: Path) -> Path:
    """Give the path that indexing finds a file by: its folder's own, where a link leads to that."""
    return file.parent.resolve() / file.name


def _outermost(folders: set[Path]) -> tuple[Path, ...]:
    return tuple(sorted(folder for folder in folders if not folders.intersection(folder.parents)))
