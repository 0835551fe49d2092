"""Lookup: what a library covers, where it has a file and its model, read without heavy imports."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from ..errors import LibraryError, LibraryMissing
from .failures import explained
from .files import catalog_file
from .names import decode_name, encode_name, root_path
from .opening import connect_to_read

GLANCE_SECONDS = 1.0  # that a look which one can do without waits for a lock
NAME_MAX = 1000  # letters; SQLite refuses patterns of 50,000 bytes
# LIKE takes capitals and small letters of ASCII for the same, which is welcome here.
_NAMED = r"""
SELECT root.path, file.path FROM file JOIN root ON root.id = file.root_id
WHERE file.path LIKE ?1 ESCAPE '\' OR file.path LIKE '%/' || ?1 ESCAPE '\' ORDER BY length(file.path) LIMIT ?2
"""
_MODEL = """
SELECT name FROM encoder WHERE id = (SELECT CAST(value AS INTEGER) FROM setting WHERE key = 'default_encoder')
"""


def roots_of(library: Path) -> list[Path]:
    """Give the folders that a library covers; none when its catalog has another schema.

    Raises LibraryMissing, CatalogDamaged.
    """
    with _reading(library) as connection:
        return [root_path(path, library) for (path,) in _rows(connection, {"root"}, "SELECT path FROM root")]


def files_named(library: Path, name: str, *, limit: int = 3) -> list[Path]:
    """Give files of a library with this name in any folder, also with other capitals; a few at most.

    Raises LibraryMissing, CatalogDamaged.
    """
    if len(name) > NAME_MAX:
        return []
    pattern = encode_name(name).replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    with _reading(library) as connection:
        rows = _rows(connection, {"file"}, _NAMED, (pattern, limit))
    return [root_path(root, library) / decode_name(path) for root, path in rows]


def glance_at_model(library: Path) -> str | None:
    """Give the name of the model that searches use; None when there is none yet, or another schema.

    For those who can do without it: this waits a second at most, and copies nothing. Raises LibraryMissing,
    LibraryBusy, CatalogDamaged, and LibraryError for a catalog that could be read from a copy only.
    """
    with explained(library), closing(_glance(library)) as connection:
        rows = _rows(connection, {"encoder", "setting"}, _MODEL)
    return rows[0][0] if rows else None


@contextmanager
def _reading(library: Path) -> Iterator[sqlite3.Connection]:
    with explained(library), closing(connect_to_read(library)) as connection:
        yield connection


def _glance(library: Path) -> sqlite3.Connection:
    catalog = catalog_file(library)
    if not catalog.is_file():
        raise LibraryMissing(library)
    try:
        return _connected(catalog, "mode=ro")
    except sqlite3.OperationalError as problem:
        if problem.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise
        if _has_wal(catalog):
            raise LibraryError(f"{library}: cannot be read where it is, only from a copy") from problem
    return _connected(catalog, "mode=ro&immutable=1")  # at rest, where no memory can be shared


def _connected(catalog: Path, options: str) -> sqlite3.Connection:
    written = catalog.as_posix()
    host = "//" if written.startswith("//") else ""  # what follows `file://` is none of a share's name
    address = f"file:{host}{quote(os.fsencode(written))}?{options}"
    connection = sqlite3.connect(address, uri=True, timeout=GLANCE_SECONDS)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # SQLite opens the files only now
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _has_wal(catalog: Path) -> bool:
    wal = catalog.with_name(f"{catalog.name}-wal")
    return wal.is_file() and wal.stat().st_size > 0


def _rows(
    connection: sqlite3.Connection, tables: set[str], query: str, values: tuple[object, ...] = ()
) -> list[tuple[str, ...]]:
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    return connection.execute(query, values).fetchall() if tables <= there else []
