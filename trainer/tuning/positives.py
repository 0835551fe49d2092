"""Positives: which images and texts of a batch belong together, beyond each image and its own caption."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..examples import Example


@dataclass(frozen=True, slots=True)
class Keys:
    """What makes two pairs of a batch positives of each other; (n,) int64 each."""

    image: Tensor  # equal for the same image, and for copies of it
    text: Tensor  # equal for the same words
    label: Tensor  # equal for the same class; -1 for none

    def positive(self) -> Tensor:
        """Give (n, n) float32: 1 where the image of a row and the text of a column belong together."""
        same_image = self.image[:, None] == self.image[None, :]
        same_text = self.text[:, None] == self.text[None, :]
        same_label = (self.label[:, None] == self.label[None, :]) & (self.label[:, None] >= 0)
        return (same_image | same_text | same_label).float()


class KeyTable:
    """Numbers for the texts and classes of a set of examples, the same for the whole run."""

    def __init__(self, examples: Sequence[Example]) -> None:
        texts = sorted({_plain(text) for example in examples for text in example.captions})
        labels = sorted({example.label for example in examples if example.label is not None})
        self._texts = {text: number for number, text in enumerate(texts)}
        self._labels = {label: number for number, label in enumerate(labels)}
        photos = sorted({example.photo for example in examples if example.photo is not None})
        self._photos = {photo: -1 - number for number, photo in enumerate(photos)}  # images count from 0

    def keys(self, rows: Sequence[int], examples: Sequence[Example], texts: Sequence[str]) -> Keys:
        """Give the keys of a batch; rows: which image each is."""
        labels = [-1 if example.label is None else self._labels[example.label] for example in examples]
        images = [
            row if example.photo is None else self._photos[example.photo]
            for row, example in zip(rows, examples, strict=True)
        ]
        return Keys(
            torch.tensor(images, dtype=torch.int64),
            torch.tensor([self._texts[_plain(text)] for text in texts], dtype=torch.int64),
            torch.tensor(labels, dtype=torch.int64),
        )


def positives_of_all(examples: Sequence[Example]) -> Tensor:
    """Give (n, m) float32 for n images and all of their m captions, image after image."""
    said = [{_plain(text) for text in example.captions} for example in examples]
    texts = [(_plain(text), example) for example in examples for text in example.captions]
    rows = [
        [text in mine or _belong_together(example, other) for text, other in texts]
        for mine, example in zip(said, examples, strict=True)
    ]
    return torch.tensor(rows, dtype=torch.float32)


def _belong_together(one: Example, other: Example) -> bool:
    same_class = one.label is not None and one.label == other.label
    return same_class or (one.photo is not None and one.photo == other.photo)


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()
