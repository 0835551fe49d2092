"""The library: a folder with a catalog and vectors, opened by many readers and one writer."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DiskFull, LibraryBusy, LibraryMissing, LibraryReadOnly
from . import copies, revisions
from .failures import explained
from .files import LIBRARY_NAME, catalog_file, find_library, left_behind
from .lock import WriterLock
from .names import absolute
from .nearest import FAISS_FROM_IMAGES
from .reader import LibraryReader
from .revisions import check_revision, revision_of

if TYPE_CHECKING:
    from .writer import LibraryWriter  # a search does without it

__all__ = ["find_library", "open_for_writing", "open_library"]


def open_library(path: Path, *, faiss_from: int = FAISS_FROM_IMAGES) -> LibraryReader:
    """Open a library for reading; `path` is the .sightline folder itself.

    A catalog of an older program is upgraded first; where that cannot be, a copy of it is upgraded and read.
    Raises LibraryMissing, CatalogNewerThanProgram, CatalogDamaged, and DiskFull of the temporary folder.
    """
    path = absolute(path)
    reader = LibraryReader(path, faiss_from=faiss_from)
    try:
        if not _needs_copy(reader, path):
            return reader
    except BaseException:
        reader.close()
        raise
    reader.close()
    return _reader_of_copy(path, faiss_from)


def _needs_copy(reader: LibraryReader, path: Path) -> bool:
    """Tell whether the catalog is too old to be read as it is and could not be upgraded."""
    if copies.has_stand_in(catalog_file(path)):
        return True
    if _revision(reader, path) != revisions.HEAD:
        try:
            open_for_writing(path, create=False).close()
        except (LibraryBusy, LibraryReadOnly, DiskFull):
            return True
    return False


def _reader_of_copy(path: Path, faiss_from: int) -> LibraryReader:
    from .older import ReaderOfCopy, upgrade_copy

    if not copies.has_stand_in(catalog_file(path)):
        upgrade_copy(path)
    return ReaderOfCopy(path, faiss_from=faiss_from)


def open_for_writing(path: Path, *, create: bool, faiss_from: int = FAISS_FROM_IMAGES) -> "LibraryWriter":
    """Open a library as its one writer, made when absent and `create` is set.

    Raises LibraryBusy at once when another process writes, LibraryReadOnly, DiskFull,
    CatalogNewerThanProgram.
    """
    path = absolute(path)
    if not catalog_file(path).exists():
        if not create:
            raise LibraryMissing(path.parent if path.name == LIBRARY_NAME else path)
        with explained(path):
            path.mkdir(parents=True, exist_ok=True)
    lock = WriterLock(path)
    with explained(path):
        lock.acquire()
    try:
        return _writer(path, lock, faiss_from)
    except BaseException:
        lock.release()
        raise


def _writer(path: Path, lock: WriterLock, faiss_from: int) -> "LibraryWriter":
    from .engines import engine_to_write
    from .migrate import upgrade
    from .writer import LibraryWriter

    with explained(path):
        for rest in left_behind(path):
            rest.unlink(missing_ok=True)
        connection = engine_to_write(path).connect()
        try:
            upgrade(connection, path)
            copies.forget_stand_in(catalog_file(path))
            return LibraryWriter(path, connection, lock, faiss_from=faiss_from)
        except BaseException:
            connection.close()
            connection.engine.dispose()
            raise


def _revision(reader: LibraryReader, path: Path) -> str:
    with reader.reading() as connection:
        revision = revision_of(connection)
    check_revision(revision, path, revisions.REVISIONS)
    if revision is None:
        raise LibraryMissing(path.parent if path.name == LIBRARY_NAME else path)
    return revision
