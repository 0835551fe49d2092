"""The loop: fetch, loss, backward, step; it knows nothing of any one model or data set."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from .checkpoint import Progress

B = TypeVar("B", bound=Sized)  # a batch, whatever it is made of


@dataclass(frozen=True, slots=True)
class Schedule:
    """Warm-up, a flat stretch, and a linear way down to zero.

    The flat stretch knows no end: a run can be resumed with more steps, which a cosine does not allow
    (Hägele et al. 2024, arXiv 2405.18392, find it as good).
    """

    steps: int  # at which it ends
    warmup_steps: int
    decay_steps: int
    peak: float
    first_step: int = 0  # at which it begins

    def rate(self, step: int) -> float:
        """Give the learning rate of step first_step, first_step + 1, ..."""
        rise = min(1.0, (step - self.first_step + 1) / max(1, self.warmup_steps))
        fall = min(1.0, (self.steps - step) / max(1, self.decay_steps))
        return self.peak * rise * fall


@dataclass(frozen=True, slots=True)
class CosineSchedule:
    """Warm-up, and half a cosine down to zero (Loshchilov and Hutter 2017, arXiv 1608.03983)."""

    steps: int
    warmup_steps: int
    peak: float

    def rate(self, step: int) -> float:
        """Give the learning rate of step 0, 1, ..."""
        if step < self.warmup_steps:
            return self.peak * (step + 1) / self.warmup_steps
        share = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.peak * (1 + math.cos(math.pi * min(1.0, share))) / 2


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a callback learns after a step."""

    progress: Progress
    loss: float
    rate: float


def make_optimizer(
    shares: Sequence[tuple[Iterable[nn.Parameter], float]], *, weight_decay: float
) -> torch.optim.AdamW:
    """Make AdamW that spares gains, biases and the temperature from weight decay.

    shares: parameters, and the share of the schedule's rate that they learn at.
    """
    groups: list[dict[str, Any]] = []
    for parameters, share in shares:
        every = list(parameters)
        matrices, rest = [p for p in every if p.ndim >= 2], [p for p in every if p.ndim < 2]
        groups.append({"params": matrices, "weight_decay": weight_decay, "share": share})
        groups.append({"params": rest, "weight_decay": 0.0, "share": share})
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), eps=1e-6)


def train(
    loss_of: Callable[[B], Tensor],
    optimizer: torch.optim.Optimizer,
    stream: Iterator[B],
    schedule: Schedule,
    *,
    start: Progress,
    on_step: Callable[[StepReport], None],
) -> Progress:
    """Train until the schedule ends; on_step is called after every step."""
    progress = start
    while progress.step < schedule.steps:
        began = time.perf_counter()
        rate = schedule.rate(progress.step)
        batch = next(stream)
        loss = _step(loss_of(batch), optimizer, rate)
        progress = replace(
            progress,
            step=progress.step + 1,
            samples=progress.samples + len(batch),
            seconds=progress.seconds + time.perf_counter() - began,
        )
        on_step(StepReport(progress, loss, rate))
    return progress


def _step(loss: Tensor, optimizer: torch.optim.Optimizer, rate: float) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
    optimizer.step()
    return float(loss.detach())
