"""The recycle bin of Windows: whether there is one for a file, so that trashing never deletes for good."""

import os
import sys
from pathlib import Path

from .records import Refused

DRIVE_FIXED = 3  # of GetDriveTypeW; shares, sticks and memory cards are of other types and have no bin
SAFE_BRIDGE = "modern"  # how its name ends; goes by pywin32. The other deletes what the bin does not take
MOVE_INSTEAD = "use --apply move --to FOLDER"


def check(path: Path, bridge: str) -> None:
    """Raise Refused unless a file goes to a bin; `bridge` is the module of send2trash that would do it."""
    if sys.platform == "win32":
        reason = why_none(_drive_type(path), bridge)
        if reason is not None:
            raise Refused(reason)


def why_none(drive_type: int, bridge: str) -> str | None:
    """Say why a file would not go to a bin but be deleted; None when it goes there."""
    if drive_type != DRIVE_FIXED:
        return f"no recycle bin there: {MOVE_INSTEAD}"
    if not bridge.endswith(SAFE_BRIDGE):
        return f"without pywin32 what the recycle bin does not take is deleted: install it, or {MOVE_INSTEAD}"
    return None


def _drive_type(path: Path) -> int:
    """Ask for the drive that a file really lies on: a folder may be a link to a share."""
    if sys.platform == "win32":
        import ctypes

        return int(ctypes.windll.kernel32.GetDriveTypeW(Path(os.path.realpath(path.parent)).anchor))
    return DRIVE_FIXED
