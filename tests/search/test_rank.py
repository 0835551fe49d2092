import numpy as np
import pytest

from indexer.background import measure_background
from indexer.encoders.base import unit_rows
from search.query import EncodedQuery, MixedQuery, mix
from search.rank import RELEVANCE_MIN, Scale, measure_scale


def rows(n: int, seed: int, dimension: int = 32) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dimension)).astype(np.float32))


def background_of(images: np.ndarray, texts: np.ndarray) -> dict[str, object]:
    def best_image(texts: np.ndarray) -> np.ndarray:
        return images[(texts @ images.T).argmax(axis=1)]

    return measure_background(texts, images, best_image, len(images)).as_dict()


def query_of(vectors: np.ndarray, sample: np.ndarray, *, examples: int = 0) -> MixedQuery:
    """Mix vectors, of which the last ones are of examples."""
    weights, is_example = (
        np.ones(len(vectors), np.float32),
        np.arange(len(vectors)) >= len(vectors) - examples,
    )
    return mix(EncodedQuery(vectors, weights, is_example, frozenset()), sample)


def best_relevance(query: MixedQuery, images: np.ndarray, background: dict[str, object] | None) -> float:
    scores = images @ query.vector
    scale = measure_scale(query, images[scores.argmax()], images, background)
    return float(scale.relevance(scores).max())


def test_relevance_rises_with_the_score_between_0_and_1():
    relevance = Scale(0.1, 0.05, 2.0, 0.4).relevance(np.linspace(-1, 1, 50, dtype=np.float32))
    assert (np.diff(relevance) >= 0).all()
    assert relevance.min() >= 0
    assert relevance.max() <= 1


def test_the_line_lies_one_spread_above_what_unrelated_queries_reach():
    scale = Scale(baseline=0.1, spread=0.02, top_mean=3.0, top_std=0.5)
    assert scale.relevance(np.array([0.1 + 0.02 * 3.5], np.float32))[0] == pytest.approx(
        RELEVANCE_MIN, abs=1e-3
    )


@pytest.mark.parametrize("is_measured", [True, False])
def test_matches_stand_above_the_line_and_other_queries_below(is_measured: bool):
    images = rows(400, 0)
    background = background_of(images, rows(64, 1)) if is_measured else None
    matching = unit_rows(images[:50] + 0.6 * rows(50, 2))
    found = [best_relevance(query_of(text[None], images), images, background) for text in matching]
    missed = [best_relevance(query_of(text[None], images), images, background) for text in rows(50, 3)]
    assert np.mean(np.array(found) >= RELEVANCE_MIN) > 0.95
    assert np.mean(np.array(missed) >= RELEVANCE_MIN) < 0.3


def test_an_image_that_pleases_every_query_is_no_match():
    images = rows(400, 0)
    common = rows(1, 5)[0]
    texts, other = unit_rows(rows(64, 1) + common), unit_rows(rows(20, 3) + common)
    images[7] = common  # scores high with everything
    background = background_of(images, texts)
    found = [best_relevance(query_of(text[None], images), images, background) for text in other]
    assert np.mean(np.array(found) >= RELEVANCE_MIN) < 0.3


def test_two_texts_at_once_match_as_seldom_as_one():
    images = rows(400, 0)
    common = rows(1, 5)[0]
    texts, other = unit_rows(rows(64, 1) + common), unit_rows(rows(80, 3) + common)
    images = unit_rows(images + common)
    background = background_of(images, texts)
    pairs = np.stack([other[:40], other[40:]], axis=1)
    found = [best_relevance(query_of(pair, images), images, background) for pair in pairs]
    assert np.mean(np.array(found) >= RELEVANCE_MIN) < 0.3


def test_a_single_image_can_match_or_not():
    image = rows(1, 0)
    background = background_of(image, rows(64, 1))
    match = unit_rows(image + 0.5 * rows(1, 2))
    assert best_relevance(query_of(match, image), image, background) > RELEVANCE_MIN
    missed = [best_relevance(query_of(text[None], image), image, background) for text in rows(40, 3)]
    assert np.median(missed) < RELEVANCE_MIN


def test_examples_are_judged_against_the_other_images():
    images = rows(400, 0)
    background = background_of(images, rows(64, 1))
    near = unit_rows(images[:20] + 0.5 * rows(20, 2))
    found = [best_relevance(query_of(one[None], images, examples=1), images, background) for one in near]
    assert min(found) > RELEVANCE_MIN


@pytest.mark.parametrize("with_words", [False, True])
@pytest.mark.parametrize("count", [40, 400])
def test_the_line_lies_where_one_in_thirty_images_in_the_examples_place_would_stand(
    count: int, with_words: bool
):
    common = rows(1, 5)[0]
    images = unit_rows(rows(count, 0) + common)
    background = background_of(images, unit_rows(rows(64, 1) + common))
    texts, examples = unit_rows(rows(40, 2) + common), unit_rows(rows(40, 3) + common)
    above = []
    for text, example in zip(texts, examples, strict=True):
        parts = np.stack([text, example] if with_words else [example])
        query = query_of(parts, images, examples=1)
        relevance = measure_scale(query, images[0], images, background).relevance(images @ query.vector)
        above.append(np.mean(relevance >= RELEVANCE_MIN))
    assert 0.01 < np.mean(above) < 0.06


@pytest.mark.parametrize("images", [1, 2, 5, 30])
@pytest.mark.parametrize("example", [True, False])
def test_numbers_are_finite_in_tiny_libraries_and_before_any_background(images: int, example: bool):
    library = rows(images, 0)
    measured = background_of(library, rows(8, 1))
    of_an_early_edition = {name: value for name, value in measured.items() if name != "mean"}
    for background in (None, measured, of_an_early_edition):
        relevance = best_relevance(query_of(library[:1], library, examples=example), library, background)
        assert 0 <= relevance <= 1


def test_equal_images_do_not_divide_by_nothing():
    library = np.repeat(rows(1, 0), 30, axis=0)
    assert np.isfinite(best_relevance(query_of(library[:1], library, examples=1), library, None))


def test_texts_that_are_all_one_to_a_model_do_not_divide_by_nothing():
    images = rows(30, 0)
    background = background_of(images, np.repeat(rows(1, 1), 8, axis=0))
    assert np.isfinite(best_relevance(query_of(rows(1, 2), images), images, background))


def test_what_only_takes_away_is_neither_matched_nor_missed():
    images = rows(400, 0)
    encoded = EncodedQuery(rows(2, 1), np.array([-1, -2], np.float32), np.zeros(2, bool), frozenset())
    assert best_relevance(mix(encoded, images), images, background_of(images, rows(64, 1))) == RELEVANCE_MIN
