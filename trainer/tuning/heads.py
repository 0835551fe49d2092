"""Heads: what is learned over features that stay as they are, in minutes on a CPU.

The projections of both towers are each multiplied by a square matrix that starts as the unit matrix; in the
end the matrices are folded into the projections, so that what is saved is a plain model.

Hundreds of pairs cannot fill two square matrices. What helped on held-out photos were few, plain steps down
the gradient of the whole set, all captions at once, at a temperature higher than the model's; AdamW, which
moves every number alike, made things worse at every rate tried (docs/decisions.md).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from indexer.errors import EncoderError
from indexer.records import Vectors

from ..examples import Example
from .epochs import Epoch
from .images import Images
from .positives import positives_of_all
from .settings import Settings
from .trainee import Trainee
from .validation import Score, Validation

Projection: TypeAlias = nn.Parameter | nn.Linear
MOMENTUM = 0.9
SOFTER = 0.57  # of the model's inverse temperature


@dataclass(frozen=True)
class Maps:
    """What turns image and text vectors; (dim, dim) float32 each, of column vectors."""

    image: Tensor
    text: Tensor


@dataclass(frozen=True)
class HeadResult:
    """What came of it."""

    maps: Maps
    score: Score
    epochs: int
    held_out: tuple[Vectors, Vectors]  # of the validation, unturned: images and texts


class _Head(nn.Module):
    """The matrices' difference from the unit matrix."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.image = nn.Parameter(torch.zeros(dimension, dimension))
        self.text = nn.Parameter(torch.zeros(dimension, dimension))

    def maps(self) -> Maps:
        unit = torch.eye(len(self.image))
        return Maps((unit + self.image).detach(), (unit + self.text).detach())

    def forward(self, images: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
        return (
            functional.normalize(images + images @ self.image.T, dim=1),
            functional.normalize(texts + texts @ self.text.T, dim=1),
        )


def learn_head(
    trainee: Trainee,
    settings: Settings,
    examples: tuple[Example, ...],
    validation: Validation,
    watch: Callable[[int, float, Score], None],
) -> HeadResult:
    """Learn the maps from features encoded once; the best on validation are kept."""
    images = Images(examples, trainee.preprocessing)
    try:
        image_vectors = torch.from_numpy(trainee.image_vectors(images.whole(trainee.encoded_at_once)))
    finally:
        images.close()
    texts = [text for example in examples for text in example.captions]
    text_vectors = torch.from_numpy(trainee.text_vectors(texts))
    held_out = validation.vectors(trainee)
    features = _Features(examples, image_vectors, text_vectors)
    return _learn(trainee, settings, features, validation, held_out, watch)


@dataclass(frozen=True)
class _Features:
    examples: tuple[Example, ...]
    images: Tensor  # (n, dim)
    texts: Tensor  # (all captions, dim), image after image


def _learn(
    trainee: Trainee,
    settings: Settings,
    features: _Features,
    validation: Validation,
    held_out: tuple[Vectors, Vectors],
    watch: Callable[[int, float, Score], None],
) -> HeadResult:
    head = _Head(features.images.shape[1])
    optimizer = torch.optim.SGD(head.parameters(), lr=settings.rate, momentum=MOMENTUM)
    scale = trainee.model.logit_scale.detach().cpu() + math.log(SOFTER)
    best = HeadResult(head.maps(), validation.score_vectors(*held_out), 0, held_out)
    for epoch in range(1, settings.epochs + 1):
        loss = 0.0
        for rows in _batches(len(features.examples), settings, epoch):
            loss = _step(trainee, settings, head, optimizer, features, rows, scale)
        score = validation.score_vectors(*turned(held_out, head.maps()))
        if score.overall > best.score.overall:
            best = HeadResult(head.maps(), score, epoch, held_out)
        watch(epoch, loss, score)
        if epoch - best.epochs >= settings.patience:
            break
    return best


def _batches(count: int, settings: Settings, epoch: int) -> list[NDArray[np.int64]]:
    order = np.random.default_rng((settings.seed, 0, epoch)).permutation(count)
    shared = Epoch.over(count, settings.batch_size)
    return [order[step * shared.size :][: shared.size] for step in range(shared.steps)]


def _step(
    trainee: Trainee,
    settings: Settings,
    head: _Head,
    optimizer: torch.optim.Optimizer,
    features: _Features,
    rows: NDArray[np.int64],
    log_scale: Tensor,
) -> float:
    first = np.cumsum([0, *(len(example.captions) for example in features.examples)])
    places = np.concatenate([np.arange(first[row], first[row + 1]) for row in rows])
    images, captions = head(features.images[rows], features.texts[places])
    positive = positives_of_all([features.examples[row] for row in rows])
    loss = trainee.loss(settings.loss, images, captions, positive, log_scale)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach())


