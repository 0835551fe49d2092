"""Aligning: steps of gradient descent on a PACL head, over patch and text vectors that stay as they are.

A batch asks for each image by one of its captions, and by one of the nouns in them, put into a sentence as
the highlighter does (the paper's prompt augmentation). Images whose captions name the same noun are no
negatives of it, nor are images of one class or with the same caption.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from indexer.errors import EncoderError, TrainingFailed
from indexer.records import Vectors

from ..examples import Example
from ..loop import CosineSchedule, make_optimizer
from ..pacl import PatchEmbedder, pacl_loss, scores_of_all
from .epochs import Epoch
from .learning import CLIP_NORM
from .positives import KeyTable
from .settings import Settings
from .validation import Score, Validation


@dataclass(frozen=True)
class Material:
    """All that a head is learned from."""

    examples: tuple[Example, ...]
    patches: NDArray[np.float16]  # (images, cells, dim), unit vectors; may lie on disk
    captions: Vectors  # (all captions, dim), image after image
    nouns: NDArray[np.float32]  # (nouns, sentences, dim), unit vectors
    named: NDArray[np.bool_]  # (images, nouns): which are in its captions


@dataclass(frozen=True)
class Aligned:
    """What came of it."""

    head: PatchEmbedder
    before: Score  # of the head that changes nothing
    score: Score
    epochs: int  # at which it was best; 0: before any


def align(
    material: Material,
    settings: Settings,
    validation: Validation,
    held_out: tuple[NDArray[np.float16], Vectors],
    *,
    scale: float,
    temperature: float,
    device: torch.device,
    watch: Callable[[int, float, Score], None],
) -> Aligned:
    """Learn a head; the best on validation is kept, by its compatibilities with the held-out texts.

    held_out: patches and texts of the validation; scale, temperature: see `pacl_loss`. Raises TrainingFailed
    where the loss is no number any more.
    """
    torch.manual_seed(settings.seed)
    head = PatchEmbedder(material.patches.shape[2], material.captions.shape[1]).to(device)

    def score() -> Score:
        return validation.score_matrix(scores_of_all(*held_out, temperature, head=head, device=device))

    lesson = _Lesson(material, settings, head, scale, temperature)
    before = score()
    best = Aligned(deepcopy(head), before, before, 0)
    for epoch in range(1, settings.epochs + 1):
        loss = lesson.epoch(epoch)
        try:
            found = score()
        except EncoderError as error:  # scores that are no numbers
            raise _diverged(settings, epoch) from error
        if found.overall > best.score.overall:
            best = Aligned(deepcopy(head), before, found, epoch)
        watch(epoch, loss, found)
        if epoch - best.epochs >= settings.patience:
            break
    return best


class _Lesson:
    def __init__(
        self, material: Material, settings: Settings, head: PatchEmbedder, scale: float, temperature: float
    ) -> None:
        self._material, self._settings, self._head = material, settings, head
        self._scale, self._temperature = scale, temperature
        self._device = next(head.parameters()).device
        self._keys = KeyTable(material.examples)
        self._first = np.cumsum([0, *(len(example.captions) for example in material.examples)])
        self._optimizer = make_optimizer([(head.parameters(), 1.0)], weight_decay=settings.weight_decay)
        self._epoch = Epoch.over(len(material.examples), settings.batch_size)
        steps = settings.epochs * self._epoch.steps
        self._schedule = CosineSchedule(steps, round(settings.warmup * steps), settings.rate)

    def epoch(self, epoch: int) -> float:
        """See every image once; the mean loss."""
        chance = np.random.default_rng((self._settings.seed, epoch))
        order = chance.permutation(len(self._material.examples))
        size, losses = self._epoch.size, []
        for place in range(self._epoch.steps):
            rows = order[place * size : (place + 1) * size]
            rate = self._schedule.rate((epoch - 1) * self._epoch.steps + place)
            losses.append(self._step(rows, rate, chance))
        mean = float(np.mean(losses))
        if not np.isfinite(mean):
            raise _diverged(self._settings, epoch)
        return mean

    def _step(self, rows: NDArray[np.int64], rate: float, chance: np.random.Generator) -> float:
        patches = self._head(self._on_device(self._material.patches[rows]))
        loss = torch.zeros((), device=self._device)
        for texts, positive in (self._captions(rows, chance), self._nouns(rows, chance)):
            if len(texts):
                loss = loss + pacl_loss(
                    patches,
                    self._on_device(texts),
                    positive.to(self._device),
                    scale=self._scale,
                    temperature=self._temperature,
                )
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._head.parameters(), CLIP_NORM)
        self._optimizer.step()
        return float(loss.detach())

    def _captions(self, rows: NDArray[np.int64], chance: np.random.Generator) -> tuple[Vectors, Tensor]:
        """Draw a caption of each image; the texts, and which images each belongs to."""
        examples = [self._material.examples[row] for row in rows]
        drawn = [int(chance.integers(len(example.captions))) for example in examples]
        said = [example.captions[number] for example, number in zip(examples, drawn, strict=True)]
        positive = self._keys.keys(rows.tolist(), examples, said).positive()
        return self._material.captions[self._first[rows] + drawn], positive

    def _nouns(self, rows: NDArray[np.int64], chance: np.random.Generator) -> tuple[Vectors, Tensor]:
        """Draw a noun of each image that has one; each noun once, in one of its sentences."""
        named = self._material.named[rows]
        drawn = np.unique([chance.choice(np.flatnonzero(row)) for row in named if row.any()]).astype(int)
        sentences = chance.integers(self._material.nouns.shape[1], size=len(drawn))
        positive = torch.from_numpy(named[:, drawn].astype(np.float32))
        return self._material.nouns[drawn, sentences], positive

    def _on_device(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.asarray(values, np.float32)).to(self._device)


def _diverged(settings: Settings, epoch: int) -> TrainingFailed:
    return TrainingFailed(
        f"the loss is no number any more in epoch {epoch}: the rate {settings.rate:g} is too high; start "
        f"again with --rate {settings.rate / 10:g}"
    )
