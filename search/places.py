"""Places: folders as people name them, to the names under which a library has their files."""

from collections.abc import Iterator
from itertools import chain, product
from pathlib import Path, PurePosixPath

from indexer.store.folders import as_listed, folder_below
from indexer.store.names import absolute, real
from indexer.store.reader import LibraryReader


def place_of(reader: LibraryReader, folder: Path) -> Path:
    """Give a folder's name below which the library has pictures: its own, or another that it is known by.

    Scans know a folder by its own path where that is below a root, and by a link to it where it is not.
    Gives the name back when there are none either way, and for a file: links to files go by their own names.
    """
    if reader.has_images(folder):
        return folder
    real_names = [name for name in _real_names(reader, folder) if name.is_dir()]
    others = chain(real_names, _names_in_roots(reader, real_names), _linked_names(reader, real_names))
    return next((name for name in others if name != absolute(folder) and reader.has_images(name)), folder)


def _real_names(reader: LibraryReader, folder: Path) -> list[Path]:
    """Give the names without links; of a relative folder also those below the roots."""
    below = [] if folder.is_absolute() else [root / folder for root in reader.roots()]
    return [real(name) for name in (folder, *below)]


def _names_in_roots(reader: LibraryReader, real_names: list[Path]) -> Iterator[Path]:
    """Yield the names below the roots that these folders have too, as the file system tells."""
    for name, root in product(map(as_listed, real_names), reader.roots()):
        below = folder_below(name, root)
        if below is not None:
            yield root / below


def _linked_names(reader: LibraryReader, real_names: list[Path]) -> Iterator[Path]:
    """Yield the names by which the library has these folders because links lead to them, shortest first."""
    if real_names:
        yield from (name for name in _folders_with_images(reader) if real(name) in real_names)


def _folders_with_images(reader: LibraryReader) -> list[Path]:
    """Give all folders below the roots at or below which the library has a picture, shortest name first."""
    above = {(root, folder) for root, path in reader.folders() for folder in _at_and_above(path)}
    return sorted((root / folder for root, folder in above), key=lambda name: len(str(name)))


def _at_and_above(folder: str) -> list[str]:
    path = PurePosixPath(folder)
    return [str(each) for each in (path, *path.parents) if str(each) != "."]
