"""Copies: catalogs in the temporary folder, read where a library does not let itself be read in place."""

import atexit
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ..errors import DiskFull, LibraryBusy, LibraryError
from ..paths import identity_of
from .failures import explain

_PREFIX = "sightline-copy-"  # the number of the process follows
_ATTEMPTS = 3  # at a copy that no writer on another machine spoils meanwhile

_State = tuple[tuple[object, ...], ...]


class _Copy(NamedTuple):
    catalog: Path
    state: _State  # of what was copied, by which a later change is noticed
    make: Callable[[Path], None]


_guard = threading.RLock()
_as_it_is: dict[Path, _Copy] = {}
_upgraded: dict[Path, _Copy] = {}
_folders: list[Path] = []  # all that were made and are there yet; Windows keeps what is open


@contextmanager
def copy_of(catalog: Path) -> Iterator[Path]:
    """Give a catalog with what its WAL holds as one file, copied once for each state that it is in.

    It stays in place within the block; the last copy stays until the process ends. Raises DiskFull, which
    names the temporary folder.
    """
    with _guard:
        kept = _as_it_is.get(catalog)
        if kept is None or not kept.catalog.exists() or kept.state != _state(catalog):
            _discard(_as_it_is.pop(catalog, None))
            kept = _as_it_is[catalog] = _make(catalog, lambda copy: _copy_files(catalog, copy))
        yield kept.catalog


@contextmanager
def upgraded_copy_of(catalog: Path) -> Iterator[Path | None]:
    """Give the copy that `stand_in` made for a catalog; None when there is none."""
    with _guard:
        kept = _upgraded.get(catalog)
        if kept is not None and not kept.catalog.exists():  # systems tidy up what is days old
            stand_in(catalog, kept.make)
            kept = _upgraded[catalog]
        yield kept.catalog if kept is not None else None


def has_stand_in(catalog: Path) -> bool:
    """Tell whether a catalog, as it is now, is read from an upgraded copy; forget one of an earlier state."""
    with _guard:
        kept = _upgraded.get(catalog)
        if kept is not None and kept.catalog.exists() and kept.state == _state(catalog):
            return True
        forget_stand_in(catalog)
        return False


def stand_in(catalog: Path, make: Callable[[Path], None]) -> None:
    """Have a catalog read from the copy that `make` puts at a path, until it is opened after a change."""
    with _guard:
        forget_stand_in(catalog)
        _upgraded[catalog] = _make(catalog, make)


def forget_stand_in(catalog: Path) -> None:
    """Have a catalog read in its place again."""
    with _guard:
        _discard(_upgraded.pop(catalog, None))


def _make(catalog: Path, make: Callable[[Path], None]) -> _Copy:
    folder = _new_folder(catalog)
    try:
        with _full_is_told(folder.parent):
            if shutil.disk_usage(folder).free < _size(catalog):
                raise DiskFull(folder.parent)
            state = _state(catalog)
            make(folder / catalog.name)
            _settle(folder / catalog.name)
    except BaseException:
        _remove(folder)
        raise
    return _Copy(folder / catalog.name, state, make)


def _copy_files(catalog: Path, copy: Path) -> None:
    for _ in range(_ATTEMPTS):
        before = _state(catalog)
        _files(copy)[1].unlink(missing_ok=True)  # of the attempt before; it may be gone at the source
        for source in _files(catalog):
            with suppress(FileNotFoundError):  # the WAL: of a writer that has just ended
                shutil.copyfile(source, copy.with_name(source.name))
        if _state(catalog) == before:
            return
    raise LibraryBusy(catalog.parent, "another program that goes on writing it")


def _settle(copy: Path) -> None:
    """Take in what the WAL holds, so that all may read the one file; this needs no shared memory."""
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def _full_is_told(folder: Path) -> Iterator[None]:
    """Raise DiskFull of the temporary folder, which else would be taken for the library's disk."""
    try:
        yield
    except Exception as problem:
        found = explain(problem, folder)
        if isinstance(found, DiskFull):
            raise found from problem
        raise


def _new_folder(catalog: Path) -> Path:
    if not _folders:
        _sweep()
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    except FileNotFoundError as problem:
        raise LibraryError(
            f"{catalog}: has to be copied to be read, and there is no folder for temporary files that can be "
            "written; name one in the variable TMPDIR"
        ) from problem
    _folders.append(folder)
    return folder


def _sweep() -> None:
    """Remove the copies of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        process = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if process.isdecimal() and _has_ended(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _has_ended(process: int) -> bool:
    if os.name == "nt":  # its `kill` would end it
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _discard(copy: _Copy | None) -> None:
    if copy is not None:
        _remove(copy.catalog.parent)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        _folders.remove(folder)


@atexit.register
def _remove_all() -> None:
    for folder in tuple(_folders):
        if folder.name.startswith(f"{_PREFIX}{os.getpid()}-"):  # not those of the process that we forked from
            _remove(folder)


def _files(catalog: Path) -> tuple[Path, Path]:
    return catalog, catalog.with_name(f"{catalog.name}-wal")


def _state(catalog: Path) -> _State:
    return tuple(_state_of_file(path) for path in _files(catalog))


def _state_of_file(path: Path) -> tuple[object, ...]:
    with suppress(OSError):
        status = path.stat()
        return identity_of(path), status.st_size, status.st_mtime_ns
    return ()


def _size(catalog: Path) -> int:
    return sum(path.stat().st_size for path in _files(catalog) if path.exists())
