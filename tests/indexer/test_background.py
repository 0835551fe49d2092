from collections.abc import Callable

import numpy as np

from indexer.background import UNRELATED_TEXTS, is_stale, measure_background
from indexer.encoders.base import unit_rows


def random_rows(n: int, seed: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, 32)).astype(np.float32))


def best_of(images: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda texts: images[(texts @ images.T).argmax(axis=1)]


def test_heights_are_those_of_a_plain_computation() -> None:
    texts, images = random_rows(64, 1), random_rows(500, 2)
    measured = measure_background(texts, images, best_of(images), 500)
    scores = texts @ images.T
    above = scores - scores.mean(axis=0)
    heights = above[np.arange(64), scores.argmax(axis=1)] / above.std()
    assert np.isclose(measured.spread, above.std(), atol=1e-5)
    assert np.isclose(measured.top_mean, np.median(heights), atol=1e-4)
    assert np.isclose(measured.top_std, np.median(heights) - np.percentile(heights, 16), atol=1e-4)
    assert np.allclose(images @ np.array(measured.mean), scores.mean(axis=0), atol=1e-4)


def test_a_few_texts_that_the_library_does_show_change_nothing_much() -> None:
    texts, images = random_rows(64, 1), random_rows(500, 2)
    plain = measure_background(texts, images, best_of(images), 500)
    texts[:5] = images[:5]
    shown = measure_background(texts, images, best_of(images), 500)
    assert abs(shown.top_mean - plain.top_mean) < 0.2


def test_one_picture_gives_a_background_all_the_same() -> None:
    image = random_rows(1, 3)
    background = measure_background(random_rows(8, 4), image, best_of(image), 1)
    assert background.top_std > 0


def test_the_background_is_stale_when_the_library_grew_or_the_texts_changed() -> None:
    background = {"texts": len(UNRELATED_TEXTS), "images": 100, "mean": [0.0]}
    assert not is_stale(background, 105)
    assert is_stale(background, 120)
    assert is_stale(background, 80)
    assert is_stale(background | {"texts": 3}, 100)
    assert is_stale({"texts": len(UNRELATED_TEXTS), "images": 100}, 100)
    assert is_stale(None, 1)
