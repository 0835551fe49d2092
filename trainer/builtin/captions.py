"""The first part of the recipe: from captions alone, the text tower learns which texts say the same.

Captions of one photo, and wordings of one name, are each other's positives in a contrastive loss (as
sentence pairs in Gao et al. 2021, arXiv 2104.08821, section 4). With few images, a text side that has a
meaning before it meets them is worth more than one learned from them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..losses import multi_positive_contrastive
from .batches import key_offsets, word
from .learner import Learner
from .pairs import PairSet

SCALE = 20.0  # inverse temperature, that of Gao et al.
WORD_DROPOUT = 0.1  # against learning captions by heart


@dataclass(frozen=True)
class TextBatch:
    """Two views of each of n groups."""

    first: list[str]
    second: list[str]
    keys: Tensor  # (n,) int64

    def __len__(self) -> int:
        return len(self.first)


def text_batches(sets: Sequence[PairSet], groups: Sequence[int], *, seed: int) -> Iterator[TextBatch]:
    """Draw batches without end, so many groups of each set."""
    step = 0
    while True:
        chance = np.random.default_rng((seed, step))
        first: list[str] = []
        second: list[str] = []
        keys: list[int] = []
        for pairs, count, offset in zip(sets, groups, key_offsets(sets), strict=True):
            for group in chance.choice(len(pairs.texts), min(count, len(pairs.texts)), replace=False):
                one, other = word(pairs, group, 2, chance)
                first.append(_drop_words(one, chance))
                second.append(_drop_words(other, chance))
                keys.append(group + offset)
        yield TextBatch(first, second, torch.tensor(keys))
        step += 1


def _drop_words(text: str, chance: np.random.Generator) -> str:
    words = text.split()
    kept = [word for word, lot in zip(words, chance.random(len(words)), strict=True) if lot >= WORD_DROPOUT]
    return " ".join(kept or words)


def text_loss(learner: Learner, first: Tensor, second: Tensor, keys: Tensor) -> Tensor:
    """Contrast the two views' (n, length) ids with each other."""
    views = functional.normalize(learner.encode_texts(torch.cat([first, second])), dim=1)
    one, other = views.chunk(2)
    return multi_positive_contrastive(one, other, keys, keys, torch.tensor(SCALE))
