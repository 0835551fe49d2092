"""Paths: as people write them, and what all names of one file or folder share."""

import os
from pathlib import Path

from .errors import UsageError


def home_expanded(path: Path) -> Path:
    """Put the home folder in place of a ~ or ~user at the start; raises UsageError when there is none."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        what = f"{path}: no such user as {path.parts[0]}, or one without a home folder"
        raise UsageError(f"{what}; a file of that name is ./{path}") from error


def home_expanded_or_kept(path: Path) -> Path:
    """Put the home folder for a ~; a name that merely begins with one, such as ~draft.jpg, stays."""
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user
        return path


def refuse_file(path: Path) -> None:
    """Raise UsageError for a file where a folder is to be named."""
    named = home_expanded(path)
    if os.path.isfile(named):  # noqa: PTH113  (Path.is_file may raise)
        raise UsageError(f"{path}: is a file; give the folder it is in: {named.absolute().parent}")


def identity_of(path: str | Path, *, follow_links: bool = True) -> tuple[int, int] | None:
    """Give what all names of a file or folder share; None where nothing is, or the system cannot tell."""
    try:
        status = os.stat(path, follow_symlinks=follow_links)  # noqa: PTH116 a Path costs more than the call
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status.st_ino else None
