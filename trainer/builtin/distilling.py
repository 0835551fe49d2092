"""Distilling: the lessons in which the small text tower learns to say what the teacher says.

Texts cost nothing, so it learns from far more than the captions: parts of them, and the words that the
teacher knows and no caption holds.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from ..loop import Schedule, make_optimizer
from ..templates import TRAINING_TEMPLATES
from .learner import Learner, tokenize

SCALE = 20.0  # inverse temperature
SPAN_WORDS = (2, 7)
BATCH = 512
WARMUP_STEPS = 50


@dataclass(frozen=True)
class Lesson:
    """Texts and what the teacher says of them."""

    texts: Sequence[str]
    vectors: Tensor  # (n, dim) unit rows, across the bridge
    share: float  # of each batch


def spans(captions: Sequence[str], count: int, seed: int) -> list[str]:
    """Cut so many runs of a few words out of captions."""
    chance = np.random.default_rng(seed)
    found = []
    for row in chance.integers(0, len(captions), count):
        words = captions[row].split()
        length = int(chance.integers(*SPAN_WORDS))
        start = int(chance.integers(0, max(1, len(words) - length + 1)))
        found.append(" ".join(words[start : start + length]))
    return sorted(set(found))


def in_sentences(words: Sequence[str], each: int, seed: int) -> list[str]:
    """Put each word by itself and into some of the training templates."""
    chance = np.random.default_rng(seed)
    drawn = ((word, chance.choice(len(TRAINING_TEMPLATES), each, replace=False)) for word in words)
    return [TRAINING_TEMPLATES[number].format(word) for word, numbers in drawn for number in (0, *numbers)]


def distil(
    learner: Learner,
    tokenizer: Tokenizer,
    lessons: Sequence[Lesson],
    *,
    steps: int,
    rate: float,
    seed: int,
    on_step: Callable[[int, float, float], None] = lambda *_: None,
) -> None:
    """Teach the text tower; on_step is told the step, the loss and the mean cosine with the teacher."""
    tower = learner.model.text
    tower.requires_grad_(True)
    optimizer = make_optimizer([(tower.parameters(), 1.0)], weight_decay=0.02)
    schedule = Schedule(steps, WARMUP_STEPS, decay_steps=steps * 3 // 4, peak=rate)
    for step, (texts, wanted) in enumerate(_batches(lessons, steps, seed)):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step)
        said = functional.normalize(learner.encode_texts(tokenize(tokenizer, texts)), dim=1)
        cosine = (said * wanted).sum(dim=1).mean()
        told_apart = functional.cross_entropy(SCALE * said @ wanted.T, torch.arange(len(texts)))
        loss = told_apart + 4 * (1 - cosine)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimizer.step()
        on_step(step, float(loss.detach()), float(cosine.detach()))


def _batches(lessons: Sequence[Lesson], steps: int, seed: int) -> Iterator[tuple[list[str], Tensor]]:
    for step in range(steps):
        chance = np.random.default_rng((seed, step))
        texts: list[str] = []
        wanted = []
        for lesson in lessons:
            count = min(len(lesson.texts), round(lesson.share * BATCH))
            rows = chance.choice(len(lesson.texts), count, replace=False)
            texts += [lesson.texts[row] for row in rows]
            wanted.append(lesson.vectors[torch.from_numpy(rows)])
        yield texts, torch.cat(wanted)
