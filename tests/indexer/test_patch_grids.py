"""Patch grids in eight bits a number are the same vectors, nearly."""

import numpy as np
import pytest

from indexer.patch_grids import pack_grid, unpack_grid


def unit(*shape: int) -> np.ndarray:
    vectors = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize("shape", [(7, 11, 256), (1, 1, 512), (3, 2, 5)])
def test_vectors_come_back_nearly_as_they_were(shape: tuple[int, ...]) -> None:
    grid = unit(*shape)
    back = unpack_grid(pack_grid(grid))
    assert back.shape == shape
    assert back.dtype == np.float32
    assert (back * grid).sum(axis=2).min() > 0.9998


def test_a_cell_takes_two_bytes_and_one_for_each_dimension() -> None:
    assert len(pack_grid(unit(7, 11, 256)).cells) == 7 * 11 * 258


def test_a_cell_of_zeros_stays_one() -> None:
    assert not unpack_grid(pack_grid(np.zeros((2, 2, 8), np.float32))).any()


def test_scores_of_texts_stay_within_thousandths() -> None:
    grid, texts = unit(14, 21, 512), unit(20, 512)
    assert np.abs(grid @ texts.T - unpack_grid(pack_grid(grid)) @ texts.T).max() < 0.003
