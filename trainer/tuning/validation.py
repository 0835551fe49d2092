"""Validation: how well a trainee finds held-out images by their texts, a figure to steer a run by."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.errors import EncoderError
from indexer.records import Vectors

from ..examples import Example, caption_key
from ..metrics import Answers, Links, ask, link, ranked
from .images import Images
from .trainee import Trainee


@dataclass(frozen=True, slots=True)
class Score:
    """Recall of text to image and image to text, 0 to 1."""

    recall_1: float
    recall_5: float
    recall_10: float
    back_1: float  # image to text
    median_rank: float  # of text to image
    images: int

    @property
    def overall(self) -> float:
        """Give the one figure that runs are compared by: the mean of the three recalls and the way back."""
        return (self.recall_1 + self.recall_5 + self.recall_10 + self.back_1) / 4

    def as_dict(self) -> dict[str, Any]:
        """Give plain values, rounded for people."""
        names = ("recall_1", "recall_5", "recall_10", "back_1", "median_rank")
        return {name: round(float(getattr(self, name)), 4) for name in names} | {"images": self.images}


class Validation:
    """Held-out examples with their images.

    Texts that say the same (`caption_key`) are one text with several images, and what is said of a photo is
    true of its copies.
    """

    def __init__(self, examples: tuple[Example, ...], images: Images) -> None:
        self.examples = examples
        self._images = images
        copies: dict[str, set[int]] = {}
        for row, example in enumerate(examples):
            if example.photo is not None:
                copies.setdefault(example.photo, set()).add(row)
        said: dict[str, str] = {}
        rows_of: dict[str, set[int]] = {}
        for row, example in enumerate(examples):
            for text in example.captions:
                key = caption_key(text)
                said.setdefault(key, text)
                rows_of.setdefault(key, set()).update({row}, copies.get(example.photo or "", ()))
        self.texts = list(said.values())
        self.links: Links = link([sorted(rows) for rows in rows_of.values()])

    def close(self) -> None:
        """Stop reading images."""
        self._images.close()

    def vectors(self, trainee: Trainee) -> tuple[Vectors, Vectors]:
        """Encode all; (images, texts)."""
        images = trainee.image_vectors(self._images.whole(trainee.encoded_at_once))
        return images, trainee.text_vectors(self.texts)

    def score(self, trainee: Trainee) -> Score:
        """Measure a trainee."""
        return self.score_vectors(*self.vectors(trainee))

    def score_vectors(self, images: Vectors, texts: Vectors) -> Score:
        """Measure vectors of all images and texts."""
        return self._score(ask(texts, images, self.links), ask(images, texts, self.links.reversed))

    def score_matrix(self, scores: NDArray[np.float32]) -> Score:
        """Measure scores of any kind, (texts, images); raises EncoderError where they are no numbers."""
        if not np.isfinite(scores).all():
            raise EncoderError("the scores are no numbers (NaN)")
        found = Answers(*ranked(scores.copy(), self.links))
        return self._score(found, Answers(*ranked(scores.T.copy(), self.links.reversed)))

    def _score(self, found: Answers, back: Answers) -> Score:
        return Score(
            recall_1=_recall(found, 1),
            recall_5=_recall(found, 5),
            recall_10=_recall(found, 10),
            back_1=_recall(back, 1),
            median_rank=float(np.median(found.ranks)),
            images=len(self.examples),
        )


def _recall(answers: Answers, k: int) -> float:
    return float(np.mean(answers.ranks <= k))
