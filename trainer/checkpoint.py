"""Checkpoints: a training run on disk, replaced whole, so that a kill costs minutes and not the run."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn


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
    beside = path.with_name(path.name + ".part")
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": progress.step,
        "samples": progress.samples,
        "seconds": progress.seconds,
    }
    with beside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Bring model and optimizer to where the run stood; batches are a function of the step alone."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return Progress(state["step"], state["samples"], state["seconds"])
