"""Channels: whether a file holds transparency or shades that a flattened copy of it has lost."""

from functools import lru_cache
from pathlib import Path

from indexer.opening import Channels, Undecodable, read_channels
from indexer.store.records import StoredImage

PLAIN = frozenset({"JPEG"})  # has eight bits and no transparency


def has_more_channels(other: StoredImage, keeper: StoredImage) -> bool:
    """Tell whether only the other is transparent somewhere, or only it has more than eight bits a channel."""
    theirs = _channels(other)
    if theirs == Channels():
        return False
    kept = _channels(keeper)
    return (theirs.transparent and not kept.transparent) or (theirs.deep and not kept.deep)


def _channels(image: StoredImage) -> Channels:
    if image.format == "RAW":
        return Channels(deep=True)
    return Channels() if image.format in PLAIN else _read(image.path, image.mtime_ns)


@lru_cache(maxsize=1024)  # one picture is compared with many
def _read(path: Path, mtime_ns: int) -> Channels:
    try:
        return read_channels(path)
    except (Undecodable, OSError):  # who acts on it finds out
        return Channels()
