"""A process trains on the device that was chosen, and under torchrun on a GPU of its own."""

import pytest
import torch

from trainer.tuning.processes import Process, local_device


@pytest.mark.parametrize("chosen", ["cpu", "cuda:1"])
def test_alone_the_chosen_device_is_used(chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert local_device(chosen) == torch.device(chosen)


def test_under_torchrun_each_process_has_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert local_device("cuda:0") == torch.device("cuda", 3)
    assert local_device("cpu") == torch.device("cpu")


def test_the_parts_of_a_batch_are_of_one_size_and_do_not_overlap() -> None:
    rows = list(range(12))
    parts = [rows[Process(rank, 3).own(12)] for rank in range(3)]
    assert [row for part in parts for row in part] == rows
