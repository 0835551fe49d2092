"""Damage: whether a file has lost a part of its picture, looked at once for each of its states."""

from functools import lru_cache
from pathlib import Path

from indexer.store.records import StoredImage
from indexer.wholeness import has_lost_part


def is_hurt(image: StoredImage) -> bool:
    """Tell whether a part of a file's picture is lost, although it can be shown; raises OSError."""
    return _is_hurt(image.path, image.format, image.size, image.mtime_ns)


@lru_cache(maxsize=16_384)  # one picture is compared with many; an answer costs a read of the file
def _is_hurt(path: Path, kind: str, size: int, mtime_ns: int) -> bool:
    return has_lost_part(path, kind)
