"""Failures: what the disk and SQLite complain of, said as our own errors."""

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import (
    CatalogDamaged,
    DiskFull,
    FileSystemUnfit,
    LibraryBusy,
    LibraryReadOnly,
    SightlineError,
)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # EFBIG: a file size limit (ulimit -f)
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
# A write that SQLite could not do for want of room but reports as an I/O error: quota, ulimit, the -shm file.
_FULL_IO = {sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_TRUNCATE}
# What network and FUSE file systems say that have no locks or no memory shared by way of a file.
_UNFIT = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_UNFIT_IO = {
    sqlite3.SQLITE_IOERR_LOCK,
    sqlite3.SQLITE_IOERR_RDLOCK,
    sqlite3.SQLITE_IOERR_UNLOCK,
    sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMMAP,
    sqlite3.SQLITE_IOERR_SHMLOCK,
}
_LITTLE_BYTES = 1 << 20


class Malformed(Exception):
    """The catalog holds what it never should; `explained` makes it CatalogDamaged."""


@contextmanager
def explained(library: Path) -> Iterator[None]:
    """Raise DiskFull, LibraryReadOnly, LibraryBusy or CatalogDamaged in place of what lies below them."""
    try:
        yield
    except SightlineError:
        raise
    except Exception as problem:
        known = explain(problem, library)
        if known is None:
            raise
        raise known from problem


def explain(problem: BaseException, library: Path) -> SightlineError | None:
    """Name a failure; None when it is no matter of disk or catalog."""
    cause = getattr(problem, "orig", None) or problem  # SQLAlchemy wraps the driver's error
    if isinstance(cause, sqlite3.Error):
        return _explain_sqlite(cause, library)
    if isinstance(cause, Malformed):
        return CatalogDamaged(library, str(cause))
    if isinstance(cause, OSError) and cause.errno in _FULL:
        return DiskFull(library)
    if isinstance(cause, OSError) and cause.errno in _READ_ONLY:
        return LibraryReadOnly(library)
    if isinstance(cause, OSError) and cause.errno in _UNFIT:
        return FileSystemUnfit(library)
    return None


def _explain_sqlite(cause: sqlite3.Error, library: Path) -> SightlineError | None:
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None:
        return None
    match code & 0xFF:
        case sqlite3.SQLITE_FULL:
            return DiskFull(library)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return LibraryReadOnly(library)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return LibraryBusy(library, "another program that has the catalog open")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_FORMAT:
            return CatalogDamaged(library, str(cause))
        case sqlite3.SQLITE_IOERR if code in _FULL_IO or _no_room(library):
            return DiskFull(library)
        case sqlite3.SQLITE_IOERR if code in _UNFIT_IO:
            return FileSystemUnfit(library)
        case sqlite3.SQLITE_PROTOCOL:  # locks that are never to be had
            return FileSystemUnfit(library)
        case sqlite3.SQLITE_CANTOPEN if not os.access(library, os.W_OK):
            return LibraryReadOnly(library)  # a catalog we may write in a folder we may not
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_CANTOPEN:
            return DiskFull(library) if _no_room(library) else CatalogDamaged(library, str(cause))
    return None


def _no_room(library: Path) -> bool:
    try:
        return shutil.disk_usage(library).free < _LITTLE_BYTES
    except OSError:
        return False
