"""Checkpoints: a training run on disk, replaced whole, so that a kill costs minutes and not the run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from indexer.store.files import replacing


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come."""

    step: int
    samples: int
    seconds: float  # of training, all sittings together


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write beside the old checkpoint, then take its place."""
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": progress.step,
        "samples": progress.samples,
        "seconds": progress.seconds,
    }
    save_state(path, state)


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and plain values; the file is replaced whole."""
    with replacing(path) as file:
        torch.save(dict(state), file)


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote, and nothing that could run code; raises FileNotFoundError."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Bring model and optimizer to where the run stood; batches are a function of the step alone."""
    state = load_state(path)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return Progress(state["step"], state["samples"], state["seconds"])
