"""A teacher for tests: it knows texts by the words in them, and a few words that no caption holds."""

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from trainer.builtin.teacher import TEACHER_DIMENSION


class WordTeacher:
    """Gives each word a direction of its own, and a text the mean of its words'."""

    def encode(self, texts: Sequence[str]) -> Tensor:
        return functional.normalize(torch.stack([self._mean(text) for text in texts]), dim=1)

    def words(self) -> list[str]:
        return [f"word{number}" for number in range(200)]

    def _mean(self, text: str) -> Tensor:
        return torch.stack([_direction(word) for word in text.split() or [""]]).mean(dim=0)


def _direction(word: str) -> Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(word.encode()))
    return torch.randn(TEACHER_DIMENSION, generator=generator)
