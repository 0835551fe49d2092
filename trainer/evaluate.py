"""Evaluation: how well an encoder finds pictures by their captions and names their classes."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.records import Vectors

from .bootstrap import MedianRank, Share, Statistic, share_of
from .metrics import chance

Rows: TypeAlias = NDArray[np.int64]

RECALL_AT = (1, 5, 10)
TOP = (1, 5)


def class_vectors(vectors_of_prompts: Vectors, n_templates: int) -> Vectors:
    """Average (n_classes * n_templates, dim) prompt vectors to (n_classes, dim) unit rows."""
    means = vectors_of_prompts.reshape(-1, n_templates, vectors_of_prompts.shape[1]).mean(axis=1)
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), dtype=np.float32)


@dataclass(frozen=True)
class Measured:
    """One figure of one model, in the form that the bootstrap takes, and what chance would give."""

    name: str
    statistic: Statistic
    chance: float


def retrieval_figures(
    direction: str, ranks: Rows, rights: Rows, owners: Rows, *, images: int, candidates: int
) -> list[Measured]:
    """Give recall@1, @5, @10 and the median rank of m queries.

    Each has its rank (m,), so many right candidates (m,), and is one of the image `owners` (m,).
    Recall@k is left out where k reaches all candidates.
    """
    by_chance = chance(rights, candidates)
    figures = [
        Measured(f"{direction} recall@{k}", share_of(ranks <= k, owners, images), float(by_chance[k - 1]))
        for k in RECALL_AT
        if k < candidates
    ]
    half = float(np.searchsorted(by_chance, 0.5) + 1)
    return [*figures, Measured(f"{direction} median rank", MedianRank(ranks, owners, images), half)]


def class_figures(what: str, ranks: Rows, classes: int) -> list[Measured]:
    """Give the top-1 and top-5 accuracy of (n,) ranks, one an image."""
    asked = np.ones(len(ranks), dtype=np.int64)
    return [
        Measured(f"{what} top-{k}", Share((ranks <= k).astype(np.int64), asked), k / classes)
        for k in TOP
        if k < classes
    ]


def label_ranks(scores: NDArray[np.float32], labels: Rows) -> Rows:
    """Give the rank of each row's own label in (n, classes) scores; ties count against us."""
    own = scores[np.arange(len(labels)), labels]
    return np.asarray((scores >= own[:, None]).sum(axis=1))
