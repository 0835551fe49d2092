"""The linear probe: how well classes can be told apart in a model's vectors by planes between them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from indexer.records import Vectors

# Of the mean loss; from strong to weak, so that each fit starts from one nearby.
PENALTIES = tuple(10.0**power for power in range(-2, -8, -1))
FOLDS = 3
CHOSEN_ON_MAX = 5000  # images; more make the choice of the penalty no better, only slower
STEPS_MAX = 300
# Multiplications a step; below it threads wait for one another longer than they work (measured: 12 s for what
# one thread does in 0.5 s, when other programs keep the cores busy).
WORTH_THREADS = 50_000_000


@dataclass(frozen=True)
class LinearProbe:
    """A multinomial logistic regression on unit vectors."""

    weights: NDArray[np.float32]  # (classes, dim)
    intercepts: NDArray[np.float32]  # (classes,)
    penalty: float

    def scores(self, vectors: Vectors) -> NDArray[np.float32]:
        """Score (n, dim) vectors; (n, classes), the highest is the answer."""
        return np.asarray(vectors @ self.weights.T + self.intercepts, dtype=np.float32)


def train_probe(vectors: Vectors, labels: NDArray[np.int64], classes: int, *, seed: int) -> LinearProbe:
    """Fit a probe to (n, dim) vectors with labels (n,); the penalty is chosen by cross-validation."""
    return fit(vectors, labels, classes, penalty=choose_penalty(vectors, labels, classes, seed=seed))


@contextmanager
def _fitting_threads(multiplications: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(before if multiplications >= WORTH_THREADS else 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def choose_penalty(vectors: Vectors, labels: NDArray[np.int64], classes: int, *, seed: int) -> float:
    """Give the penalty under which the images of each fold are told best by a probe of the others."""
    rows = np.random.default_rng(seed).permutation(len(labels))[:CHOSEN_ON_MAX]
    right = np.zeros(len(PENALTIES))
    for fold in range(min(FOLDS, len(rows))):
        held = np.arange(len(rows)) % FOLDS == fold
        learned, asked = rows[~held], rows[held]
        for place, probe in enumerate(_path(vectors[learned], labels[learned], classes)):
            right[place] += np.sum(probe.scores(vectors[asked]).argmax(axis=1) == labels[asked])
    return PENALTIES[int(right.argmax())]


def fit(vectors: Vectors, labels: NDArray[np.int64], classes: int, *, penalty: float) -> LinearProbe:
    """Minimise mean cross-entropy + penalty / 2 * the sum of squared weights; intercepts go free."""
    return _fit(vectors, labels, classes, penalty, None)


def _path(vectors: Vectors, labels: NDArray[np.int64], classes: int) -> Iterator[LinearProbe]:
    before = None
    for penalty in PENALTIES:
        before = _fit(vectors, labels, classes, penalty, before)
        yield before


def _fit(
    vectors: Vectors, labels: NDArray[np.int64], classes: int, penalty: float, start: LinearProbe | None
) -> LinearProbe:
    # Centring changes no answer, for intercepts are free, but vectors in a narrow cone converge slowly.
    centre = vectors.mean(axis=0) if len(vectors) else np.zeros(vectors.shape[1], dtype=np.float32)
    rows, targets = torch.from_numpy(vectors - centre), torch.from_numpy(labels)
    weights = torch.zeros(classes, vectors.shape[1], requires_grad=True)
    intercepts = torch.zeros(classes, requires_grad=True)
    if start is not None:
        with torch.no_grad():
            weights.copy_(torch.from_numpy(start.weights))
            intercepts.copy_(torch.from_numpy(start.scores(centre[None])[0]))
    optimizer = torch.optim.LBFGS(
        [weights, intercepts], max_iter=STEPS_MAX, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        error = nn.functional.cross_entropy(rows @ weights.T + intercepts, targets)
        total = error + penalty / 2 * weights.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    with _fitting_threads(vectors.size * classes):
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    found = weights.detach().numpy()
    return LinearProbe(found, intercepts.detach().numpy() - found @ centre, penalty)
