"""Folders: which names are one folder, on file systems that know one by many."""

import os
import unicodedata
from pathlib import Path

from ..paths import identity_of
from .names import real


def folder_below(listed: Path, folder: Path) -> str | None:
    """Give a path below `folder` with forward slashes, "" for the folder itself, None when it lies elsewhere.

    It counts as below by where links lead, and by what the file system takes for one folder: there are those
    that know `albums` as `Albums` too or a letter with an accent in two spellings, and folders that are
    mounted twice. Both are looked at now, so that the number of a folder that is gone cannot mislead.

    listed: as `as_listed` gives it.
    """
    folder = real(folder)
    around = folder if listed.is_relative_to(folder) else _same_above(listed, folder)
    if around is None:
        return None
    below = listed.relative_to(around).as_posix()
    return "" if below == "." else below


def _same_above(path: Path, folder: Path) -> Path | None:
    """Give the folder at or above a path that is the other folder by another name."""
    identity = identity_of(folder)
    if identity is None or identity == identity_of(folder.parent):  # it gives all folders one number
        return None
    if path.anchor != folder.anchor:  # on Windows a copy of a drive has the numbers of the drive
        return None
    return next((each for each in (path, *path.parents) if identity_of(each) == identity), None)


def as_listed(path: Path) -> Path:
    """Give a folder without links, each name as the folder around it lists it: so a scan finds it."""
    path = real(path)
    listed = Path(path.anchor)
    for name in path.parts[1:]:
        listed /= _listed_name(listed, name)
    return listed


def _listed_name(folder: Path, name: str) -> str:
    identity = identity_of(folder / name)
    if identity is None or not any(identity_of(folder / other) == identity for other in _spellings(name)):
        return name  # the file system keeps names apart
    try:
        names = os.listdir(folder)  # noqa: PTH208 a Path for each entry costs more than the names
    except OSError:
        return name
    if name in names:
        return name
    alike = (other for other in names if _folded(other) == _folded(name))
    return next((other for other in alike if identity_of(folder / other) == identity), name)


def _spellings(name: str) -> set[str]:
    others = {name.swapcase(), *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))}
    return others - {name}


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
