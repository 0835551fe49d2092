import numpy as np
import pytest

from indexer.encoders.base import unit_rows
from indexer.errors import EncoderError
from search.regions_pacl import TEMPERATURE, compatibility
from trainer.scoring import Cosines, WithParts

IMAGES, TEXTS, CELLS, DIMENSION = 7, 5, 9, 16


def unit(*shape: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return unit_rows(rows.reshape(-1, shape[-1])).reshape(shape)


@pytest.fixture
def whole() -> Cosines:
    return Cosines(unit(IMAGES, DIMENSION, seed=1), unit(TEXTS, DIMENSION, seed=2))


@pytest.fixture
def scorer(whole: Cosines) -> WithParts:
    return WithParts(whole, unit(IMAGES, CELLS, DIMENSION, seed=3).astype(np.float16), TEMPERATURE)


def test_parts_are_added_to_the_cosine_as_the_search_does(scorer: WithParts, whole: Cosines) -> None:
    patches = scorer.patches.astype(np.float32)
    expected = compatibility(patches, whole.texts, TEMPERATURE).T + whole.texts @ whole.images.T
    np.testing.assert_allclose(scorer.of_texts(slice(0, TEXTS)), expected, atol=1e-5)


def test_images_see_texts_as_texts_see_images(scorer: WithParts) -> None:
    both_ways = scorer.of_images(slice(0, IMAGES)).T
    np.testing.assert_allclose(scorer.of_texts(slice(0, TEXTS)), both_ways, atol=1e-5)


def test_some_rows_are_scored_as_all_are(scorer: WithParts) -> None:
    np.testing.assert_allclose(
        scorer.of_images(slice(2, 4)), scorer.of_images(slice(0, IMAGES))[2:4], atol=1e-5
    )
    np.testing.assert_allclose(scorer.of_texts(slice(1, 3)), scorer.of_texts(slice(0, TEXTS))[1:3], atol=1e-5)


def test_vectors_that_are_no_numbers_are_refused() -> None:
    broken = np.full((2, DIMENSION), np.nan, np.float32)
    with pytest.raises(EncoderError, match="NaN"):
        Cosines(broken, unit(2, DIMENSION, seed=1))
