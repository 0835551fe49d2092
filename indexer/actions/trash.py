"""The trash: puts files there by `send2trash`, and finds out where they lie, which that does not tell.

On Linux and its kin a trash is a folder with `files`, and in `info` a text for each that names its old path
(the freedesktop.org Trash specification). Where other systems put a file they do not tell.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote_to_bytes

from .checks import Examined, has_bytes, words
from .records import Refused

INFO_SUFFIX = ".trashinfo"
CLOCK_SLACK_NS = 1_000_000_000  # file systems keep time less finely than clocks
CAN_TELL = sys.platform not in ("win32", "darwin")


def put(file: Examined) -> Path | None:
    """Move a file to the trash and give where it lies there; None when that cannot be learned."""
    from send2trash import send2trash

    since_ns = time.time_ns() - CLOCK_SLACK_NS
    try:
        send2trash(os.fspath(file.path))
    except Exception as problem:  # each system's bridge raises kinds of its own
        if file.left_alone():
            _take_back(file, since_ns)
        raise Refused(f"the trash does not take it: {_told(problem)}") from problem
    return next((place for place in candidates(file.path, file.standing.inode) if _is(file, place)), None)


def candidates(original: Path, inode: int) -> Iterator[Path]:
    """Give what lies in the trash and may be the file that was at `original`, the likeliest first.

    A file keeps its inode when it is renamed; one that had to be copied is known by the path in its info.
    """
    for trash in _trashes(original):
        yield from _by_inode(trash / "files", original.name, inode)
    for info in infos(original):
        yield held_by(info)


def infos(original: Path) -> list[Path]:
    """List the info files that name `original` as the old path, the newest first."""
    found = [info for trash in _trashes(original) for info in _list_infos(trash, original.name)]
    found = [info for info in found if _old_path(info) == original]
    return sorted(found, key=_time, reverse=True)


def held_by(info: Path) -> Path:
    """Give the file that an info file is about."""
    return info.parent.parent / "files" / info.name.removesuffix(INFO_SUFFIX)


def forget(original: Path) -> None:
    """Remove the info files of a path that are about no file: what is left of a kill or a full disk."""
    for info in infos(original):
        if not os.path.lexists(held_by(info)):
            with suppress(OSError):
                info.unlink()


def forget_place(place: Path) -> None:
    """Remove the info file of what has left the trash."""
    info = place.parent.parent / "info" / f"{place.name}{INFO_SUFFIX}"
    if place.parent.name == "files" and not os.path.lexists(place):
        with suppress(OSError):
            info.unlink()


def _take_back(file: Examined, since_ns: int) -> None:
    """Clear the trash of what a failure left: a note, and the copy of a file that could not be removed."""
    for info in infos(file.path):
        if _time(info) >= since_ns and has_bytes(held_by(info), file.sha256):
            with suppress(OSError):
                held_by(info).unlink()
    forget(file.path)


def _trashes(original: Path) -> Iterator[Path]:
    """Give the folders that the specification names for a file: of the home, and of the file's volume."""
    if not CAN_TELL:
        return
    data = os.environ.get("XDG_DATA_HOME") or Path("~/.local/share").expanduser()
    yield Path(data, "Trash")
    volume = _volume(original)
    yield volume / ".Trash" / str(os.getuid())
    yield volume / f".Trash-{os.getuid()}"


def _volume(path: Path) -> Path:
    folder = Path(os.path.realpath(path.parent))
    while not folder.is_mount() and folder != folder.parent:
        folder = folder.parent
    return folder


def _by_inode(files: Path, name: str, inode: int) -> Iterator[Path]:
    with suppress(OSError):
        if (files / name).lstat().st_ino == inode:  # nearly always: spares listing a full trash
            yield files / name
            return
    with suppress(OSError), os.scandir(files) as entries:
        yield from (Path(entry.path) for entry in entries if entry.inode() == inode)


def _list_infos(trash: Path, name: str) -> list[Path]:
    start = name.partition(".")[0]  # every trash puts its number behind that
    with suppress(OSError), os.scandir(trash / "info") as entries:
        return [
            Path(entry.path)
            for entry in entries
            if entry.name.startswith(start) and entry.name.endswith(INFO_SUFFIX)
        ]
    return []


def _old_path(info: Path) -> Path | None:
    with suppress(OSError):
        for line in info.read_bytes().splitlines():
            if line.startswith(b"Path="):
                return _top(info.parent.parent) / os.fsdecode(unquote_to_bytes(line[5:].strip()))
    return None


def _top(trash: Path) -> Path:
    """Give the folder that a relative path in a trash's info is relative to."""
    return trash.parent.parent if trash.parent.name == ".Trash" else trash.parent


def _time(info: Path) -> int:
    with suppress(OSError):
        return info.lstat().st_mtime_ns
    return 0


def _is(file: Examined, place: Path) -> bool:
    """Tell whether what lies in the trash is the file just put there, renamed or copied."""
    with suppress(OSError):
        status = place.lstat()
        renamed = (status.st_dev, status.st_ino) == file.standing.identity
        return renamed or (status.st_size, status.st_mtime_ns) == (file.standing.size, file.standing.mtime_ns)
    return False


def _told(problem: Exception) -> str:
    """Say what went wrong; the number is kept by errors that put paths of theirs into the text."""
    return words(problem) if isinstance(problem, OSError) else str(problem)
