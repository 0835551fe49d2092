"""Lacking: what one file holds beside its picture, and another that looks the same does not."""

from functools import lru_cache
from pathlib import Path

from indexer.actions.sidecars import Names
from indexer.extras import Channels, Extras, read_channels, read_extras
from indexer.opening import Undecodable
from indexer.store.records import StoredImage

PLAIN = frozenset({"JPEG"})  # has eight bits and no transparency


def has_more_channels(other: StoredImage, keeper: StoredImage) -> bool:
    """Tell whether only the other is transparent somewhere, or only it has more than eight bits a channel."""
    theirs = _channels(other)
    if theirs == Channels():
        return False
    kept = _channels(keeper)
    return (theirs.transparent and not kept.transparent) or (theirs.deep and not kept.deep)


def tells_more(other: StoredImage, keeper: StoredImage) -> bool:
    """Tell whether only the other has a date, a camera, a place, words, further views or an XMP file."""
    for name in ("taken_at", "camera", "latitude"):
        if getattr(other, name) is not None and getattr(keeper, name) is None:
            return True
    if has_sidecar(other.path) and not has_sidecar(keeper.path):
        return True
    theirs, kept = extras_of(other), extras_of(keeper)
    return bool(theirs.words - kept.words) or (theirs.pictures > 1 and kept.pictures == 1)


def extras_of(image: StoredImage) -> Extras:
    """Give what a file tells beside its picture; nothing of RAW, and of what cannot be read."""
    return Extras() if image.format == "RAW" else _read_extras(image.path, image.mtime_ns)


def has_sidecar(path: Path) -> bool:
    """Tell whether an XMP file belongs to an image, by the rule of those who would take it along."""
    try:
        changed_ns = path.parent.stat().st_mtime_ns
    except OSError:
        return False
    return bool(_names_in(path.parent, changed_ns).sidecars_of(path.name))


@lru_cache(maxsize=256)  # copies lie in a few folders each, which are listed once
def _names_in(folder: Path, changed_ns: int) -> Names:
    return Names(folder)


def _channels(image: StoredImage) -> Channels:
    if image.format == "RAW":
        return Channels(deep=True)
    return Channels() if image.format in PLAIN else _read_channels(image.path, image.mtime_ns)


@lru_cache(maxsize=1024)  # one picture is compared with many
def _read_channels(path: Path, mtime_ns: int) -> Channels:
    try:
        return read_channels(path)
    except (Undecodable, OSError):  # who acts on it finds out
        return Channels()


@lru_cache(maxsize=4096)
def _read_extras(path: Path, mtime_ns: int) -> Extras:
    try:
        return read_extras(path)
    except (Undecodable, OSError):  # who acts on it finds out
        return Extras()
