import numpy as np

from search.regions_pacl import compatibility


def unit(*shape: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def naive(patches: np.ndarray, texts: np.ndarray, temperature: float) -> np.ndarray:
    scores = np.empty((len(patches), len(texts)))
    for i, picture in enumerate(patches):
        for j, text in enumerate(texts):
            weights = np.exp(picture @ text / temperature)
            pooled = (weights / weights.sum()) @ picture
            scores[i, j] = pooled @ text / np.linalg.norm(pooled)
    return scores


def test_the_short_form_equals_pooling_each_pair():
    patches, texts = unit(6, 20, 32), unit(5, 32, seed=1)
    for temperature in (1.0, 0.1, 0.02):
        assert (
            np.abs(compatibility(patches, texts, temperature) - naive(patches, texts, temperature)).max()
            < 1e-5
        )


def test_unrelated_pictures_and_texts_match_no_better_than_chance():
    right = [
        (
            compatibility(unit(32, 49, 64, seed=seed), unit(32, 64, seed=1000 + seed)).argmax(axis=1)
            == np.arange(32)
        )
        for seed in range(10)
    ]
    assert np.mean(right) < 3 / 32


def test_a_patch_that_is_the_text_lifts_the_score():
    patches, texts = unit(1, 20, 32), unit(1, 32, seed=1)
    before = compatibility(patches, texts)
    patches[0, 3] = texts[0]
    assert compatibility(patches, texts)[0, 0] > before[0, 0] + 0.2
