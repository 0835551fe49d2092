"""Scoring: how well each image and each text of a set go together, by whole images or by their parts too."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.records import Vectors

from .metrics import check_numbers

if TYPE_CHECKING:
    from .patches import Patches  # torch

Scores = NDArray[np.float32]


class Scorer(Protocol):
    """Scores n images with m texts, some rows at a time."""

    def of_texts(self, rows: slice) -> Scores:
        """Score some texts with all images; (rows, n)."""
        ...

    def of_images(self, rows: slice) -> Scores:
        """Score some images with all texts; (rows, m)."""
        ...


@dataclass(frozen=True)
class Cosines:
    """Whole images: the cosine of two vectors."""

    images: Vectors  # (n, dim)
    texts: Vectors  # (m, dim)

    def __post_init__(self) -> None:
        """Raise EncoderError for vectors that are no numbers."""
        check_numbers(self.images)
        check_numbers(self.texts)

    def of_texts(self, rows: slice) -> Scores:
        """Score some texts with all images."""
        return self.texts[rows] @ self.images.T

    def of_images(self, rows: slice) -> Scores:
        """Score some images with all texts."""
        return self.images[rows] @ self.texts.T


@dataclass(frozen=True)
class WithParts:
    """The cosine plus PACL's compatibility of the patches, as `sightline search --parts` orders by."""

    whole: Cosines
    patches: "Patches"  # (n, cells, dim), through the head if there is one
    temperature: float

    def of_texts(self, rows: slice) -> Scores:
        """Score some texts with all images."""
        return self.whole.of_texts(rows) + self._compatibilities(self.patches, self.whole.texts[rows])

    def of_images(self, rows: slice) -> Scores:
        """Score some images with all texts."""
        return self.whole.of_images(rows) + self._compatibilities(self.patches[rows], self.whole.texts).T

    def _compatibilities(self, patches: "Patches", texts: Vectors) -> Scores:
        from .pacl import scores_of_all  # torch

        return scores_of_all(patches, texts, self.temperature)
