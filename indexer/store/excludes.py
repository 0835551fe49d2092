"""Excludes: which patterns `index` leaves out of which folders, as they were said last.

A pattern holds in the folder it was said of and nowhere else. Folders are stored as roots are, so that a
drive that is mounted elsewhere keeps its patterns.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .catalog import get_setting
from .failures import explained
from .folders import as_listed, folder_below
from .names import real, root_path, stored_root
from .opening import connect_to_write
from .reader import LibraryReader

if TYPE_CHECKING:
    from .writer import LibraryWriter  # `status` does without it

_KEY = "exclude"
_PUT = "INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


@dataclass(frozen=True, slots=True)
class Exclude:
    """A pattern with the folder it was said of."""

    folder: Path  # absolute, without links
    pattern: str


def get_excludes(reader: LibraryReader) -> tuple[Exclude, ...]:
    """Give what was said of each folder, in that order."""
    with reader.reading() as connection:
        stored: dict[str, list[str]] = json.loads(get_setting(connection, _KEY) or "{}")
    places = {name: real(root_path(name, reader.path)) for name in stored}
    return tuple(Exclude(places[name], pattern) for name, patterns in stored.items() for pattern in patterns)


def put_excludes(writer: "LibraryWriter", excludes: Iterable[Exclude]) -> None:
    """Leave these out, and nothing else, from now on."""
    by_folder: dict[Path, list[str]] = {}
    for exclude in excludes:
        by_folder.setdefault(exclude.folder, []).append(exclude.pattern)
    stored = {stored_root(folder, writer.path): patterns for folder, patterns in by_folder.items()}
    with explained(writer.path), closing(connect_to_write(writer.path)) as connection:
        connection.execute(_PUT, (_KEY, json.dumps(stored)))


def replaced(
    excludes: Sequence[Exclude], folders: Sequence[Path], patterns: Sequence[str]
) -> tuple[Exclude, ...]:
    """Say patterns of folders anew; what was said of them or of folders inside them holds no longer."""
    over = set(said_within(excludes, folders))
    said = [Exclude(folder, pattern) for folder in folders for pattern in patterns]
    return tuple(dict.fromkeys([*(exclude for exclude in excludes if exclude not in over), *said]))


def said_within(excludes: Iterable[Exclude], folders: Collection[Path]) -> list[Exclude]:
    """Give those that were said of one of the folders, or of one inside them."""
    named = set(folders)
    return [each for each in excludes if not named.isdisjoint((each.folder, *each.folder.parents))]


def said_around(excludes: Iterable[Exclude], folders: Collection[Path]) -> list[Exclude]:
    """Give those that were said of none of the folders, but of one around them, and so hold in them too."""
    around = {parent for folder in folders for parent in folder.parents}.difference(folders)
    return [each for each in excludes if each.folder in around]


def placed(folder: Path, covered: Mapping[Path, object]) -> Path:
    """Give a folder's name as the library has it that covers these, without links; else its own.

    It may be asked for by another name than it was said by, as on a file system that is mounted twice.
    """
    listed = as_listed(folder)
    if not covered.keys().isdisjoint((listed, *listed.parents)):
        return listed
    found = ((root, folder_below(listed, root)) for root in covered)
    return next((root / below for root, below in found if below is not None), listed)


def without_empty(patterns: Iterable[str]) -> tuple[str, ...]:
    """Drop patterns that name nothing, as an empty variable of a shell does: '', '.', './'."""
    return tuple(each for each in patterns if set(each.replace("\\", "/").split("/")) - {"", "."})
