"""The WAL: SQLite's log, emptied into the catalog by whoever of this process closes a library last.

SQLite does so itself for the last connection, but ours that only read cannot write it.
"""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from .files import catalog_file

_PATIENCE_MILLISECONDS = 500  # a reader may stay for hours
_left: set[Path] = set()  # libraries whose log a writer of this process had to leave as it was


def empty_log(connection: sqlite3.Connection) -> bool:
    """Move what was written into the catalog's file; tell whether all of it could be."""
    [before] = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MILLISECONDS}")
    try:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {before}")
    return not busy


def settle(library: Path, connection: sqlite3.Connection) -> None:
    """Empty the log before a writer's connection is closed; what has to stay in it is as safe."""
    try:
        emptied = empty_log(connection)
    except sqlite3.Error:
        emptied = False
    if emptied:
        _left.discard(library)
    else:
        _left.add(library)


def settle_what_was_left(library: Path) -> None:
    """Empty the log that a writer of this process has left because there was a reader."""
    if library not in _left or not catalog_file(library).is_file():
        return
    _left.discard(library)
    with suppress(sqlite3.Error), closing(sqlite3.connect(catalog_file(library))) as connection:
        empty_log(connection)
