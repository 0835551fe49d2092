"""Rights: makes folders that cannot be changed, and takes from root the right to read and write all."""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# From linux/capability.h and linux/prctl.h.
CAPABILITY_VERSION = 0x20080522
DAC_OVERRIDE, DAC_READ_SEARCH = 1 << 1, 1 << 2
SET_SECUREBITS = 28
NO_SETUID_FIXUP = 1 << 2  # else access() asks what root might do


class Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Let the permissions of files bind this thread, also when it is root's."""
    if os.geteuid() != 0:
        yield
        return
    if sys.platform != "linux":
        pytest.skip("root cannot give up its powers for a while here")
    before = effective()
    if securebits(NO_SETUID_FIXUP):
        pytest.skip("root may not change its powers here")
    set_effective(before & ~(DAC_OVERRIDE | DAC_READ_SEARCH))
    try:
        yield
    finally:
        set_effective(before)
        securebits(0)


def securebits(bits: int) -> int:
    return ctypes.CDLL(None).prctl(SET_SECUREBITS, bits, 0, 0, 0)


def effective() -> int:
    return capabilities()[0].effective


def set_effective(powers: int) -> None:
    sets = capabilities()
    sets[0].effective = powers
    assert ctypes.CDLL(None).capset(ctypes.byref(Header(CAPABILITY_VERSION, 0)), sets) == 0


def capabilities() -> ctypes.Array[Sets]:
    sets = (Sets * 2)()
    assert ctypes.CDLL(None).capget(ctypes.byref(Header(CAPABILITY_VERSION, 0)), sets) == 0
    return sets


@contextmanager
def write_protected(folder: Path) -> Iterator[None]:
    """Take the right to write a folder from its owner; answers as most file systems do: EACCES."""
    folder.chmod(0o500)
    try:
        with ordinary_user():
            yield
    finally:
        folder.chmod(0o700)


@contextmanager
def immutable(folder: Path) -> Iterator[None]:
    """Seal a folder against everybody; answers EPERM."""
    if not run_command("chattr", "+i", folder):
        pytest.skip("needs root, and a file system with the attribute `i`")
    try:
        yield
    finally:
        run_command("chattr", "-i", folder)


def run_command(*command: str | Path) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
