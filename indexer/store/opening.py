"""Opening: a connection to the catalog for reading, on a writable, read-only or full disk alike."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from ..errors import CatalogDamaged, LibraryError, LibraryMissing
from .copies import copy_of, upgraded_copy_of
from .files import LIBRARY_NAME, catalog_file

BUSY_SECONDS = 10.0  # SQLite's own locks are held for milliseconds; the writers' lock is ours

# What SQLite says when it cannot make the shared memory (the third: on a full disk) or lock it.
_NO_SHARED_MEMORY = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PROTOCOL,
}
_AT_REST = "mode=ro&immutable=1"  # nobody writes it: no locks, no shared memory


class Snapshot(sqlite3.Connection):
    """A connection that never sees another commit; it is for one question, and not to be kept."""


def connect_to_read(
    library: Path, *, busy_seconds: float | None = None, may_copy: bool = True
) -> sqlite3.Connection:
    """Open the catalog for reading only; wait so long for a lock, by default BUSY_SECONDS.

    SQLite needs a writable folder with some room for the shared memory of a WAL catalog. Without, a
    catalog at rest is read as immutable, and one with a WAL that a crash left is read from a temporary copy.
    So is an older one that could not be upgraded in its place. Raises LibraryMissing, CatalogDamaged,
    sqlite3.Error, and LibraryError where it takes a copy that may not be made.
    """
    catalog = catalog_file(library)
    _check_there(library, catalog)
    with upgraded_copy_of(catalog) as copy:
        if copy is not None:
            return _connect(copy, _AT_REST, Snapshot)
    try:
        return _connect(catalog, "mode=ro", busy_seconds=busy_seconds)
    except sqlite3.OperationalError as problem:
        if problem.sqlite_errorcode & 0xFF not in _NO_SHARED_MEMORY:
            raise
    if not _has_content(_beside(catalog, "-wal")):
        return _connect(catalog, _AT_REST, Snapshot)
    if not may_copy:
        raise LibraryError(f"{library}: cannot be read where it is, only from a copy")
    with copy_of(catalog) as copy:
        return _connect(copy, _AT_REST, Snapshot)


def connect_to_write(library: Path) -> sqlite3.Connection:
    """Open the catalog for reading and writing, made when absent."""
    connection = _open(catalog_file(library), "mode=rwc")
    connection.execute("PRAGMA page_size = 8192")  # bytes; a new catalog's: 7 vectors of 512 on a page, not 3
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL costs one fsync a commit, that is once in seconds of work, and lets a commit survive a power cut.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -32000")  # kibibytes; hashes land on random pages
    connection.execute("PRAGMA temp_store = FILE")  # what a scan has seen must not grow the memory
    connection.execute(
        "PRAGMA journal_size_limit = 67108864"
    )  # bytes; a reader may hold the WAL open for long
    return connection


def _check_there(library: Path, catalog: Path) -> None:
    try:
        with catalog.open("rb"):
            return
    except (FileNotFoundError, NotADirectoryError):
        named = library.parent if library.name == LIBRARY_NAME else library
        raise LibraryMissing(named) from None
    except OSError as problem:
        raise CatalogDamaged(library, problem.strerror or str(problem)) from problem


def _connect(
    catalog: Path,
    options: str,
    kind: type[sqlite3.Connection] = sqlite3.Connection,
    *,
    busy_seconds: float | None = None,
) -> sqlite3.Connection:
    connection = _open(catalog, options, kind, busy_seconds)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # SQLite opens the files only now
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _open(
    catalog: Path,
    options: str,
    kind: type[sqlite3.Connection] = sqlite3.Connection,
    busy_seconds: float | None = None,
) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{_uri(catalog)}?{options}",
        uri=True,
        timeout=BUSY_SECONDS if busy_seconds is None else busy_seconds,
        isolation_level=None,
        check_same_thread=False,
        factory=kind,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _uri(path: Path) -> str:
    """Write a path as SQLite reads it: what follows `file://` is a host, which a share's name is not."""
    written = path.as_posix()
    return f"file:{'//' if written.startswith('//') else ''}{quote(os.fsencode(written))}"


def _has_content(path: Path) -> bool:
    with suppress(OSError):
        return path.stat().st_size > 0
    return False


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
