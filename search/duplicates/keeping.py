"""Keeping: which of several copies is the one to keep.

`best`: most pixels; then least compressed (lossless before lossy, lossy before the 256 colours of GIF, then
bytes per pixel); then most told by its metadata (date, camera, place, an XMP file beside it); then the oldest
file; then the shortest path; then the path, so that the answer never depends on chance. The other policies
ask their own question first, then go on as `best` does.
What comes first in this order does not take every copy's place: see `finder`.
"""

from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from indexer.store.names import absolute, real
from indexer.store.records import StoredImage

LOSSLESS = frozenset({"PNG", "BMP", "TIFF", "PPM"})
FEW_COLOURS = frozenset({"GIF"})


class Keep(StrEnum):
    """Which file of a group stays."""

    BEST = "best"
    LARGEST = "largest"  # in bytes
    OLDEST = "oldest"  # by the camera's date, else the file's
    NEWEST = "newest"
    FIRST = "first"  # in the order of paths


def order_to_keep(
    images: Sequence[StoredImage], keep: Keep, protected: Sequence[Path] = ()
) -> list[StoredImage]:
    """Sort, the most worth keeping first; files in protected folders come before all others."""
    return sorted(
        images, key=lambda image: (not is_protected(image.path, protected), *_question(image, keep))
    )


def is_protected(path: Path, protected: Sequence[Path]) -> bool:
    """Tell whether a file lies in one of the folders, by its name or by where links lead."""
    return bool(protected) and any(
        name.is_relative_to(place)
        for folder in protected
        for place in _names_of(folder)
        for name in (path, _names_of(path.parent)[1] / path.name)
    )


@lru_cache(maxsize=16_384)
def _names_of(folder: Path) -> tuple[Path, Path]:
    """Give a folder's absolute path, and the one without links."""
    return absolute(folder), real(folder)


def has_few_colours(image: StoredImage) -> bool:
    """Tell whether a picture is stored with a palette: of a photo that is a poor copy, however lossless."""
    if image.format in FEW_COLOURS:
        return True
    if image.format not in LOSSLESS:
        return False
    try:
        with Image.open(image.path) as opened:
            return opened.mode in ("P", "PA", "1")
    except (OSError, ValueError, SyntaxError):  # what Pillow says of files that others read
        return False


def _question(image: StoredImage, keep: Keep) -> tuple[Any, ...]:
    best = _best(image)
    match keep:
        case Keep.BEST:
            return best
        case Keep.LARGEST:
            return (-image.size, *best)
        case Keep.OLDEST:
            return (_moment(image), *best)
        case Keep.NEWEST:
            return (-_moment(image), *best)
        case Keep.FIRST:
            return (str(image.path),)


def _best(image: StoredImage) -> tuple[Any, ...]:
    pixels = image.width * image.height
    facts = (image.taken_at, image.camera, image.latitude)
    return (
        -pixels,
        (image.format not in LOSSLESS) + (image.format in FEW_COLOURS),
        -image.size / max(pixels, 1),
        -sum(fact is not None for fact in facts) - _has_sidecar(image.path),
        image.mtime_ns,
        len(str(image.path)),
        str(image.path),
    )


def _has_sidecar(path: Path) -> bool:
    return any(Path(f"{path}{ending}").is_file() for ending in (".xmp", ".XMP"))


def _moment(image: StoredImage) -> float:
    return image.taken_at.timestamp() if image.taken_at else image.mtime_ns / 1e9
