"""Batches: how many images at once, found by trying, halved when memory runs out."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EncoderError

SMALLEST_START = 16
LARGEST = 1024
WORTH_DOUBLING = 1.05  # a larger batch delays the first result and costs memory: it must pay


def find_batch_size(
    run: Callable[[int], object],
    *,
    is_out_of_memory: Callable[[Exception], bool],
    free: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Double the batch while that gives at least 5 % more images a second and memory suffices."""
    best, best_rate = 1, 0.0
    size = SMALLEST_START
    while size <= LARGEST:
        try:
            run(size)  # the first run of a size pays for choosing kernels
            start = clock()
            run(size)
            rate = size / max(clock() - start, 1e-9)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            free()
            # Half of what did not fit runs, but with nothing to spare; a quarter leaves room for others.
            return best if best_rate else max(1, size // 4)
        if rate < best_rate * WORTH_DOUBLING:
            return best
        best, best_rate, size = size, rate, size * 2
    return best


def in_batches(
    run: Callable[[NDArray[Any]], NDArray[np.float32]],
    rows: NDArray[Any],
    size: int,
    *,
    is_out_of_memory: Callable[[Exception], bool],
    free: Callable[[], None] = lambda: None,
) -> Iterator[NDArray[np.float32]]:
    """Run over the rows in batches of `size`; when memory runs out, halve it for the rest."""
    start = 0
    while start < len(rows):
        try:
            result = run(rows[start : start + size])
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            size = _halved(size, error)
            free()
            continue
        yield result
        start += size


def _halved(size: int, error: Exception) -> int:
    if size == 1:
        raise EncoderError(
            "the device has no memory left for even one image; close what else uses it, or use --device cpu"
        ) from error
    return size // 2
