"""Too little memory is told with what to do about it, whoever ran out of it."""

import pytest
import torch

from indexer.errors import TrainingFailed
from trainer.tuning.out_of_memory import memory_told


def test_a_cpu_without_memory_is_told_as_a_gpu_is() -> None:
    with pytest.raises(TrainingFailed, match="take fewer"), memory_told(lambda: "take fewer"):
        torch.empty(10**16)


def test_another_error_is_not_taken_for_want_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory_told(lambda: "take fewer"):
        torch.ones(2, 3) @ torch.ones(2, 3)
