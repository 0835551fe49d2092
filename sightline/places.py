"""Places: which library a command or a caller means."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from shlex import quote

from indexer.errors import FolderMissing, LibraryMissing, UsageError
from indexer.paths import home_expanded, identity_of
from indexer.store.files import LIBRARY_NAME, catalog_file, find_library
from indexer.store.names import absolute, real
from indexer.typed_paths import rejoined

VARIABLE = "SIGHTLINE_LIBRARY"
BELOW_MAX = 3  # libraries that are named in a message
ENTRIES_MAX = 500  # of a folder, that are looked at for the sake of a message


def library_to_read(option: Path | None, environ: Mapping[str, str], here: Path | None = None) -> Path:
    """Give the library folder: the option's, else the variable's, else the nearest at or above `here`.

    here: the current folder when it is left out, which is asked for only if no library is named. Raises
    LibraryMissing, and FolderMissing when the current folder was deleted.
    """
    named = option or _from_environment(environ)
    if named is not None:
        return _named_library(named, "--library" if option else VARIABLE)
    start = here or current_folder(environ)
    found = find_library(start)
    if found is None:
        raise LibraryMissing(start, searched=True, below=_libraries_below(start))
    return found


def library_nearby(environ: Mapping[str, str]) -> Path | None:
    """Give the library that the variable names, else the nearest at or above the current folder, if any."""
    named = _from_environment(environ)
    if named is not None:
        return library if is_library(library := as_library(named)) else None
    try:
        return find_library(current_folder(environ))
    except FolderMissing:  # it was deleted
        return None


def _named_library(named: Path, by: str) -> Path:
    """Give the library at a place that was named; above it none is taken, but told of."""
    folder = as_library(named)
    if not is_library(folder):
        place = normal(home_expanded(named))
        above = find_library(place)
        raise LibraryMissing(place, named_by=by, above=above.parent if above else None)
    return folder


def _libraries_below(folder: Path) -> tuple[Path, ...]:
    """Name folders just below one that have a library, so that it is not made once more above them."""
    found: list[Path] = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in islice(entries, ENTRIES_MAX):
            if len(found) < BELOW_MAX and _has_library(entry):
                found.append(Path(entry.name))
    return tuple(sorted(found))


def _has_library(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):  # a link to a drive that died
        is_open = not entry.name.startswith(".") and entry.is_dir()
        return is_open and is_library(Path(entry.path, LIBRARY_NAME))
    return False


def current_folder(environ: Mapping[str, str]) -> Path:
    """Give the current folder; raises FolderMissing, by the name the shell knows, when it was deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise FolderMissing(Path(environ.get("PWD", "."))) from error


def library_to_write(
    option: Path | None,
    environ: Mapping[str, str],
    here: Path,
    folders: Sequence[Path],
    *,
    notify: Callable[[str], None] = lambda line: None,
) -> Path:
    """Give the library folder that an indexing run of `folders` belongs to; it may not exist yet.

    The one that is named; else the one at or above the folders; else the one at or above `here`, for a
    folder that it covers already and for several folders; else a new one in the folder. notify is told when
    a new one would lie near another, which may have been meant. Without folders, the one that is there.

    Raises FolderMissing, LibraryMissing, UsageError, and LibraryBusy, CatalogDamaged and their like when the
    one at or above `here` cannot be asked what it covers.
    """
    if not folders:
        return library_to_read(option, environ, here)
    for number, folder in enumerate(folders):
        if not folder.is_dir():
            raise FolderMissing(folder, rejoined(list(map(str, folders)), number))
    named = option or _from_environment(environ)
    library = as_library(named) if named else _unnamed(here, list(map(normal, folders)))
    if not is_library(library) and (note := _note_of_new(library, None if named else here)):
        notify(note)
    return library


def _unnamed(here: Path, folders: Sequence[Path]) -> Path:
    above = {find_library(folder) for folder in folders}
    if len(above) == 1 and None not in above:
        return above.pop()  # type: ignore[return-value]
    common = find_library(here)
    if len(folders) == 1:
        return common if common and _covers(common, folders[0]) else folders[0] / LIBRARY_NAME
    if common is None:
        raise UsageError(
            "several folders need one library: name it with --library PATH, or run from a folder that has one"
        )
    return common


def _note_of_new(library: Path, here: Path | None) -> str | None:
    """Say of a library that is about to be made which other one lies above it, below it or at `here`."""
    folder = library.parent if library.name == LIBRARY_NAME else library
    new = f"making a new library in {folder}"
    if above := find_library(folder.parent):
        return f"{new}, below that of {above.parent}; each of them is searched by itself"
    if below := _libraries_below(folder):
        names = ", ".join(str(folder / name) for name in below)
        return f"{new}, above that of {names}; each of them is searched by itself"
    if here and (common := find_library(here)):
        return f"{new}; --library {quote(str(common.parent))} adds it to the one of the current folder"
    return None


def _covers(library: Path, folder: Path) -> bool:
    """Tell whether a folder is one of the library's, or below one, by whatever name.

    Raises LibraryBusy, CatalogDamaged: taken for a no, they would found a second library of the same images.
    """
    from indexer.store.folders import as_listed, folder_below
    from indexer.store.lookup import roots_of

    listed = as_listed(folder)
    return any(folder_below(listed, root) is not None for root in roots_of(library))


def normal(path: Path) -> Path:
    """Make a path absolute and free of `..`; where that leads elsewhere, because of links, follow these.

    What stands behind the last `..` is kept: it may be a link that a library knows by its own name, or gone.
    """
    parts = path.parts
    if ".." in parts:
        end = len(parts) - parts[::-1].index("..")
        above = Path(*parts[:end])
        if identity_of(absolute(above)) != identity_of(above):
            return real(above).joinpath(*parts[end:])
    return absolute(path)


def as_library(path: Path) -> Path:
    """Read a path as a library: itself, or the .sightline inside a folder of images."""
    path = normal(home_expanded(path))
    if is_library(path) or path.name == LIBRARY_NAME:
        return path
    inside = path / LIBRARY_NAME
    if is_library(inside):
        return inside
    # A folder that holds something else is someone's images: the library goes inside, out of their way.
    return inside if path.is_dir() and not all(map(_is_ours, path.iterdir())) else path


def _is_ours(entry: Path) -> bool:
    """Tell what a run that was killed early leaves in a library."""
    return entry.name in ("lock", "lock.json", "vectors", "backups", "actions") or entry.name.startswith(
        "catalog.sqlite"
    )


def is_library(folder: Path) -> bool:
    """Tell whether a catalog is there."""
    return catalog_file(folder).is_file()


def _from_environment(environ: Mapping[str, str]) -> Path | None:
    value = environ.get(VARIABLE)
    return Path(value) if value else None
