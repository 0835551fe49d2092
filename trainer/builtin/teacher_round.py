"""The teacher's round: images learn from its texts, and the text tower then learns what they settled on.

The small text tower of the rounds before says nothing of words that no caption holds. A sentence encoder
(`teacher`) takes its place while the images learn once more; only a bridge into the common space learns with
them. Then three things are joined. Image weights: between those before and after (as `tuning.wise_ft` does),
which find more than either. Texts: the mean of what the old text tower and the bridge say, which also finds
more than either. And the text tower learns that mean, on captions, parts of them, and the teacher's words.
"""

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from ..checkpoint import Progress, load_checkpoint, save_checkpoint
from ..loop import StepReport, make_optimizer
from ..templates import TRAINING_TEMPLATES
from .batches import Batch
from .distilling import Lesson, distil, in_sentences, spans
from .learner import Learner, WordQueries, tokenize
from .teacher import Bridge

log = logging.getLogger(__name__)

BRIDGE_STEPS = 1500
BRIDGE_BATCH = 1024
BRIDGE_RATE = 2e-3
MAP_SHARE = 0.3  # of the rate, for what turns the texts while images learn
IMAGE_SHARE = 0.4  # of the taught image weights in the blend
WORD_WEIGHT = 2.0  # of the bridge against the old text tower, for words that no caption holds
SPANS = 40_000
DISTIL_STEPS = 900
DISTIL_RATE = 1e-3
LESSON_SHARES = (0.4, 0.25, 0.15, 0.2)  # captions, names and words in sentences, spans, the teacher's words


class Teacher(Protocol):
    """Knows what texts mean."""

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Encode texts to (n, 384) float32 unit rows."""
        ...

    def words(self) -> list[str]:
        """Give the words it knows."""
        ...


@dataclass(frozen=True)
class Texts:
    """Texts with the teacher's vectors of them."""

    texts: list[str]
    vectors: Tensor  # (n, 384)

    def rows(self, wanted: Sequence[str]) -> Tensor:
        """Look up (m, 384) vectors."""
        place = {text: row for row, text in enumerate(self.texts)}
        return self.vectors[[place[text] for text in wanted]]


def remembered(teacher: Teacher, texts: Sequence[str], file: Path) -> Texts:
    """Encode texts once; what an earlier sitting encoded is read again."""
    if file.exists():
        kept: dict[str, Any] = torch.load(file, weights_only=True)
        if kept["texts"] == list(texts):
            return Texts(kept["texts"], kept["vectors"])
    found = Texts(list(texts), teacher.encode(texts))
    torch.save({"texts": found.texts, "vectors": found.vectors}, file)
    return found


def fit_bridge(bridge: Bridge, texts: Texts, wanted: Tensor, *, seed: int) -> None:
    """Let the bridge begin by saying what the text tower says; wanted: (n, dim) unit rows."""
    torch.manual_seed(seed)
    optimizer = torch.optim.AdamW(bridge.parameters())
    for step in range(BRIDGE_STEPS):
        for group in optimizer.param_groups:
            group["lr"] = BRIDGE_RATE * min(1.0, (step + 1) / 50) * (1 - step / BRIDGE_STEPS)
        rows = torch.randint(0, len(wanted), (min(BRIDGE_BATCH, len(wanted)),))
        said = functional.normalize(bridge(texts.vectors[rows]), dim=1)
        told_apart = functional.cross_entropy(20 * said @ wanted[rows].T, torch.arange(len(rows)))
        loss = (1 - (said * wanted[rows]).sum(dim=1)).mean() + told_apart
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


class KnownVectors(Protocol):
    """Gives the vectors of texts that were encoded before."""

    def rows(self, wanted: Sequence[str]) -> Tensor:
        """Look up (m, dim) vectors."""
        ...


