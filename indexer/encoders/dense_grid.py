"""What a grid of patches needs beside the pixels: position vectors, and how near its cells are."""

import functools

import numpy as np
from numpy.typing import NDArray

NEIGHBOUR_SIGMA = 5.0  # patches, as NACLIP has it


def positions_on(known: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """Interpolate (1 + side * side, width) position vectors to another grid, bicubically, as torch does."""
    from PIL import Image

    side = round((len(known) - 1) ** 0.5)
    if (rows, columns) == (side, side):
        return known
    planes = known[1:].T.reshape(-1, side, side)
    size, how = (columns, rows), Image.Resampling.BICUBIC
    grid = np.stack([np.asarray(Image.fromarray(plane).resize(size, how)) for plane in planes])
    return np.concatenate([known[:1], grid.reshape(len(planes), -1).T])


@functools.lru_cache(maxsize=16)
def neighbourhood(rows: int, columns: int, sigma: float = NEIGHBOUR_SIGMA) -> NDArray[np.float32]:
    """Give NACLIP's preference for near patches, (1 + rows * columns) squared; zero for the class token."""
    down, across = (
        np.exp(-((np.arange(length)[:, None] - np.arange(length)) ** 2) / (2 * sigma**2))
        for length in (rows, columns)
    )
    return np.pad(np.kron(down, across), ((1, 0), (1, 0))).astype(np.float32)
