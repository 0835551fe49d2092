"""Connections: those that read, kept for the next question and lent to one thread at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection

from .opening import Snapshot, connect_to_read

_IDLE_MAX = 5  # connections kept open while nobody asks


class ReadingConnections:
    """Lends connections to a library's catalog; safe to share between threads."""

    def __init__(self, library: Path) -> None:
        self._library = library
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Lend a connection that sees the catalog as of one commit until the block ends."""
        connection = self._take()
        try:
            connection.execute("BEGIN")
            yield connection
            connection.rollback()
        except BaseException:
            connection.close()  # an answer read in part would hold on to the old commit
            raise
        self._put_back(connection)

    def close(self) -> None:
        """Close what is idle now, and what is lent as it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return connect_to_read(self._library)

    def _put_back(self, connection: Connection) -> None:
        with self._lock:
            lasting = not isinstance(connection, Snapshot)
            if lasting and not self._closed and len(self._idle) < _IDLE_MAX:
                self._idle.append(connection)
                return
        connection.close()
