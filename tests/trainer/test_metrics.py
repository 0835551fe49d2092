import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score, top_k_accuracy_score

from indexer.errors import EncoderError
from indexer.records import Vectors
from trainer import metrics
from trainer.metrics import Links, ask, chance, link


def unit(rows: int, dimension: int = 16, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(rows, dimension)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def each_its_own(count: int) -> Links:
    return Links(np.arange(count), np.arange(count))


def near(images: Vectors, texts_an_image: int) -> Vectors:
    noisy = np.repeat(images, texts_an_image, axis=0) + 2.0 * unit(len(images) * texts_an_image, seed=1)
    return np.asarray(noisy / np.linalg.norm(noisy, axis=1, keepdims=True), dtype=np.float32)


@pytest.mark.parametrize("k", [1, 5, 10])
def test_recall_is_the_top_k_accuracy_of_scikit_learn(k: int) -> None:
    images = unit(200)
    texts = near(images, 3)
    own = np.repeat(np.arange(200), 3)
    found = np.mean(ask(texts, images, Links(np.arange(600), own)).ranks <= k)
    expected = top_k_accuracy_score(own, texts @ images.T, k=k, labels=np.arange(200))
    assert 0.1 < expected < 0.95
    assert found == pytest.approx(expected, abs=1e-12)


def test_ranks_are_those_of_scikit_learns_mean_reciprocal_rank() -> None:
    images, texts = unit(300), near(unit(300), 1)
    ranks = ask(texts, images, each_its_own(300)).ranks
    # With one right answer a query, average precision is the reciprocal of its rank.
    expected = label_ranking_average_precision_score(np.eye(300), texts @ images.T)
    assert np.mean(1 / ranks) == pytest.approx(expected, abs=1e-12)


def test_several_right_answers_are_ranked_by_the_best_one_as_sorting_all_would() -> None:
    images = unit(60)
    texts = near(images, 5)
    links = Links(np.arange(300), np.repeat(np.arange(60), 5)).reversed
    answers = ask(images, texts, links)
    for image, order in enumerate(np.argsort(-(images @ texts.T), axis=1)):
        assert answers.nearest[image] == order[0]
        first_right = next(place for place, text in enumerate(order) if text // 5 == image)
        assert answers.ranks[image] == first_right + 1


def test_blocks_give_what_one_piece_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    images = unit(40)
    texts = near(images, 2)
    links = Links(np.arange(80), np.repeat(np.arange(40), 2))
    whole = ask(texts, images, links)
    monkeypatch.setattr(metrics, "SCORES_MAX", 7 * 40)
    np.testing.assert_array_equal(ask(texts, images, links).ranks, whole.ranks)
    np.testing.assert_array_equal(ask(texts, images, links).nearest, whole.nearest)


def test_ties_count_against_us_wherever_the_equal_vectors_stand() -> None:
    one = unit(1, 512)
    answers = ask(np.repeat(one, 3, axis=0), np.repeat(one, 101, axis=0), link([[0], [50], [100]]))
    assert answers.ranks.tolist() == [101, 101, 101]


def test_another_right_answer_is_not_in_the_way() -> None:
    answers = ask(np.eye(3, dtype=np.float32)[:1], np.eye(3, dtype=np.float32)[[0, 0, 1]], link([[0, 1]]))
    assert answers.ranks.tolist() == [1]


def test_vectors_that_are_no_numbers_are_refused_and_do_not_rank_first() -> None:
    broken = np.full((4, 8), np.nan, dtype=np.float32)
    with pytest.raises(EncoderError, match="no numbers"):
        ask(broken, unit(4, 8), each_its_own(4))


def test_chance_is_what_random_vectors_get() -> None:
    images, texts = unit(50, 64, seed=5), unit(250, 64, seed=6)
    links = Links(np.arange(250), np.repeat(np.arange(50), 5)).reversed
    shares = []
    for seed in range(40):
        shuffled = np.random.default_rng(seed).permutation(250)
        shares.append(np.mean(ask(images, texts[shuffled], links).ranks <= 10))
    assert np.mean(shares) == pytest.approx(chance(links.rights, 250)[9], abs=0.02)


def test_chance_of_one_right_answer_is_its_share() -> None:
    np.testing.assert_allclose(chance(np.ones(7, dtype=np.int64), 20), np.arange(1, 21) / 20)
