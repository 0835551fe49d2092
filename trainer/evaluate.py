"""Evaluation: how well an encoder finds pictures by their captions and names their classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.records import Vectors

# The six plain ones; more gained nothing measurable at this model size.
TEMPLATES = (
    "a photo of a {}.",
    "a picture of the {}.",
    "{}",
    "a close-up photo of a {}.",
    "a small {}.",
    "there is a {} in the picture.",
)


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
    scores = text_vectors @ image_vectors.T
    own_scores = scores[np.arange(len(own)), own]
    ranks = (scores >= own_scores[:, None]).sum(axis=1) - 1
    return Recall(*(float(np.mean(ranks < k)) for k in (1, 5, 10)))


def class_vectors(vectors_of_prompts: Vectors, n_templates: int) -> Vectors:
    """Average (n_classes * n_templates, dim) prompt vectors to (n_classes, dim) unit rows."""
    means = vectors_of_prompts.reshape(-1, n_templates, vectors_of_prompts.shape[1]).mean(axis=1)
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), dtype=np.float32)


def prompts(names: Sequence[str], templates: Sequence[str] = TEMPLATES) -> list[str]:
    """Write every name into every template, name by name."""
    return [template.format(name) for name in names for template in templates]


def zero_shot_top_1(image_vectors: Vectors, labels: NDArray[np.int64], classes: Vectors) -> float:
    """Give the share of (n, dim) images whose nearest class vector is their own label's."""
    return float(np.mean(np.argmax(image_vectors @ classes.T, axis=1) == labels))