class ImageLearner:
    """A learner of images alone: texts are vectors known before, which a map turns; the text tower waits."""

    def __init__(
        self, learner: Learner, text_map: nn.Module, texts: KnownVectors, *, weight_decay: float
    ) -> None:
        self.learner, self._texts = learner, texts
        learner.text_map = text_map
        learner.model.text.requires_grad_(False)
        model = learner.model
        images = [*model.visual.parameters(), *learner.word_head.parameters(), model.logit_scale]
        shares = [(images, 1.0), (list(text_map.parameters()), MAP_SHARE)]
        self.optimizer = make_optimizer(shares, weight_decay=weight_decay)

    def loss(self, batch: Batch, words: Tensor, asked: Sequence[str], weights: Tensor) -> Tensor:
        """Give the loss of a batch with single words as queries."""
        vectors = self._texts.rows([*batch.texts, *asked])
        queries = WordQueries(vectors[len(batch.texts) :], weights)
        return self.learner.loss(batch, vectors[: len(batch.texts)], words, queries)

    def resume(self, file: Path) -> Progress:
        """Go back to a checkpoint, if there is one."""
        if not file.exists():
            return Progress(0, 0, 0.0)
        return load_checkpoint(file, self.learner, self.optimizer)

    def save(self, file: Path, report: StepReport) -> None:
        """Write a checkpoint."""
        save_checkpoint(file, self.learner, self.optimizer, report.progress)


@torch.no_grad()
def blend_images(before: nn.Module, after: nn.Module, share: float = IMAGE_SHARE) -> None:
    """Move the image weights of `before` by this share of the way to those of `after`."""
    visual: Any = before.visual
    taught: dict[str, Tensor] = after.visual.state_dict()  # type: ignore[union-attr]
    mixed = {
        name: torch.lerp(tensor, taught[name], share) if tensor.is_floating_point() else tensor
        for name, tensor in visual.state_dict().items()
    }
    visual.load_state_dict(mixed)


class MeanTexts:
    """What the old text tower and the bridge say together."""

    def __init__(self, learner: Learner, tokenizer: Tokenizer, bridge: Bridge) -> None:
        self._old = Learner(copy.deepcopy(learner.model).eval(), 1)
        self._tokenizer, self._bridge = tokenizer, bridge.eval()

    @torch.no_grad()
    def of(self, texts: Texts, weight: float = 1.0) -> Tensor:
        """Give (n, dim) unit rows; weight: of the bridge."""
        parts = []
        for start in range(0, len(texts.texts), 500):
            ids = tokenize(self._tokenizer, texts.texts[start : start + 500])
            old = functional.normalize(self._old.encode_texts(ids), dim=1)
            new = functional.normalize(self._bridge(texts.vectors[start : start + 500]), dim=1)
            parts.append(functional.normalize(weight * new + old, dim=1))
        return torch.cat(parts)


def teach_text_tower(
    learner: Learner,
    tokenizer: Tokenizer,
    bridge: Bridge,
    teacher: Teacher,
    known: Texts,
    captions: Sequence[str],
    folder: Path,
    *,
    seed: int,
) -> None:
    """Let the text tower learn the mean of the two; known: all texts of the training sets."""
    mean = MeanTexts(learner, tokenizer, bridge)
    is_caption = np.isin(np.array(known.texts), np.array(sorted(set(captions))))
    vectors = mean.of(known)
    cut = remembered(teacher, spans(captions, SPANS, seed), folder / "spans.pt")
    words = remembered(teacher, in_sentences(teacher.words(), 1, seed), folder / "words.pt")
    parts = [_part(known, vectors, is_caption), _part(known, vectors, ~is_caption)]
    parts += [(cut.texts, mean.of(cut)), (words.texts, mean.of(words, WORD_WEIGHT))]
    lessons = [
        Lesson(texts, targets, share) for (texts, targets), share in zip(parts, LESSON_SHARES, strict=True)
    ]
    learner.text_map = nn.Linear(vectors.shape[1], vectors.shape[1], bias=False)
    nn.init.eye_(learner.text_map.weight)
    learner.model.train()
    distil(learner, tokenizer, lessons, steps=DISTIL_STEPS, rate=DISTIL_RATE, seed=seed, on_step=_tell)
    learner.model.eval()


def _part(
    texts: Texts, vectors: Tensor, chosen: "np.ndarray[Any, np.dtype[np.bool_]]"
) -> tuple[list[str], Tensor]:
    rows = np.flatnonzero(chosen)
    return [texts.texts[row] for row in rows], vectors[torch.from_numpy(rows)]


def _tell(step: int, loss: float, cosine: float) -> None:
    if step % 50 == 0:
        log.info("text tower step %d loss %.3f cosine %.3f", step, loss, cosine)


def all_texts(wordings: Sequence[str], words: Sequence[str]) -> list[str]:
    """Give all texts that a batch may hold: captions, names in sentences, and words in sentences."""
    return sorted({*wordings, *(template.format(word) for word in words for template in TRAINING_TEMPLATES)})
