"""Keeping: which of several copies is the one to keep.

`best`: RAW negatives before all that may be developed from them; then most pixels; then least compressed
(lossless before lossy, lossy before the 256 colours of GIF, then bytes per pixel, of which HEIF, AVIF and
WebP need fewer than JPEG for the same); then most told by its
metadata (date, camera, place, an XMP file that is its own); then the oldest file; then the shortest path;
then the path, so that the answer never depends on chance. The other policies ask their own question first,
then go on as `best` does.
What comes first in this order does not take every copy's place, and a JPEG goes before the PNG that was
saved from it: see `giving_up`.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from indexer.extras import LOSSLESS
from indexer.opening import Undecodable, opened_unread
from indexer.paths import identity_of
from indexer.store.names import absolute, real
from indexer.store.records import StoredImage

from .lacking import extras_of, has_sidecar

NEGATIVE = "RAW"  # what a developed copy is made of, and cannot be turned back into
FEW_COLOURS = frozenset({"GIF"})
SOMETIMES_LOSSLESS = frozenset({"WEBP", "JPEG2000"})
# As many of JPEG say the same: what their makers and comparisons claim, roughly.
BYTES_WORTH = {"HEIF": 2.0, "AVIF": 2.0, "WEBP": 1.4, "JPEG2000": 1.3}
_EPOCH = datetime(1970, 1, 1)


class Keep(StrEnum):
    """Which file of a group stays."""

    BEST = "best"
    LARGEST = "largest"  # in bytes
    OLDEST = "oldest"  # by the camera's date, else the file's
    NEWEST = "newest"
    FIRST = "first"  # in the order of paths


def order_to_keep(
    images: Sequence[StoredImage],
    keep: Keep,
    protected: Sequence[Path] = (),
    reference: Path | None = None,
) -> list[StoredImage]:
    """Sort, the most worth keeping first; before all others files in the reference, then protected ones."""
    known = () if reference is None else (reference,)

    def rank(image: StoredImage) -> tuple[Any, ...]:
        places = not is_protected(image.path, known), not is_protected(image.path, protected)
        return *places, *_question(image, keep)

    return sorted(images, key=rank)


def is_protected(path: Path, protected: Sequence[Path]) -> bool:
    """Tell whether a file lies in one of the folders, however these are named.

    By its name, by where links lead, and by what the file system takes for one folder: there are those that
    know `albums` as `Albums` too, or a letter with an accent in two spellings.
    """
    return any(_is_file(path, place) or _is_below(path.parent, place) for place in protected)


def look_anew() -> None:
    """Forget which folders are which: links may lead elsewhere since."""
    for remembered in (_names_of, _is_below, _identities_above):
        remembered.cache_clear()


def _is_file(path: Path, place: Path) -> bool:
    names = _names_of(place)
    return path in names or _names_of(path.parent)[1] / path.name in names


@lru_cache(maxsize=65_536)  # a folder is asked about for each of its files
def _is_below(folder: Path, place: Path) -> bool:
    """Tell whether a folder is the place, or lies below it."""
    names = _names_of(place)
    if any(name.is_relative_to(known) for name in _names_of(folder) for known in names):
        return True
    identity = identity_of(place)
    return identity is not None and identity in _identities_above(_names_of(folder)[1])


@lru_cache(maxsize=16_384)
def _names_of(folder: Path) -> tuple[Path, Path]:
    """Give a folder's absolute path, and the one without links."""
    return absolute(folder), real(folder)


@lru_cache(maxsize=16_384)
def _identities_above(folder: Path) -> frozenset[tuple[int, int]]:
    """Give the identities of a folder and of all around it."""
    own = identity_of(folder)
    around = frozenset() if folder.parent == folder else _identities_above(folder.parent)
    return around if own is None else around | {own}


def has_few_colours(image: StoredImage) -> bool:
    """Tell whether a picture is stored with a palette: of a photo that is a poor copy, however lossless."""
    if image.format in FEW_COLOURS:
        return True
    if image.format not in LOSSLESS:
        return False
    try:
        with opened_unread(image.path) as (opened, _):
            return opened.mode in ("P", "PA", "1")
    except (Undecodable, OSError):  # who acts on it finds out
        return False


def is_lossless(image: StoredImage) -> bool:
    """Tell whether a picture is coded without a loss; it may have been made of one that was not."""
    return image.format in LOSSLESS or (image.format in SOMETIMES_LOSSLESS and extras_of(image).lossless)


def came_before(one: StoredImage, other: StoredImage) -> bool:
    """Tell whether of two files of equal pixels the other must have been made of the one.

    Of a picture that was coded with a loss a lossless file can be made, but not the other way round: then the
    pixels would not be equal. Of two files of one kind the times tell nothing: copying sets them anew.
    """
    return not _loses_nothing(one) and _loses_nothing(other)


def _loses_nothing(image: StoredImage) -> bool:
    return is_lossless(image) or image.format in FEW_COLOURS  # what GIF loses are colours, before coding


def worth(image: StoredImage) -> float:
    """Give the size in bytes of JPEG that say the same."""
    return image.size * BYTES_WORTH.get(image.format, 1.0)


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
        image.format != NEGATIVE,
        -pixels,
        (not is_lossless(image)) + (image.format in FEW_COLOURS),
        -worth(image) / max(pixels, 1),
        -sum(fact is not None for fact in facts) - has_sidecar(image.path),
        image.mtime_ns,
        len(str(image.path)),
        str(image.path),
    )


def _moment(image: StoredImage) -> float:
    if image.taken_at is None:
        return image.mtime_ns / 1e9
    try:
        return image.taken_at.timestamp()
    except (OSError, OverflowError, ValueError):  # Windows knows no zone before 1970, nobody at the very ends
        return (image.taken_at - _EPOCH).total_seconds()
