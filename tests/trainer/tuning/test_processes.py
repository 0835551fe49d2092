"""A process trains on the device that was chosen, and under torchrun on a GPU of its own."""

from pathlib import Path

import pytest
import torch

from trainer.tuning.processes import Process, joined, local_device

from .two_processes import saved_by_two_processes


@pytest.mark.parametrize("chosen", ["cpu", "cuda:1"])
def test_alone_the_chosen_device_is_used(chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert local_device(chosen) == torch.device(chosen)


def test_under_torchrun_each_process_has_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert local_device("cuda:0") == torch.device("cuda", 3)
    assert local_device("cpu") == torch.device("cpu")


def test_the_chosen_gpu_becomes_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    for name in ("cpu", "cuda:1"):
        with joined(torch.device(name)):
            pass
    assert chosen == [torch.device("cuda", 1)]


def test_the_parts_of_a_batch_are_of_one_size_and_do_not_overlap() -> None:
    rows = list(range(12))
    parts = [rows[Process(rank, 3).own(12)] for rank in range(3)]
    assert [row for part in parts for row in part] == rows


WORKER = """
import sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.trainer.tuning.models import draw_pairs, tiny_trainee
from trainer.tuning.folder import RunFolder
from trainer.tuning.images import Images
from trainer.tuning.learning import Learning
from trainer.tuning.processes import joined
from trainer.tuning.settings import Method, Settings
from trainer.tuning.validation import Validation

class Told(Learning):
    def _load_best(self):  # which would give all of them the first one's
        torch.save(self.trainee.model.state_dict(), folder / f"{process.rank}.pt")

torch.set_num_threads(1)
with joined(torch.device("cpu")) as process:
    folder = Path(sys.argv[1])
    trainee = tiny_trainee()
    pairs = draw_pairs(folder / f"drawn{process.rank}")
    settings = Settings(Method.LORA, epochs=2, batch_size=32, rate=2e-3, precision="float32")
    validation = Validation(pairs, Images(pairs, trainee.preprocessing))
    torch.manual_seed(100 + process.rank)  # as processes that start are: each of its own
    Told(trainee, settings, pairs, validation, RunFolder(folder), process, lambda _: None).run()
    validation.close()
"""


@pytest.mark.timeout(300)
def test_two_processes_end_with_the_same_additions(tmp_path: Path) -> None:
    first, second = saved_by_two_processes(WORKER, tmp_path)
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
