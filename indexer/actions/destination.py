"""Destination: whether files that are moved to a folder come back at the next indexing."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ..scan import JUNK_FOLDERS, TRASH_PREFIX
from ..store.names import real_below, relative_to


def destination_is_indexed(destination: Path, roots: Sequence[Path], *, include_hidden: bool = False) -> bool:
    """Tell whether a folder, which need not be there yet, lies where the library's roots are scanned.

    It lies there by its name or by where its links lead. Folders that scans leave out do not count: recycle
    bins and the like, and hidden ones unless `include_hidden`. What `--exclude` leaves out is not known here.
    """
    below = (way(destination, root) for root in roots for way in (relative_to, real_below))
    return any(path is not None and _is_entered(PurePosixPath(path), include_hidden) for path in below)


def _is_entered(folder: PurePosixPath, include_hidden: bool) -> bool:
    lowered = [part.lower() for part in folder.parts]
    return not any(
        part in JUNK_FOLDERS or part.startswith(TRASH_PREFIX) or (part.startswith(".") and not include_hidden)
        for part in lowered
    )
