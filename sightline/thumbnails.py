"""Thumbnails: small upright copies of images for sheets, pages and terminals."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

AHEAD = 64  # thumbnails at a time, so that thousands of them need not be held at once


def thumbnails(paths: Sequence[Path], long_side: int) -> Iterator[Image.Image | None]:
    """Yield a small RGB copy of each image, or None where it cannot be read."""
    with ThreadPoolExecutor(thread_name_prefix="thumbnail") as threads:
        for start in range(0, len(paths), AHEAD):
            some = paths[start : start + AHEAD]
            yield from threads.map(lambda path: _thumbnail(path, long_side), some)


def _thumbnail(path: Path, long_side: int) -> Image.Image | None:
    from indexer.opening import INDEXED_MEGAPIXELS_MAX, open_upright

    try:
        image, _ = open_upright(path, target=(long_side, long_side), max_megapixels=INDEXED_MEGAPIXELS_MAX)
    except Exception:
        # The file may be gone, unmounted or changed since it was indexed; its place says so.
        return None
    image.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
    return image.convert("RGB")
