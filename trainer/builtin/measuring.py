"""Measuring: the two figures that the recipe follows, recall on captions and zero-shot accuracy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.records import Vectors

from ..evaluate import RECALL_AT
from ..metrics import Links, ask


@dataclass(frozen=True, slots=True)
class Recall:
    """Share of queries whose own picture is among the first 1, 5 and 10."""

    at_1: float
    at_5: float
    at_10: float


def text_to_image_recall(text_vectors: Vectors, image_vectors: Vectors, own: NDArray[np.int64]) -> Recall:
    """Measure recall@k of (m, dim) texts over (n, dim) images; own is (m,), the row of each text's image.

    Ties count against us: an image ranks behind every other one that scores as high.
    """
    ranks = ask(text_vectors, image_vectors, Links(np.arange(len(own)), own)).ranks
    return Recall(*(float(np.mean(ranks <= k)) for k in RECALL_AT))


def zero_shot_top_1(image_vectors: Vectors, labels: NDArray[np.int64], classes: Vectors) -> float:
    """Give the share of (n, dim) images whose nearest class vector is their own label's."""
    return float(np.mean(np.argmax(image_vectors @ classes.T, axis=1) == labels))
