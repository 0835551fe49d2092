"""The loop: fetch, forward, backward, step; it knows nothing of any one model or data set."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from .batches import Batch
from .checkpoint import Progress
from .losses import multi_positive_contrastive

LENGTH_PARTS = 3  # captions are twice as long as names: halves the cost of the text side
LOG_SCALE_MAX = math.log(100)  # as CLIP has it (arXiv 2103.00020, section 2.5)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Warm-up, a flat stretch, and a linear way down to zero.

    The flat stretch knows no end: a run can be resumed with more steps, which a cosine does not allow
    (Hägele et al. 2024, arXiv 2405.18392, find it as good).
    """

    steps: int
    warmup_steps: int
    decay_steps: int
    peak: float

    def rate(self, step: int) -> float:
        """Give the learning rate of step 0, 1, ..."""
        rise = min(1.0, (step + 1) / max(1, self.warmup_steps))
        fall = min(1.0, (self.steps - step) / max(1, self.decay_steps))
        return self.peak * rise * fall


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a callback learns after a step."""

    progress: Progress
    loss: float
    rate: float


def make_optimizer(model: nn.Module, *, weight_decay: float) -> torch.optim.AdamW:
    """Make AdamW that spares gains, biases and the temperature from weight decay."""
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    spared = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), eps=1e-6)


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    tokenizer: Tokenizer,
    stream: Iterator[Batch],
    schedule: Schedule,
    *,
    start: Progress,
    on_step: Callable[[StepReport], None],
) -> Progress:
    """Train until the schedule ends; on_step is called after every step."""
    device = next(model.parameters()).device
    progress = start
    model.train()
    while progress.step < schedule.steps:
        began = time.perf_counter()
        rate = schedule.rate(progress.step)
        batch = next(stream)
        loss = _step(model, optimizer, tokenizer, batch, rate, device)
        progress = replace(
            progress,
            step=progress.step + 1,
            samples=progress.samples + len(batch.pixels),
            seconds=progress.seconds + time.perf_counter() - began,
        )
        on_step(StepReport(progress, loss, rate))
    return progress


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    tokenizer: Tokenizer,
    batch: Batch,
    rate: float,
    device: torch.device,
) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate
    tokens = torch.tensor([encoding.ids for encoding in tokenizer.encode_batch(batch.texts)], device=device)
    loss = _loss(model, batch, tokens, device)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    with torch.no_grad():
        model.logit_scale.clamp_(max=LOG_SCALE_MAX)  # type: ignore[operator]
    return float(loss.detach())


def _loss(model: nn.Module, batch: Batch, tokens: Tensor, device: torch.device) -> Tensor:
    with torch.autocast(device.type, torch.bfloat16, enabled=_has_fast_bfloat16(device)):
        image_vectors = model.encode_image(batch.pixels.to(device), normalize=True)  # type: ignore[operator]
        text_vectors = _text_vectors(model, tokens)
    return multi_positive_contrastive(
        image_vectors.float(),
        text_vectors.float(),
        batch.image_keys.to(device),
        batch.text_keys.to(device),
        model.logit_scale.exp(),  # type: ignore[operator]
    )


def _text_vectors(model: nn.Module, tokens: Tensor) -> Tensor:
    """Encode short and long texts apart, so that a model that trims padding has less of it."""
    order = torch.argsort(torch.count_nonzero(tokens, dim=1))
    parts = [model.encode_text(tokens[rows], normalize=True) for rows in order.chunk(LENGTH_PARTS)]  # type: ignore[operator]
    return torch.cat(parts)[torch.argsort(order)]


def _has_fast_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Without the instructions, oneDNN emulates bfloat16 several times slower than float32.
    cpu = Path("/proc/cpuinfo")
    return cpu.exists() and "avx512_bf16" in cpu.read_text()
