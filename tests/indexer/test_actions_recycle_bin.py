"""The recycle bin: what Windows would delete for good is refused. The decision runs on any system."""

import tomllib
from pathlib import Path

import pytest

from indexer.actions.recycle_bin import DRIVE_FIXED, why_none

BRIDGE = "send2trash.win.modern"
UNKNOWN, NO_ROOT, REMOVABLE, REMOTE, CD_ROM, RAM_DISK = 0, 1, 2, 4, 5, 6  # of GetDriveTypeW


def test_a_fixed_drive_has_a_bin():
    assert why_none(DRIVE_FIXED, BRIDGE) is None


@pytest.mark.parametrize("drive_type", [UNKNOWN, NO_ROOT, REMOVABLE, REMOTE, CD_ROM, RAM_DISK])
def test_where_there_is_no_bin_the_way_out_is_told(drive_type: int):
    assert why_none(drive_type, BRIDGE) == "no recycle bin there: use --apply move --to FOLDER"


def test_the_bridge_that_deletes_what_the_bin_does_not_take_is_not_used():
    assert "pywin32" in str(why_none(DRIVE_FIXED, "send2trash.win.legacy"))


def test_on_windows_the_safe_bridge_is_installed():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    dependencies = project["project"]["dependencies"]
    [on_windows] = [each for each in dependencies if each.startswith("send2trash[nativelib]")]
    assert on_windows.endswith("sys_platform == 'win32'")
