import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from indexer.records import Vectors
from trainer.linear_probe import PENALTIES, choose_penalty, fit, train_probe


def clouds(count: int, seed: int = 0) -> tuple[Vectors, np.ndarray]:
    """Give unit vectors in a narrow cone, as models give them: four classes differ in 8 of 60 directions."""
    chance = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(4, 60)) * (np.arange(60) < 8)
    labels = chance.integers(0, 4, count)
    vectors = 3 + centres[labels] + 0.7 * chance.normal(size=(count, 60))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels


def test_probe_answers_as_scikit_learns_logistic_regression() -> None:
    vectors, labels = clouds(300)
    penalty = 1e-3
    theirs = LogisticRegression(C=1 / (penalty * len(labels)), tol=1e-8, max_iter=2000).fit(vectors, labels)
    scores = fit(vectors, labels, 4, penalty=penalty).scores(vectors)
    exponents = np.exp(scores - scores.max(axis=1, keepdims=True))
    ours = exponents / exponents.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ours, theirs.predict_proba(vectors), atol=5e-3)


def test_chosen_penalty_serves_images_that_were_not_shown_nearly_as_well_as_any() -> None:
    vectors, labels = clouds(60)
    asked, right = clouds(1000, seed=1)
    served = {
        penalty: np.mean(fit(vectors, labels, 4, penalty=penalty).scores(asked).argmax(axis=1) == right)
        for penalty in PENALTIES
    }
    assert max(served.values()) - min(served.values()) > 0.05  # otherwise there is nothing to choose
    assert served[choose_penalty(vectors, labels, 4, seed=0)] > max(served.values()) - 0.03


def test_probe_knows_images_that_it_was_not_shown() -> None:
    probe = train_probe(*clouds(200), 4, seed=0)
    vectors, labels = clouds(200, seed=1)
    assert np.mean(probe.scores(vectors).argmax(axis=1) == labels) > 0.9


def test_probe_learns_nothing_from_shuffled_labels() -> None:
    vectors, labels = clouds(300)
    probe = train_probe(vectors, np.random.default_rng(0).permutation(labels), 4, seed=0)
    asked, right = clouds(300, seed=1)
    assert np.mean(probe.scores(asked).argmax(axis=1) == right) == pytest.approx(0.25, abs=0.2)
