"""Lookup: what a library covers, where it has a file and its model, read without heavy imports."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from .failures import explained
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
    with _reading(library, busy_seconds=GLANCE_SECONDS, may_copy=False) as connection:
        rows = _rows(connection, {"encoder", "setting"}, _MODEL)
    return rows[0][0] if rows else None


@contextmanager
def _reading(
    library: Path, *, busy_seconds: float | None = None, may_copy: bool = True
) -> Iterator[sqlite3.Connection]:
    with (
        explained(library),
        closing(connect_to_read(library, busy_seconds=busy_seconds, may_copy=may_copy)) as connection,
    ):
        yield connection


def _rows(
    connection: sqlite3.Connection, tables: set[str], query: str, values: tuple[object, ...] = ()
) -> list[tuple[str, ...]]:
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    return connection.execute(query, values).fetchall() if tables <= there else []
