"""Patches: what a frozen encoder gives for the parts of each image, encoded once and kept in a file.

A grid of ten cells a side is enough to learn from: of 6,000 images with 512 numbers a cell it takes 0.6 GB
in float16, and a finer one would make every step as much slower.
"""

import errno
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from indexer.encoders.dense import PatchEncoder, PatchGrid
from indexer.errors import DiskFull
from indexer.workers import usable_cores

from .examples import Example, open_again

GRID_MAX = 10  # cells a side
AT_ONCE = 32  # images

Patches = NDArray[np.float16]  # (images, cells, dim), unit vectors
Tell = Callable[[int, int], None]  # images done, of how many


def keep_patches(
    encoder: PatchEncoder, examples: Sequence[Example], file: Path, tell: Tell = lambda done, of: None
) -> Patches:
    """Encode the patches of all images into a file, and map it; goes on where an earlier run stopped.

    A picture's grid is brought to a square one by averaging neighbours, at most GRID_MAX cells a side.
    Raises DiskFull.
    """
    side = min(GRID_MAX, encoder.cells)
    shape = (len(examples), side * side, encoder.card.dimension)
    row_bytes = 2 * shape[1] * shape[2]
    done = min(file.stat().st_size // row_bytes, len(examples)) if file.exists() else 0
    try:
        with file.open("ab") as kept:
            kept.truncate(done * row_bytes)  # a kill may leave half a row
            for images in _decoded(examples[done:], max(encoder.settings.short_sides)):
                tell(done, len(examples))
                rows = [_squared(grid, side) for grid in encoder.encode_patches(images)]
                kept.write(np.stack(rows).tobytes())
                done += len(images)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(file) from error
        raise
    return np.memmap(file, np.float16, "r", shape=shape)


def _squared(grid: PatchGrid, side: int) -> NDArray[np.float16]:
    """Average (rows, columns, dim) to (side * side, dim) unit vectors."""
    cells = functional.adaptive_avg_pool2d(torch.from_numpy(grid).permute(2, 0, 1), side)
    vectors: NDArray[np.float32] = functional.normalize(cells.flatten(1).T, dim=1).numpy()
    return vectors.astype(np.float16)


def _decoded(examples: Sequence[Example], short_side: int) -> Iterator[list[Image.Image]]:
    """Decode ahead of the encoder, in threads."""
    target = (short_side, short_side)
    waiting: deque[list[Future[Image.Image]]] = deque()
    with ThreadPoolExecutor(max_workers=max(2, usable_cores())) as pool:
        for start in range(0, len(examples), AT_ONCE):
            some = examples[start : start + AT_ONCE]
            waiting.append([pool.submit(open_again, each.image, target=target) for each in some])
            if len(waiting) > 1:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]
