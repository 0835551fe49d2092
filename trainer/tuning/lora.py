"""LoRA: small additions to the matrices of both towers, which learn while all else stays, and are merged.

W becomes W + (alpha / rank) B A with B zero at first (Hu et al. 2021, arXiv 2106.09685). Query, key and value
of an attention have additions of their own; a convolution's kernel counts as a matrix of its outputs.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

ALPHA_PER_RANK = 2.0  # alpha / rank
LEAST_SIDE = 16  # smaller matrices have nothing to gain


class LowRank(nn.Module):
    """Adds a product of two thin matrices to a weight, in one block or several below each other."""

    def __init__(self, weight: Tensor, rank: int, blocks: int = 1) -> None:
        super().__init__()
        rows, columns = weight.shape[0] // blocks, math.prod(weight.shape[1:])
        rank = min(rank, rows, columns)
        self.down = nn.Parameter(
            torch.randn(blocks, rank, columns, device=weight.device) / math.sqrt(columns)
        )
        self.up = nn.Parameter(torch.zeros(blocks, rows, rank, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        """Give the weight with its addition."""
        added = ALPHA_PER_RANK * (self.up @ self.down)
        return weight + added.reshape(weight.shape).to(weight.dtype)


def add_low_rank(model: nn.Module, rank: int) -> list[nn.Parameter]:
    """Freeze the model, give its matrices additions that learn; gives their parameters."""
    model.requires_grad_(False)
    learning: list[nn.Parameter] = []
    for module in list(model.modules()):
        name, blocks = _matrix_of(module)
        if name is None or min(getattr(module, name).shape[:2]) < LEAST_SIDE:
            continue
        addition = LowRank(getattr(module, name), rank, blocks)
        parametrize.register_parametrization(module, name, addition)
        learning += list(addition.parameters())
    return learning


def merge(model: nn.Module) -> None:
    """Write the additions into the weights, which then are plain ones again."""
    for module in list(model.modules()):
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):  # type: ignore[arg-type]
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)


def _matrix_of(module: nn.Module) -> tuple[str | None, int]:
    if isinstance(module, nn.MultiheadAttention):
        return ("in_proj_weight", 3) if module.in_proj_weight is not None else (None, 1)
    if isinstance(module, nn.Linear):
        return "weight", 1
    if isinstance(module, nn.Conv2d) and module.groups == 1:
        return "weight", 1
    return None, 1
