"""WiSE-FT: weights between those a run began with and those it ended with, and which of them serve best.

Robust fine-tuning (WiSE-FT, Wortsman et al. 2022, arXiv 2109.01903): on the line between the two, what was
learned often stays while what was known comes back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .validation import Score

ALPHAS = tuple(step / 10 for step in range(11))  # 0: as before the training; 1: as after


@dataclass(frozen=True, slots=True)
class Blend:
    """One mixture, measured."""

    alpha: float
    validation: Score
    general: Score | None  # on pairs of another kind: what was forgotten shows here


def mix(model: nn.Module, before: Mapping[str, Tensor], after: Mapping[str, Tensor], alpha: float) -> None:
    """Load (1 - alpha) of the weights before and alpha of those after; counters come from after."""
    mixed = {
        name: torch.lerp(before[name], tensor, alpha)
        if tensor.is_floating_point() and name in before
        else tensor
        for name, tensor in after.items()
    }
    model.load_state_dict(mixed)


def measure_blends(
    model: nn.Module,
    before: Mapping[str, Tensor],
    after: Mapping[str, Tensor],
    measure: Callable[[], tuple[Score, Score | None]],
) -> list[Blend]:
    """Measure all mixtures; the model is left at the last."""
    blends = []
    for alpha in ALPHAS:
        mix(model, before, after, alpha)
        blends.append(Blend(alpha, *measure()))
    return blends


def choose(blends: list[Blend]) -> Blend:
    """Choose the best on validation; of equals, the one nearest to what was known before."""
    return max(blends, key=lambda blend: (blend.validation.overall, -blend.alpha))


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Copy the weights."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
