"""Probing: a linear classifier learned over the vectors of a model that stays as it is."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.errors import PairsInvalid
from indexer.records import Vectors
from indexer.store.files import replacing

from ..examples import Example
from ..linear_probe import train_probe
from .images import Images
from .trainee import Trainee
from .validation import Validation


def check_classes(train: Sequence[Example], validation: Sequence[Example]) -> None:
    """Raise PairsInvalid for pairs that no probe can be learned from."""
    classes = _classes(train)
    if len(classes) < 2:
        raise PairsInvalid(None, "a probe tells classes apart, and these pairs have fewer than two")
    if not any(example.label in classes for example in validation):
        raise PairsInvalid(None, "no validation image is of a class that is learned; give others with --val")


def fit_probe(
    trainee: Trainee, seed: int, train: Sequence[Example], validation: Validation, file: Path
) -> tuple[float, float]:
    """Learn a probe and write it; give the accuracy on validation of the classes' texts, and its own."""
    classes = _classes(train)
    learned = tuple(example for example in train if example.label is not None)
    with closing(Images(learned, trainee.preprocessing)) as images:
        vectors = trainee.image_vectors(images.whole(trainee.encoded_at_once))
    probe = train_probe(vectors, _labels(learned, classes), len(classes), seed=seed)
    with replacing(file) as target:
        np.savez(target, weights=probe.weights, intercepts=probe.intercepts, classes=np.array(classes))
    held_out, labels = _held_out(trainee, validation, classes)
    by_texts = held_out @ _named(trainee, learned, classes).T
    return _accuracy(by_texts, labels), _accuracy(probe.scores(held_out), labels)


def _classes(examples: Sequence[Example]) -> list[str]:
    return sorted({example.label for example in examples if example.label is not None})


def _held_out(
    trainee: Trainee, validation: Validation, classes: list[str]
) -> tuple[Vectors, NDArray[np.int64]]:
    """Give the vectors and labels of the validation images that are of these classes."""
    images, _ = validation.vectors(trainee)
    rows = [row for row, example in enumerate(validation.examples) if example.label in classes]
    return images[rows], _labels([validation.examples[row] for row in rows], classes)


def _named(trainee: Trainee, examples: Sequence[Example], classes: list[str]) -> Vectors:
    """Encode each class by the captions of one of its images: (classes, dim) unit rows."""
    texts = {example.label: example.captions for example in examples}
    named = np.stack([trainee.text_vectors(texts[label]).mean(axis=0) for label in classes])
    return named / np.linalg.norm(named, axis=1, keepdims=True)  # type: ignore[no-any-return]


def _labels(examples: Sequence[Example], classes: list[str]) -> NDArray[np.int64]:
    return np.array([classes.index(example.label) for example in examples if example.label is not None])


def _accuracy(scores: Vectors, labels: NDArray[np.int64]) -> float:
    return float(np.mean(scores.argmax(axis=1) == labels))
