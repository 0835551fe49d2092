"""The library: a folder with a catalog and vectors, opened by many readers and one writer."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import LibraryMissing
from . import revisions
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

    A catalog of an older program is upgraded first. Raises LibraryMissing, CatalogNewerThanProgram,
    CatalogDamaged.
    """
    path = absolute(path)
    reader = LibraryReader(path, faiss_from=faiss_from)
    try:
        if _revision(reader, path) != revisions.HEAD:
            open_for_writing(path, create=False).close()
    except BaseException:
        reader.close()
        raise
    return reader


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
