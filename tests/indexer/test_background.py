import numpy as np

from indexer.background import UNRELATED_TEXTS, is_stale, measure_background
from indexer.encoders.base import unit_rows


def random_rows(n: int, seed: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, 32)).astype(np.float32))


def test_heights_are_those_of_a_plain_computation() -> None:
    texts, images = random_rows(64, 1), random_rows(500, 2)
    measured = measure_background(texts, images, lambda t: (t @ images.T).max(axis=1), 500)
    scores = texts @ images.T
    heights = (scores.max(axis=1) - scores.mean(axis=1)) / scores.std(axis=1)
    assert np.isclose(measured.top_mean, np.median(heights))
    assert np.isclose(measured.top_std, np.median(heights) - np.percentile(heights, 16))


def test_a_few_texts_that_the_library_does_show_change_nothing_much() -> None:
    texts, images = random_rows(64, 1), random_rows(500, 2)
    plain = measure_background(texts, images, lambda t: (t @ images.T).max(axis=1), 500)
    texts[:5] = images[:5]
    shown = measure_background(texts, images, lambda t: (t @ images.T).max(axis=1), 500)
    assert abs(shown.top_mean - plain.top_mean) < 0.2


def test_one_picture_gives_a_background_all_the_same() -> None:
    image = random_rows(1, 3)
    background = measure_background(random_rows(8, 4), image, lambda t: (t @ image.T).max(axis=1), 1)
    assert background.top_std > 0


def test_the_background_is_stale_when_the_library_grew_or_the_texts_changed() -> None:
    background = {"texts": len(UNRELATED_TEXTS), "images": 100, "top_mean": 2.0, "top_std": 0.3}
    assert not is_stale(background, 105)
    assert is_stale(background, 120)
    assert is_stale(background | {"texts": 3}, 100)
    assert is_stale(None, 1)
