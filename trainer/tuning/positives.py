"""Positives: which images and texts of a batch belong together, beyond each image and its own caption."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..examples import Example, caption_key


@dataclass(frozen=True, slots=True)
class Keys:
    """What makes the pairs of a batch of n positives of each other."""

    image: Tensor  # (n,) int64, equal for the same image, and for copies of it
    said: Tensor  # (n, n) bool: whether the text of a column is among all that is said of a row's image
    label: Tensor  # (n,) int64, equal for the same class; -1 for none

    def positive(self) -> Tensor:
        """Give (n, n) float32: 1 where the image of a row and the text of a column belong together."""
        same_image = self.image[:, None] == self.image[None, :]
        same_label = (self.label[:, None] == self.label[None, :]) & (self.label[:, None] >= 0)
        return (same_image | self.said | same_label).float()


class KeyTable:
    """Numbers for the texts and classes of a set of examples, the same for the whole run."""

    def __init__(self, examples: Sequence[Example]) -> None:
        labels = sorted({example.label for example in examples if example.label is not None})
        self._labels = {label: number for number, label in enumerate(labels)}
        photos = sorted({example.photo for example in examples if example.photo is not None})
        self._photos = {photo: -1 - number for number, photo in enumerate(photos)}  # images count from 0
        self._keys = {text: caption_key(text) for example in examples for text in example.captions}
        self._of_photos: dict[str, set[str]] = {photo: set() for photo in photos}
        for example in examples:
            if example.photo is not None:
                self._of_photos[example.photo].update(self._said_of(example))

    def keys(self, rows: Sequence[int], examples: Sequence[Example], texts: Sequence[str]) -> Keys:
        """Give the keys of a batch; rows: which image each is."""
        labels = [-1 if example.label is None else self._labels[example.label] for example in examples]
        images = [
            row if example.photo is None else self._photos[example.photo]
            for row, example in zip(rows, examples, strict=True)
        ]
        return Keys(
            torch.tensor(images, dtype=torch.int64),
            self._said(examples, [self._keys[text] for text in texts]),
            torch.tensor(labels, dtype=torch.int64),
        )

    def _said(self, examples: Sequence[Example], drawn: Sequence[str]) -> Tensor:
        columns = {key: column for column, key in enumerate(dict.fromkeys(drawn))}
        places = [
            (row, columns[key])
            for row, example in enumerate(examples)
            for key in self._all_of(example)
            if key in columns
        ]
        said = torch.zeros(len(examples), len(columns), dtype=torch.bool)
        said[[row for row, _ in places], [column for _, column in places]] = True
        return said[:, [columns[key] for key in drawn]]

    def _all_of(self, example: Example) -> set[str]:
        """Give what is said of an image, and of its copies."""
        return self._said_of(example) if example.photo is None else self._of_photos[example.photo]

    def _said_of(self, example: Example) -> set[str]:
        return {self._keys[text] for text in example.captions}


def positives_of_all(examples: Sequence[Example]) -> Tensor:
    """Give (n, m) float32 for n images and all of their m captions, image after image."""
    said = [{caption_key(text) for text in example.captions} for example in examples]
    texts = [(caption_key(text), example) for example in examples for text in example.captions]
    rows = [
        [text in mine or _belong_together(example, other) for text, other in texts]
        for mine, example in zip(said, examples, strict=True)
    ]
    return torch.tensor(rows, dtype=torch.float32)


def _belong_together(one: Example, other: Example) -> bool:
    same_class = one.label is not None and one.label == other.label
    return same_class or (one.photo is not None and one.photo == other.photo)
