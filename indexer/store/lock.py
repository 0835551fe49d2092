"""The lock: one writer at a time, who says who it is."""

import json
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from ..errors import LibraryBusy

PATIENCE_SECONDS = 1.0  # a search for duplicates that keeps what it found has the lock for less


class WriterLock:
    """The right to write a library.

    The system's own lock on `lock` decides, and ends with the process however that ends. `lock.json` only
    names the holder for the others; it may be out of date without harm. It is a file of its own since some
    systems let nobody read a locked file.
    """

    def __init__(self, library: Path) -> None:
        from filelock import FileLock  # brings asyncio, which a search need not wait for

        self._library = library
        self._holder = library / "lock.json"
        file = library / "lock"
        self._lock = FileLock(file, PATIENCE_SECONDS, thread_local=False, fallback_to_soft=False)

    def acquire(self) -> None:
        """Take the lock or raise LibraryBusy after a moment; OSError where the file system knows no locks.

        Mere files would do there in place of locks, but stay after a kill and bind no other host's cache.
        """
        from filelock import Timeout

        try:
            self._lock.acquire()
        except Timeout:
            raise LibraryBusy(self._library, _describe(self._holder)) from None
        with suppress(OSError):  # a full disk: the lock holds without the name
            self._holder.write_text(json.dumps(_ourselves()), encoding="utf-8")

    def release(self) -> None:
        """Let the next writer in."""
        with suppress(OSError):
            self._holder.unlink()
        self._lock.release()


def _ourselves() -> dict[str, str | int]:
    import socket  # 4 ms, which only a writer needs

    started = datetime.now().astimezone().isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "started": started}


def _describe(holder: Path) -> str:
    try:
        told = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {told['pid']} on {told['host']} since {told['started']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
