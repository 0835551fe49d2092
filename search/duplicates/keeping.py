"""Keeping: which of several copies is the one to keep.

`best`: most pixels; then least compressed (lossless before lossy, then bytes per pixel); then most told by
its metadata (date, camera, place); then the oldest file; then the shortest path; then the path, so that the
answer never depends on chance. The other policies ask their own question first, then go on as `best` does.
What comes first in this order does not take every copy's place: see `finder`.
"""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from indexer.store.records import StoredImage

LOSSLESS = frozenset({"PNG", "BMP", "TIFF", "PPM", "GIF"})


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
    """Tell whether a file lies in one of the folders."""
    return any(path.is_relative_to(folder) for folder in protected)


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
        image.format not in LOSSLESS,
        -image.size / max(pixels, 1),
        -sum(fact is not None for fact in facts),
        image.mtime_ns,
        len(str(image.path)),
        str(image.path),
    )


def _moment(image: StoredImage) -> float:
    return image.taken_at.timestamp() if image.taken_at else image.mtime_ns / 1e9
