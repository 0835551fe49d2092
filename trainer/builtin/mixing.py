"""Mixed pictures: part of one in place of part of another, and targets that hold both.

The networks that learn here have seen each photo a hundred times and know it by heart; a picture made of two
is new every time. A box of the other (CutMix: Yun et al. 2019, arXiv 1905.04899) or a veil of it (mixup:
Zhang et al. 2018, arXiv 1710.09412).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

VEILED = 1 / 3  # of the mixed pictures; the others have a box


@dataclass(frozen=True)
class Mixture:
    """Which other picture of the batch is in each, and how much is the picture's own."""

    partner: Tensor  # (n,) int64
    own: Tensor  # (n, 1) float32, above 0 and at most 1

    def targets(self, rows: Tensor) -> Tensor:
        """Mix (n, m) weights of targets as the pictures are; each row keeps its sum.

        What is mixed are shares of the row, since a caption has many words and a name has few.
        """
        sums = rows.sum(dim=1, keepdim=True)
        shares = rows / sums.clamp(min=torch.finfo(rows.dtype).tiny)
        own = self.own.to(rows.device)
        return (own * shares + (1 - own) * shares[self.partner.to(rows.device)]) * sums


def mix(pixels: Tensor, mixed: float, chance: np.random.Generator) -> tuple[Tensor, Mixture]:
    """Mix this share of (n, 3, size, size) pictures, each with another one of the batch."""
    n, size = len(pixels), pixels.shape[-1]
    partner = torch.from_numpy(chance.permutation(n))
    theirs = np.where(chance.random(n) < mixed, chance.uniform(0, 1, n), 0.0)
    veil = np.where(chance.random(n) < VEILED, theirs, 0.0)[:, None, None]
    box = _boxes(np.where(veil[:, 0, 0] > 0, 0.0, theirs), size, chance)
    keep = torch.from_numpy((1 - np.maximum(veil, box)).astype(np.float32))
    own = keep.mean(dim=(1, 2))[:, None]
    keep = keep[:, None]
    return keep * pixels + (1 - keep) * pixels[partner], Mixture(partner, own)


def _boxes(areas: NDArray[np.float64], size: int, chance: np.random.Generator) -> NDArray[np.float64]:
    """Draw boxes of these shares of the area, cut off at the edge; (n, size, size), 1 within."""
    half = np.sqrt(areas)[:, None] / 2
    places = (np.arange(size) + 0.5) / size
    centre = chance.uniform(0, 1, (2, len(areas), 1))
    across, down = (np.abs(places - centre) < half).astype(np.float64)
    return np.asarray(down[:, :, None] * across[:, None, :])
