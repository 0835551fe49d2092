"""The trash: puts files there by `send2trash`, and finds out where they lie, which that does not tell.

On Linux and its kin a trash is a folder with `files`, and in `info` a text for each that names its old path
(the freedesktop.org Trash specification). Where other systems put a file they do not tell.
"""

import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote_to_bytes

from . import recycle_bin
from .checks import Examined, Standing, words
from .records import Refused

INFO_SUFFIX = ".trashinfo"
CLOCK_SLACK_NS = 1_000_000_000  # file systems keep time less finely than clocks
CAN_TELL = sys.platform not in ("win32", "darwin")


def put(file: Examined) -> Path | None:
    """Move a file to the trash and give where it lies there; None when that cannot be learned.

    Raises Refused when it has to stay, or would not be in the trash but gone.
    """
    from send2trash import send2trash

    recycle_bin.check(file.path, send2trash.__module__)
    since_ns = time.time_ns() - CLOCK_SLACK_NS
    try:
        with _writable(file.path):
            send2trash(os.fspath(file.path))
    except Exception as problem:  # each system's bridge raises kinds of its own
        if file.left_alone():
            _take_back(file, since_ns)
        raise Refused(f"the trash does not take it: {_told(problem)}") from problem
    places = candidates(file.path, file.standing.inode)
    place = next((place for place in places if _is(file, place)), None)
    if place is not None and place.lstat().st_dev != file.standing.device:
        forget(file.path)  # send2trash tried to rename before it copied, and left that note
    return place


def way_by_hand(system: str = sys.platform) -> str:
    """Say how a file comes back that only its system's own trash can put back."""
    if system == "win32":
        return "in the Recycle Bin, which tells no program where: open that, choose the file and Restore"
    if system == "darwin":
        return (
            "in the Trash, which tells no program where: open that in the Dock, choose the file and Put Back"
        )
    return "in the trash of another system, to be put back there by hand"


def is_at_hand(place: Path) -> bool:
    """Tell whether a place is in a trash that can be looked into: not one of a drive that is away."""
    files = place.parent
    if files.name != "files":
        return False
    is_trash = files.is_dir() and files.with_name("info").is_dir()  # there are other folders of that name
    return is_trash or files.parent == _home_trash()


def protect_again(path: Path, mode: int) -> None:
    """Put back the write protection of a file that a kill in `put` left without."""
    lifted = mode | stat.S_IWUSR
    with suppress(OSError):
        if lifted != mode and stat.S_IMODE(path.lstat().st_mode) == lifted:
            path.chmod(mode)


def candidates(original: Path, inode: int) -> Iterator[Path]:
    """Give what lies in the trash and may be the file that was at `original`, the likeliest first.

    A file keeps its inode when it is renamed, which other names of it in the trash share; one that had to be
    copied is known by the path in its info.
    """
    others = []
    for trash in _trashes(original):
        for place in _by_inode(trash / "files", original.name, inode):
            if is_noted(place, original):
                yield place
            others.append(place)
    yield from map(held_by, infos(original))
    yield from others


def is_noted(place: Path, original: Path) -> bool:
    """Tell whether the trash says that what lies there was at `original`."""
    return _old_path(_info_of(place)) == original


def infos(original: Path) -> list[Path]:
    """List the info files that name `original` as the old path, the newest first."""
    found = [info for info in _infos_of_name(original) if _old_path(info) == original]
    return sorted(found, key=_time, reverse=True)


def held_by(info: Path) -> Path:
    """Give the file that an info file is about."""
    return info.parent.parent / "files" / info.name.removesuffix(INFO_SUFFIX)


def _info_of(place: Path) -> Path:
    return place.parent.parent / "info" / f"{place.name}{INFO_SUFFIX}"


def forget(original: Path) -> None:
    """Remove the info files of a path that are about no file: what is left of a kill or a full disk."""
    for info in infos(original):
        if not os.path.lexists(held_by(info)):
            _unlink(info)


def forget_place(place: Path) -> None:
    """Remove the info file of what has left the trash."""
    info = _info_of(place)
    if place.parent.name == "files" and not os.path.lexists(place):
        _unlink(info)


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    """Lift a file's write protection meanwhile: send2trash takes it for one against removal."""
    if not CAN_TELL or os.access(path, os.W_OK):
        yield
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)  # leads to the file wherever that goes
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        with suppress(PermissionError):  # not ours: send2trash says so
            os.fchmod(descriptor, mode | stat.S_IWUSR)
        try:
            yield
        finally:
            with suppress(OSError):
                os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _take_back(file: Examined, since_ns: int) -> None:
    """Clear the trash of what a failure left: a note, and a copy, whole or broken off for want of room."""
    for info in infos(file.path):
        if _time(info) >= since_ns and _is_begun_copy(held_by(info), file.path):
            _unlink(held_by(info))
    forget(file.path)
    for info in _infos_of_name(file.path):
        if _time(info) >= since_ns and _is_empty(info) and not os.path.lexists(held_by(info)):
            _unlink(info)


def _is_begun_copy(held: Path, original: Path) -> bool:
    """Tell whether a file has nothing but the first bytes of another one, or all."""
    if held.is_symlink() or not held.is_file():
        return False
    with suppress(OSError), held.open("rb") as copy, original.open("rb") as whole:
        while block := copy.read(1 << 20):
            if block != whole.read(len(block)):
                return False
        return True
    return False


def _trashes(original: Path) -> Iterator[Path]:
    """Give the folders that the specification names for a file: of the home, and of the file's volume."""
    if not CAN_TELL:
        return
    yield _home_trash()
    volume = _volume(original)
    yield volume / ".Trash" / str(os.getuid())
    yield volume / f".Trash-{os.getuid()}"


def _home_trash() -> Path:
    data = os.environ.get("XDG_DATA_HOME") or Path("~/.local/share").expanduser()
    return Path(data, "Trash")


def _volume(path: Path) -> Path:
    folder = Path(os.path.realpath(path.parent))
    while not folder.is_mount() and folder != folder.parent:
        folder = folder.parent
    return folder


def _by_inode(files: Path, name: str, inode: int) -> Iterator[Path]:
    if not inode:  # the file system does not tell files apart
        return
    with suppress(OSError):
        if (files / name).lstat().st_ino == inode:  # nearly always: spares listing a full trash
            yield files / name
            return
    with suppress(OSError), os.scandir(files) as entries:
        yield from (Path(entry.path) for entry in entries if entry.inode() == inode)


def _infos_of_name(original: Path) -> Iterator[Path]:
    for trash in _trashes(original):
        yield from _list_infos(trash, original.name)


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


def _is_empty(info: Path) -> bool:
    """Tell whether there was no room for what the info was to say."""
    with suppress(OSError):
        return info.lstat().st_size == 0
    return False


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _is(file: Examined, place: Path) -> bool:
    """Tell whether what lies in the trash is the file just put there, renamed or copied."""
    with suppress(OSError):
        status = place.lstat()
        identity = Standing.of(status).identity
        renamed = identity is not None and identity == file.standing.identity
        return renamed or (status.st_size, status.st_mtime_ns) == (file.standing.size, file.standing.mtime_ns)
    return False


def _told(problem: Exception) -> str:
    """Say what went wrong; the number is kept by errors that put paths of theirs into the text."""
    return words(problem) if isinstance(problem, OSError) else str(problem)
