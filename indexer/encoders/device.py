"""Devices: which processor runs an encoder, found out without importing torch where there is no GPU."""

import ctypes
import functools
import re
import sys

from ..errors import EncoderError, UsageError


def choose_device(wanted: str) -> str:
    """Turn "auto", "cpu", "cuda", "cuda:N" or "mps" into one that is here, or say why it is not.

    Raises UsageError for what is no device, EncoderError for one that is not here.
    """
    check_device_name(wanted)
    if wanted == "auto":
        return "cuda:0" if cuda_is_usable() else "cpu"
    if wanted == "cpu":
        return wanted
    return _mps() if wanted == "mps" else _cuda(int(wanted.partition(":")[2] or 0))


def check_device_name(wanted: str) -> None:
    """Raise UsageError for what is the name of no device, here or elsewhere."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", wanted, re.ASCII):
        raise UsageError(f"device {wanted!r} is unknown; use auto, cpu, cuda, cuda:N or mps")


def _cuda(number: int) -> str:
    if not cuda_is_usable():
        raise EncoderError("no CUDA device can be used here; leave --device out, or use --device cpu")
    import torch

    count = torch.cuda.device_count()
    if number >= count:
        raise EncoderError(f"there is no cuda:{number}, only {count} (from cuda:0 on); choose one of them")
    return f"cuda:{number}"


def _mps() -> str:
    import torch

    if not torch.backends.mps.is_available():
        raise EncoderError("no Apple GPU can be used here; leave --device out, or use --device cpu")
    return "mps"


@functools.cache
def cuda_is_usable() -> bool:
    """Tell whether torch can use an NVIDIA GPU; without a driver torch is not even imported."""
    if not _driver_has_devices():
        return False
    import torch

    return torch.cuda.is_available()


def _driver_has_devices() -> bool:
    """Ask the driver itself: a few milliseconds, where importing torch takes seconds."""
    name = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}.get(sys.platform)
    if name is None:
        return False
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
