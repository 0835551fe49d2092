"""Places: folders as people name them, to the names under which a library has their files."""

from pathlib import Path

from indexer.store.catalog import filtered_ids
from indexer.store.names import absolute, real
from indexer.store.reader import LibraryReader
from indexer.store.records import Filters


def place_of(reader: LibraryReader, folder: Path) -> Path:
    """Give a folder's name below which the library has pictures: its own, or the one without links.

    Scans know a folder by its own path where that is below a root, and by a link to it where it is not.
    Gives the name back when there are none either way, and for a file: links to files go by their own names.
    """
    others = [name for name in _real_names(reader, folder) if name != absolute(folder) and name.is_dir()]
    if not others or has_images(reader, folder):
        return folder
    return next((name for name in others if has_images(reader, name)), folder)


def has_images(reader: LibraryReader, folder: Path) -> bool:
    """Tell whether the library has a picture at or below a folder, as the catalog names it."""
    with reader.reading() as connection:
        ids = filtered_ids(connection, Filters(folder=folder), reader.path)
    return ids is None or len(ids) > 0


def _real_names(reader: LibraryReader, folder: Path) -> list[Path]:
    """Give the names without links; of a relative folder also those below the roots."""
    below = [] if folder.is_absolute() else [root / folder for root in reader.roots()]
    return [real(name) for name in (folder, *below)]
