"""Files: where a library keeps what, and how its files are replaced whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

LIBRARY_NAME = ".sightline"
TEMPORARY_SUFFIX = ".part"  # of a file being written; one that stays behind is a crash's and may go


def catalog_file(library: Path) -> Path:
    """Give the place of the catalog."""
    return library / "catalog.sqlite"


def vectors_folder(library: Path) -> Path:
    """Give the folder of the FAISS files."""
    return library / "vectors"


def backups_folder(library: Path) -> Path:
    """Give the folder of the catalog's copies from before upgrades."""
    return library / "backups"


def find_library(start: Path) -> Path | None:
    """Find the nearest library at or above a folder, as git finds its own."""
    start = Path(os.path.abspath(start))  # noqa: PTH100  (Path.absolute keeps `..`)
    for folder in (start, *start.parents):
        with suppress(OSError):
            if catalog_file(folder / LIBRARY_NAME).is_file():
                return folder / LIBRARY_NAME
    return None


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside `path` and put it there whole at the end; on any failure `path` stays as it was."""
    beside = path.with_name(f"{path.name}{TEMPORARY_SUFFIX}")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Make a folder's entries survive a power cut, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network and FUSE file systems refuse
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def left_behind(library: Path) -> list[Path]:
    """List what a crash left half-written."""
    folders = (library, vectors_folder(library), backups_folder(library))
    return [path for folder in folders for path in sorted(folder.glob(f"*{TEMPORARY_SUFFIX}"))]


def size_below(folder: Path, pattern: str = "*") -> int:
    """Add up the sizes of the files in a folder, in bytes."""
    total = 0
    for path in folder.glob(pattern):
        with suppress(OSError):  # a writer may replace files meanwhile
            total += path.stat().st_size
    return total
