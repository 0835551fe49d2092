"""Batches of the recipe: which pairs a step sees, with chance in crop, colour, caption and wording."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..templates import TRAINING_TEMPLATES
from .mixing import Mixture, mix
from .pairs import PairSet

TURN_MAX = 15.0  # degrees
TINTED, TINT = 0.3, 0.25
GREY, BLURRED = 0.1, 0.2


@dataclass(frozen=True, slots=True)
class Share:
    """A source of pairs, and how much of it goes into each batch."""

    pairs: PairSet
    images: int
    extra_texts: int  # names drawn besides those of the images: negatives
    texts_per_group: int = 1  # how many captions of an image, or wordings of a name


@dataclass(frozen=True)
class Batch:
    """What one step learns from; keys are equal where image and text belong together."""

    step: int
    pixels: Tensor  # (n, 3, size, size) float32, normalised
    texts: list[str]  # m
    image_keys: Tensor  # (n,) int64
    text_keys: Tensor  # (m,) int64
    mixture: Mixture | None = None

    def targets(self, rows: Tensor) -> Tensor:
        """Give (n, m) weights of targets as they are for pictures that may be mixed."""
        return rows if self.mixture is None else self.mixture.targets(rows)

    def __len__(self) -> int:
        return len(self.pixels)


def batches(
    shares: Callable[[int], Sequence[Share]],
    *,
    size: Callable[[int], int],
    seed: int,
    first_step: int = 0,
    least_area: float = 0.45,
    mixed: float = 0.0,
) -> Iterator[Batch]:
    """Draw batches without end; shares and size (the side in pixels) are asked for each step, 0, 1, ...

    least_area: the share of a picture that a crop keeps at least. mixed: of the pictures, these show part of
    another; all of them are then turned and recoloured more, too. Step n is the same whether or not the run
    was resumed before it.
    """
    step = first_step
    while True:
        chance = np.random.default_rng((seed, step))
        batch = _draw(step, shares(step), size(step), least_area, chance, harder=mixed > 0)
        yield _mixed(batch, mixed, chance) if mixed else batch
        step += 1


def _mixed(batch: Batch, mixed: float, chance: np.random.Generator) -> Batch:
    pixels, mixture = mix(batch.pixels, mixed, chance)
    return replace(batch, pixels=pixels, mixture=mixture)


def key_offsets(sets: Sequence[PairSet]) -> list[int]:
    """Give what is added to each set's group numbers so that no two sets share a key."""
    return [sum(len(pairs.texts) for pairs in sets[:index]) for index in range(len(sets))]


def _draw(
    step: int,
    shares: Sequence[Share],
    size: int,
    least_area: float,
    chance: np.random.Generator,
    *,
    harder: bool,
) -> Batch:
    pixels, texts = [], []
    image_keys, text_keys = [], []
    for share, offset in zip(shares, key_offsets([share.pairs for share in shares]), strict=True):
        rows = chance.choice(len(share.pairs), share.images, replace=False)
        groups = share.pairs.groups[rows]
        pixels.append(augment(share.pairs.pixels[rows], size, least_area, chance, harder=harder))
        image_keys.append(groups + offset)
        drawn = _groups_to_name(groups, share, chance)
        texts += [text for group in drawn for text in word(share.pairs, group, share.texts_per_group, chance)]
        text_keys.append(np.repeat(drawn, share.texts_per_group) + offset)
    return Batch(
        step,
        torch.cat(pixels),
        texts,
        torch.from_numpy(np.concatenate(image_keys)),
        torch.from_numpy(np.concatenate(text_keys)),
    )


def _groups_to_name(
    groups: NDArray[np.int64], share: Share, chance: np.random.Generator
) -> NDArray[np.int64]:
    present = np.unique(groups)
    absent = np.setdiff1d(np.arange(len(share.pairs.texts)), present)
    extra = chance.choice(absent, min(share.extra_texts, len(absent)), replace=False)
    return np.concatenate([present, extra])


def word(pairs: PairSet, group: int, count: int, chance: np.random.Generator) -> list[str]:
    """Draw `count` texts of a group, different ones while there are enough; names go into templates."""
    options = pairs.texts[group]
    drawn = [options[index] for index in chance.choice(len(options), count, replace=count > len(options))]
    if not pairs.are_names:
        return drawn
    templates = chance.choice(len(TRAINING_TEMPLATES), count, replace=False)
    return [TRAINING_TEMPLATES[t].format(text) for t, text in zip(templates, drawn, strict=True)]


def augment(
    pixels: NDArray[np.uint8],
    size: int,
    least_area: float,
    chance: np.random.Generator,
    *,
    harder: bool = False,
) -> Tensor:
    """Crop, mirror and recolour (n, h, w, 3) pixels; gives (n, 3, size, size).

    harder: turned by up to 15 degrees, and some of them blurred, tinted or grey.
    """
    n = len(pixels)
    images = normalise(pixels)
    side = np.sqrt(chance.uniform(least_area, 1.0, n))
    stretch = np.exp(chance.uniform(-0.5, 0.5, n) * np.log(4 / 3))
    scale_x, scale_y = np.minimum(side * stretch, 1.0), np.minimum(side / stretch, 1.0)
    theta = np.zeros((n, 2, 3), dtype=np.float32)
    theta[:, 0, 0] = scale_x * chance.choice([-1.0, 1.0], n)
    theta[:, 1, 1] = scale_y
    theta[:, 0, 2] = chance.uniform(-1, 1, n) * (1 - scale_x)
    theta[:, 1, 2] = chance.uniform(-1, 1, n) * (1 - scale_y)
    if harder:
        theta[:, :, :2] = theta[:, :, :2] @ _turns(n, chance)
    grid = functional.affine_grid(torch.from_numpy(theta), [n, 3, size, size], align_corners=False)
    cropped = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    recoloured = _recolour(cropped, chance)
    return _spoil(recoloured, chance) if harder else recoloured


def _turns(n: int, chance: np.random.Generator) -> NDArray[np.float32]:
    angle = np.radians(chance.uniform(-TURN_MAX, TURN_MAX, n))
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1).astype(np.float32)


def _spoil(images: Tensor, chance: np.random.Generator) -> Tensor:
    """Blur, tint and bleach some of them."""
    n = len(images)

    def some(share: float) -> Tensor:
        return torch.from_numpy(chance.random((n, 1, 1, 1)) < share)

    tint = torch.from_numpy(chance.uniform(1 - TINT, 1 + TINT, (n, 3, 1, 1)).astype(np.float32))
    images = images * torch.where(some(TINTED), tint, 1.0)
    images = torch.where(some(GREY), images.mean(dim=1, keepdim=True), images)
    return torch.where(some(BLURRED), functional.avg_pool2d(images, 3, 1, 1), images)


def _recolour(images: Tensor, chance: np.random.Generator) -> Tensor:
    n = len(images)
    contrast = torch.from_numpy(chance.uniform(0.7, 1.3, (n, 1, 1, 1)).astype(np.float32))
    brightness = torch.from_numpy(chance.uniform(-0.25, 0.25, (n, 1, 1, 1)).astype(np.float32))
    saturation = torch.from_numpy(chance.uniform(0.6, 1.3, (n, 1, 1, 1)).astype(np.float32))
    grey = images.mean(dim=1, keepdim=True)
    return (grey + (images - grey) * saturation) * contrast + brightness


def normalise(pixels: NDArray[np.uint8]) -> Tensor:
    """Scale (n, h, w, 3) uint8 to (n, 3, h, w) float32 in -1 to 1, channels last in memory."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1
