"""Connections: those that read, kept for the next question and lent to one thread at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection
from typing import NamedTuple

from ..paths import identity_of
from .files import catalog_file
from .opening import Snapshot, connect_to_read

_IDLE_MAX = 5  # connections kept open while nobody asks


class _Opened(NamedTuple):
    """A connection, and which file it reads: one that was deleted or replaced is read on and on."""

    connection: Connection
    file: tuple[int, int] | None  # None: it cannot be told


class ReadingConnections:
    """Lends connections to a library's catalog; safe to share between threads.

    Each question is put to the catalog that is there by then; raises LibraryMissing when there is none.
    """

    def __init__(self, library: Path) -> None:
        self._library = library
        self._idle: list[_Opened] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Lend a connection that sees the catalog as of one commit until the block ends."""
        opened = self._take()
        connection = opened.connection
        try:
            connection.execute("BEGIN")
            yield connection
            connection.rollback()
        except BaseException:
            connection.close()  # an answer read in part would hold on to the old commit
            raise
        self._put_back(opened)

    def close(self) -> None:
        """Close what is idle now, and what is lent as it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for opened in idle:
            opened.connection.close()

    def _take(self) -> _Opened:
        file = identity_of(catalog_file(self._library))
        with self._lock:
            stale = [opened for opened in self._idle if file is None or opened.file != file]
            self._idle = [opened for opened in self._idle if opened not in stale]
            taken = self._idle.pop() if self._idle else None
        for opened in stale:
            opened.connection.close()
        return taken or _Opened(connect_to_read(self._library), file)

    def _put_back(self, opened: _Opened) -> None:
        with self._lock:
            lasting = not isinstance(opened.connection, Snapshot)
            if lasting and not self._closed and len(self._idle) < _IDLE_MAX:
                self._idle.append(opened)
                return
        opened.connection.close()
