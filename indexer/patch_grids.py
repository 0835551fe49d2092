"""Patch grids as they are stored: eight bits for each number of a patch vector.

A cell takes two bytes and one for each dimension: a float16, and the vector's numbers in 127ths of it. That
keeps a cosine with a text to a few thousandths, at half of what float16 takes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEVELS: Final = 127


@dataclass(frozen=True, slots=True)
class PackedGrid:
    """A (rows, columns, dim) grid of unit vectors in few bytes (docs/formats.md)."""

    rows: int
    columns: int
    cells: bytes


def pack_grid(grid: NDArray[np.float32]) -> PackedGrid:
    """Pack a (rows, columns, dim) grid."""
    rows, columns, dimension = grid.shape
    vectors = grid.reshape(-1, dimension)
    largest = np.abs(vectors).max(axis=1, keepdims=True).astype("<f2")
    steps = np.rint(vectors * (LEVELS / np.maximum(largest.astype(np.float32), 1e-6)))
    numbers = np.clip(steps, -LEVELS, LEVELS).astype(np.int8)
    packed = np.concatenate([largest.view(np.uint8), numbers.view(np.uint8)], axis=1)
    return PackedGrid(rows, columns, packed.tobytes())


def unpack_grid(packed: PackedGrid) -> NDArray[np.float32]:
    """Give the grid back, its vectors of length one; raises ValueError for bytes that are none."""
    count = packed.rows * packed.columns
    cells = np.frombuffer(packed.cells, np.uint8).reshape(count, -1)
    largest = cells[:, :2].copy().view("<f2").astype(np.float32)
    vectors = cells[:, 2:].view(np.int8) * (largest / LEVELS)
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray(vectors / lengths, np.float32).reshape(packed.rows, packed.columns, -1)


@dataclass(frozen=True, slots=True, eq=False)
class Grids(Mapping[bytes, NDArray[np.float32]]):
    """Grids by the hashes of their contents, unpacked one by one: those of 5,000 images take gigabytes."""

    packed: Mapping[bytes, PackedGrid]

    def __getitem__(self, content_hash: bytes) -> NDArray[np.float32]:
        return unpack_grid(self.packed[content_hash])

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.packed)

    def __len__(self) -> int:
        return len(self.packed)
