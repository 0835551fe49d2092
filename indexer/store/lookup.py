"""Lookup: what a library covers, and where it has a file, read without heavy imports."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from .failures import explained
from .names import decode_name, encode_name, root_path
from .opening import connect_to_read

NAME_MAX = 1000  # letters; SQLite refuses patterns of 50,000 bytes
# LIKE takes capitals and small letters of ASCII for the same, which is welcome here.
_NAMED = r"""
SELECT root.path, file.path FROM file JOIN root ON root.id = file.root_id
WHERE file.path LIKE ?1 ESCAPE '\' OR file.path LIKE '%/' || ?1 ESCAPE '\' ORDER BY length(file.path) LIMIT ?2
"""


def roots_of(library: Path) -> list[Path]:
    """Give the folders that a library covers; none when its catalog has another schema.

    Raises LibraryMissing, CatalogDamaged.
    """
    with _reading(library) as connection:
        return [
            root_path(path, library) for (path,) in _rows(connection, "root", "SELECT path FROM root", ())
        ]


def files_named(library: Path, name: str, *, limit: int = 3) -> list[Path]:
    """Give files of a library with this name in any folder, also with other capitals; a few at most.

    Raises LibraryMissing, CatalogDamaged.
    """
    if len(name) > NAME_MAX:
        return []
    pattern = encode_name(name).replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    with _reading(library) as connection:
        rows = _rows(connection, "file", _NAMED, (pattern, limit))
    return [root_path(root, library) / decode_name(path) for root, path in rows]


@contextmanager
def _reading(library: Path) -> Iterator[sqlite3.Connection]:
    with explained(library), closing(connect_to_read(library)) as connection:
        yield connection


def _rows(
    connection: sqlite3.Connection, table: str, query: str, values: tuple[object, ...]
) -> list[tuple[str, ...]]:
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    return connection.execute(query, values).fetchall() if there else []
