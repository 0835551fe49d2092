"""Places: which library a command or a caller means."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from indexer.errors import FolderMissing, LibraryMissing, UsageError
from indexer.store.files import LIBRARY_NAME, catalog_file, find_library

VARIABLE = "SIGHTLINE_LIBRARY"


def library_to_read(option: Path | None, environ: Mapping[str, str], here: Path | None = None) -> Path:
    """Give the library folder: the option's, else the variable's, else the nearest at or above `here`.

    here: the current folder when it is left out, which is asked for only if no library is named. Raises
    LibraryMissing, and FolderMissing when the current folder was deleted.
    """
    named = option or _from_environment(environ)
    if named is not None:
        folder = as_library(named)
        if not is_library(folder):
            raise LibraryMissing(named)
        return folder
    start = here or current_folder(environ)
    found = find_library(start)
    if found is None:
        raise LibraryMissing(start)
    return found


def current_folder(environ: Mapping[str, str]) -> Path:
    """Give the current folder; raises FolderMissing, by the name the shell knows, when it was deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise FolderMissing(Path(environ.get("PWD", "."))) from error


def library_to_write(
    option: Path | None, environ: Mapping[str, str], here: Path, folders: Sequence[Path]
) -> Path:
    """Give the library folder that an indexing run of `folders` belongs to; it may not exist yet."""
    for folder in folders:
        if not folder.is_dir():
            raise FolderMissing(folder)
    folders = [folder.absolute() for folder in folders]
    named = option or _from_environment(environ)
    if named is not None:
        return as_library(named)
    if not folders:
        return library_to_read(None, environ, here)
    above = {find_library(folder) for folder in folders}
    if len(above) == 1 and None not in above:
        return above.pop()  # type: ignore[return-value]
    if len(folders) == 1:
        return folders[0] / LIBRARY_NAME
    common = find_library(here)
    if common is None:
        raise UsageError(
            "several folders need one library: name it with --library PATH, or run from a folder that has one"
        )
    return common


def as_library(path: Path) -> Path:
    """Read a path as a library: itself, or the .sightline inside a folder of images."""
    from indexer.paths import home_expanded

    path = home_expanded(path).absolute()
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
