"""Processes: one of several that train together under torchrun, or the only one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

WAIT_MAX = timedelta(hours=12)  # the others wait while the first one measures, on large sets for long


@dataclass(frozen=True, slots=True)
class Process:
    """Which of the processes this is."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Tell whether this one measures, writes and speaks."""
        return self.rank == 0

    def own(self, size: int) -> slice:
        """Give this process's part of a batch that all agree on; the parts are of one size."""
        share = size // self.count
        return slice(self.rank * share, (self.rank + 1) * share)

    def agree(self, value: float) -> float:
        """Take over the first process's value."""
        if self.count == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64)
        if distributed.get_backend() == "nccl":
            shared = shared.cuda()
        distributed.broadcast(shared, 0)
        return float(shared.item())


@contextmanager
def joined(device: torch.device) -> Iterator[Process]:
    """Join the others that torchrun has started, if it has."""
    if device.type == "cuda":
        # Random states and what `agree` sends name no device: they would be those of the first GPU.
        torch.cuda.set_device(device)
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Process()
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=WAIT_MAX)
    try:
        yield Process(distributed.get_rank(), count)
    finally:
        distributed.destroy_process_group()


def local_device(chosen: str) -> torch.device:
    """Give the device of this process: the chosen one, but under torchrun a GPU of its own."""
    device = torch.device(chosen)
    rank = os.environ.get("LOCAL_RANK")
    return device if rank is None or device.type != "cuda" else torch.device("cuda", int(rank))