def turned(vectors: tuple[Vectors, Vectors], maps: Maps) -> tuple[Vectors, Vectors]:
    """Turn image and text vectors by their maps; unit rows again."""
    images, texts = (
        functional.normalize(torch.from_numpy(rows) @ matrix.T, dim=1).numpy()
        for rows, matrix in zip(vectors, (maps.image, maps.text), strict=True)
    )
    return images, texts


def between(maps: Maps, alpha: float) -> Maps:
    """Give the maps whose fold is (1 - alpha) of the projections before and alpha of those that maps give."""
    unit = torch.eye(len(maps.image))
    return Maps(torch.lerp(unit, maps.image, alpha), torch.lerp(unit, maps.text, alpha))


def check_has_place(model: Any) -> None:
    """Raise EncoderError for an open_clip model with a tower that does not end in a projection."""
    _projections(model)


def has_place(model: Any) -> bool:
    """Tell whether both towers of an open_clip model end in a projection."""
    try:
        check_has_place(model)
    except EncoderError:
        return False
    return True


@torch.no_grad()
def fold(trainee: Trainee, maps: Maps) -> None:
    """Multiply the maps into the projections; raises EncoderError for a tower that ends otherwise."""
    image, text = _projections(trainee.model)
    _fold_into(image, maps.image)
    _fold_into(text, maps.text)


def _projections(model: Any) -> tuple[Projection, Projection]:
    """Find what both towers end in."""
    visual = model.visual
    trunk = getattr(visual, "trunk", None)  # of timm, which may have the projection for its classifier
    ends = [getattr(visual, name, None) for name in ("proj", "head")]
    ends += [getattr(getattr(visual, "attnpool", None), "c_proj", None)]
    if trunk is not None and hasattr(trunk, "get_classifier") and not list(visual.head.children()):
        ends.append(trunk.get_classifier())
    text = getattr(model, "text", model)
    return (
        _projection(ends, "image"),
        _projection([getattr(text, name, None) for name in ("text_projection", "proj")], "text"),
    )


def _projection(ends: Sequence[object], side: str) -> Projection:
    for end in ends:
        if isinstance(end, nn.Parameter):
            return end
        if isinstance(end, nn.Module) and (linear := _last_linear(end)) is not None:
            return linear
    raise EncoderError(
        f"the {side} tower does not end in a projection, so a head has no place in it; use --method lora"
    )


def _fold_into(projection: Projection, matrix: Tensor) -> None:
    if isinstance(projection, nn.Parameter):  # of row vectors
        projection.copy_(projection @ matrix.T.to(projection))
        return
    projection.weight.copy_(matrix.to(projection.weight) @ projection.weight)
    if projection.bias is not None:
        projection.bias.copy_(matrix.to(projection.bias) @ projection.bias)


def _last_linear(part: nn.Module) -> nn.Linear | None:
    """Give the linear layer that a part ends in; None when something else comes after it."""
    modules = [module for module in part.modules() if not list(module.children())]
    telling = [module for module in modules if not isinstance(module, nn.Identity | nn.Dropout)]
    return telling[-1] if telling and isinstance(telling[-1], nn.Linear) else None
