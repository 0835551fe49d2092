"""Moving: files to other places, whole or not at all, and never over what stands there."""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ..store.files import TEMPORARY_SUFFIX, sync_folder
from .checks import Examined, has_bytes
from .records import Refused


def temporary_name() -> str:
    """Make a name that nobody else uses, short and hidden, for a file that is being made beside another."""
    return f".sightline-{secrets.token_hex(6)}{TEMPORARY_SUFFIX}"


def move(file: Examined, target: Path, temporary: str) -> None:
    """Move a file, also to another file system; raise FileExistsError when something stands at `target`.

    A kill leaves it whole at one of the places or at both, and at most a `temporary` beside the target.
    """
    try:
        rename(file.path, target)
    except OSError as problem:
        if problem.errno != errno.EXDEV:
            raise
        _move_by_copy(file, target, temporary)


def rename(source: Path, target: Path, *, system: str = os.name) -> None:
    """Rename within a file system, never over what stands there: FileExistsError."""
    if system == "nt":  # its renaming does not overwrite, and a second name of an open file cannot be removed
        source.rename(target)
        return
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError as problem:
        if problem.errno == errno.EXDEV:
            raise
        _rename_without_links(source, target)
    else:
        _unlink_or_take_back(source, target)


def _rename_without_links(source: Path, target: Path) -> None:
    """Look, then rename: some file systems (exFAT) and rights know no hard links, the only sure way."""
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    source.rename(target)


def _unlink_or_take_back(source: Path, target: Path) -> None:
    try:
        remove(source)
    except OSError:
        if os.path.lexists(source):  # else the target may be all there is: the answer was lost, not the deed
            remove(target)
        raise


def _move_by_copy(file: Examined, target: Path, temporary: str) -> None:
    beside = target.with_name(temporary)
    try:
        copy(file, beside)
        rename(beside, target)
    finally:
        discard(beside)
    sync_folder(target.parent)
    if not file.still():
        remove(target)
        raise Refused("being written by another program")
    _unlink_or_take_back(file.path, target)


def copy(file: Examined, target: Path) -> None:
    """Make a copy with times and permissions that has reached the disk and was read back.

    `target` is a temporary name, so what an earlier run may have left there is replaced.
    """
    with suppress(FileNotFoundError):
        remove(target)
    try:
        with file.path.open("rb") as source, target.open("xb") as copied:
            shutil.copyfileobj(source, copied, 1 << 20)
            copied.flush()
            os.fsync(copied.fileno())
        with suppress(OSError):  # not every file system keeps permissions
            shutil.copystat(file.path, target)
        if not has_bytes(target, file.sha256):
            raise Refused("the copy is not the same; is the disk sound?")
    except BaseException:
        discard(target)
        raise


def discard(temporary: Path) -> None:
    """Remove a temporary file, if it is there."""
    with suppress(OSError):
        remove(temporary)


def remove(path: Path, *, system: str = os.name) -> None:
    """Remove a file; also a write-protected one, which Windows refuses, unless it has other names."""
    try:
        path.unlink()
    except PermissionError:
        status = path.lstat()
        if not is_held_by_protection(status, system):
            raise
        path.chmod(status.st_mode | stat.S_IWRITE)
        try:
            path.unlink()
        except OSError:  # open in another program
            path.chmod(status.st_mode)
            raise


def is_held_by_protection(status: os.stat_result, system: str) -> bool:
    """Tell whether write protection keeps a file from being removed, and no other name shares it."""
    is_protected = stat.S_ISREG(status.st_mode) and not status.st_mode & stat.S_IWRITE
    return system == "nt" and is_protected and status.st_nlink == 1


def make_folders(folders: Iterable[Path]) -> None:
    """Make folders, the outermost first; one that is there is fine."""
    for folder in folders:
        folder.mkdir(exist_ok=True)


def missing_folders(folder: Path) -> tuple[Path, ...]:
    """List the folders to be made so that `folder` is there, the outermost first."""
    missing = []
    while not folder.is_dir() and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    return tuple(reversed(missing))


def nearest(path: Path) -> Path:
    """Give the path, or the closest one around it that is there."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders that were made for a file and are empty again."""
    for folder in reversed(tuple(folders)):
        with suppress(OSError):
            folder.rmdir()


def numbered(name: str, number: int) -> str:
    """Give the name that a file takes when others have its own: `a.jpg`, `a (2).jpg`, `a (3).jpg`."""
    if number == 1:
        return name
    path = Path(name)
    return f"{path.stem} ({number}){path.suffix}"


def restore_facts(path: Path, *, mtime_ns: int, mode: int) -> None:
    """Give a file the time and permissions of old, as far as the file system keeps them."""
    with suppress(OSError):
        path.chmod(mode)
    with suppress(OSError):
        os.utime(path, ns=(mtime_ns, mtime_ns))
