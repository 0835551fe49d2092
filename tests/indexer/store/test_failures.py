"""What file systems refuse that are no place for a library. None is to be had here: errors are made."""

import errno
import fcntl
import os
import sqlite3
from pathlib import Path

import pytest

from indexer.errors import CatalogDamaged, DiskFull, LibraryBusy, LibraryReadOnly, SightlineError
from indexer.store.failures import explain
from indexer.store.library import open_for_writing

from ..rights import write_protected
from .making import make_library
from .test_disk import fill, small_disk

__all__ = ["small_disk"]

NO_LOCKS_OR_SHARED_MEMORY = [
    sqlite3.SQLITE_IOERR_LOCK,
    sqlite3.SQLITE_IOERR_RDLOCK,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMMAP,
    sqlite3.SQLITE_IOERR_SHMLOCK,
    sqlite3.SQLITE_PROTOCOL,
]


def said_of(code: int, library: Path) -> SightlineError | None:
    problem = sqlite3.OperationalError("disk I/O error")
    problem.sqlite_errorcode = code
    return explain(problem, library)


@pytest.mark.parametrize("code", NO_LOCKS_OR_SHARED_MEMORY)
def test_a_share_without_locks_or_shared_memory_is_blamed_and_not_the_catalog(tmp_path: Path, code: int):
    found = said_of(code, tmp_path)
    assert isinstance(found, LibraryReadOnly)
    assert "this file system cannot hold a library" in str(found)


def test_a_disk_that_cannot_be_read_still_is_a_damaged_catalog(tmp_path: Path):
    assert "not a readable catalog" in str(said_of(sqlite3.SQLITE_IOERR_READ, tmp_path))


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EFBIG, DiskFull),
        (errno.EROFS, LibraryReadOnly),
        (errno.EACCES, LibraryReadOnly),
        (errno.EPERM, LibraryReadOnly),
    ],
)
def test_what_the_system_refuses_is_told_by_its_cause(tmp_path: Path, code: int, told: type[SightlineError]):
    assert type(explain(OSError(code, os.strerror(code)), tmp_path)) is told


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (sqlite3.SQLITE_FULL, DiskFull),
        (sqlite3.SQLITE_IOERR_WRITE, DiskFull),
        (sqlite3.SQLITE_IOERR_SHMSIZE, DiskFull),
        (sqlite3.SQLITE_READONLY_DIRECTORY, LibraryReadOnly),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, LibraryBusy),
        (sqlite3.SQLITE_LOCKED, LibraryBusy),
        (sqlite3.SQLITE_CORRUPT, CatalogDamaged),
        (sqlite3.SQLITE_NOTADB, CatalogDamaged),
        (sqlite3.SQLITE_CANTOPEN, CatalogDamaged),
    ],
)
def test_what_sqlite_refuses_is_told_by_its_cause(tmp_path: Path, code: int, told: type[SightlineError]):
    assert type(said_of(code, tmp_path)) is told


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_IOERR_SHMMAP, sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_CANTOPEN]
)
def test_a_failure_on_a_disk_without_room_is_the_full_disk(small_disk: Path, code: int):
    fill(small_disk / "ballast")
    assert type(said_of(code, small_disk)) is DiskFull


def test_a_catalog_that_cannot_be_opened_in_a_folder_that_cannot_be_written_is_read_only(tmp_path: Path):
    with write_protected(tmp_path):
        assert type(said_of(sqlite3.SQLITE_CANTOPEN, tmp_path)) is LibraryReadOnly


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_no_library_is_written(photos: Path, monkeypatch: pytest.MonkeyPatch, code: int):
    library = make_library(photos, 1)

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(LibraryReadOnly, match="local disk with --library"):
        open_for_writing(library, create=False)
