"""Wholeness: whether a file that can be shown has lost a part of its picture that no decoder misses.

Costs a read of the whole file, and of RAW the unpacking of the sensor's data. PNG, and TIFF and lossless WebP
with compression, need none of it: what is lost of them shows when they are decoded. Uncompressed files, lossy
WebP, AVIF, HEIC and JPEG 2000 have nothing to tell it by.
"""

from pathlib import Path

from . import raw
from .jpeg_holes import has_hole
from .opening import quiet


def has_lost_part(path: Path, kind: str) -> bool:
    """Tell whether a part is lost of a file that can be opened; raises OSError. kind: as in ImageFacts."""
    if kind == "JPEG":
        return has_hole(path.read_bytes())
    if kind == raw.KIND and raw.is_available():
        with quiet(raw.KIND):
            return raw.is_cut_off(path)
    return False
