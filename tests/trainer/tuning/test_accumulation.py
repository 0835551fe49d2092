"""A large batch computed in pieces, or by several processes, gives the gradient of the whole."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from trainer.tuning.accumulation import backward
from trainer.tuning.settings import LossName
from trainer.tuning.trainee import Inputs, Trainee

from .models import random_pixels, tiny_trainee
from .two_processes import saved_by_two_processes

COUNT = 12
TEXTS = [f"a {colour} {shape}" for colour in ("red", "green", "blue") for shape in ("circle", "square")] * 2


def gradients(trainee: Trainee, pieces: int, loss: LossName = LossName.SOFTMAX) -> dict[str, Tensor]:
    inputs = trainee.inputs(random_pixels(COUNT), TEXTS)
    positive = torch.tensor([[float(one == other) for other in TEXTS] for one in TEXTS])
    size = COUNT // pieces
    parts = [inputs.piece(slice(start, start + size)) for start in range(0, COUNT, size)]
    trainee.zero_grad()
    torch.manual_seed(5)
    backward(
        parts,
        trainee.encode,
        lambda images, texts: trainee.loss(loss, images, texts, positive),
        trainee.model,
    )
    named = trainee.model.named_parameters()
    return {name: parameter.grad.clone() for name, parameter in named if parameter.grad is not None}


def assert_equal(some: dict[str, Tensor], others: dict[str, Tensor]) -> None:
    assert some.keys() == others.keys()
    for name, gradient in some.items():
        torch.testing.assert_close(gradient, others[name], atol=2e-6, rtol=2e-4, msg=name)


@pytest.mark.parametrize("pieces", [2, 4, 12])
def test_pieces_give_the_gradient_of_the_whole_batch(pieces: int) -> None:
    trainee = tiny_trainee()
    assert_equal(gradients(trainee, 1), gradients(trainee, pieces))


def likeness(some: dict[str, Tensor], others: dict[str, Tensor]) -> float:
    one, other = (torch.cat([each.flatten() for each in set_.values()]) for set_ in (some, others))
    return float(nn.functional.cosine_similarity(one, other, dim=0))


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_pieces_in_half_precision_point_where_the_whole_batch_does(precision: torch.dtype) -> None:
    trainee = tiny_trainee()
    exact = gradients(trainee, 1)
    trainee.precision = precision
    assert likeness(gradients(trainee, 4), exact) > 0.99


@pytest.mark.parametrize("pieces", [1, 4])
def test_computing_again_on_the_way_back_gives_the_same_gradient(pieces: int) -> None:
    trainee = tiny_trainee().train()
    plain = gradients(trainee, pieces)
    trainee.model.set_grad_checkpointing(True)
    assert_equal(plain, gradients(trainee, pieces))


def test_the_temperature_has_the_right_gradient_too() -> None:
    trainee = tiny_trainee()
    whole, pieces = (gradients(trainee, count)["logit_scale"] for count in (1, 4))
    assert float(whole) != 0
    assert float(pieces) == pytest.approx(float(whole), rel=1e-4)


def test_the_sigmoid_loss_accumulates_as_well() -> None:
    trainee = tiny_trainee()
    trainee.prepare_sigmoid()
    whole, pieces = (gradients(trainee, count, LossName.SIGMOID) for count in (1, 3))
    assert "logit_bias" in whole
    assert_equal(whole, pieces)


def test_dropout_falls_alike_in_both_passes() -> None:
    class Dropping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.drop = nn.Dropout(0.5)

        def encode(self, rows: Tensor) -> tuple[Tensor, Tensor]:
            masks.append(self.drop(torch.ones(64)))
            return self.linear(rows), rows

    masks: list[Tensor] = []
    towers = Dropping()
    backward(list(torch.randn(3, 2, 4)), towers.encode, lambda a, b: (a * b).sum() ** 2, towers)
    assert len(masks) == 6
    for first, second in zip(masks[:3], masks[3:], strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(masks[0], masks[1])


def test_running_means_are_counted_once() -> None:
    norm = nn.BatchNorm1d(4)
    rows = list(torch.randn(2, 8, 4))
    expected = nn.BatchNorm1d(4)
    for part in rows:
        expected(part)
    backward(rows, lambda part: (norm(part), part), lambda a, b: (a * b).sum() ** 2, norm)
    torch.testing.assert_close(norm.running_mean, expected.running_mean)


@pytest.mark.parametrize("pieces", [1, 2])
def test_running_means_are_counted_once_where_the_way_back_computes_again(pieces: int) -> None:
    from torch.utils.checkpoint import checkpoint

    norm, expected = nn.BatchNorm1d(4), nn.BatchNorm1d(4)
    rows = [part.requires_grad_() for part in torch.randn(pieces, 8, 4)]
    for part in rows:
        expected(part)
    backward(
        rows,
        lambda part: (checkpoint(norm, part, use_reentrant=False), part),
        lambda a, b: (a * b).sum() ** 2,
        norm,
    )
    torch.testing.assert_close(norm.running_mean, expected.running_mean)
    assert norm.num_batches_tracked == pieces


def test_pieces_must_not_be_cut_where_texts_are_not() -> None:
    inputs = Inputs(random_pixels(4), torch.zeros(4, 3, dtype=torch.int64).numpy())
    assert len(inputs.piece(slice(1, 3))) == 2


WORKER = """
import sys, torch
sys.path.insert(0, sys.argv[2])
from torch import distributed
from tests.trainer.tuning.models import random_pixels, tiny_trainee
from tests.trainer.tuning.test_accumulation import COUNT, TEXTS
from trainer.tuning.accumulation import backward
from trainer.tuning.processes import joined
from trainer.tuning.settings import LossName

torch.set_num_threads(1)
with joined(torch.device("cpu")) as process:
    trainee = tiny_trainee()
    inputs = trainee.inputs(random_pixels(COUNT), TEXTS).piece(process.own(COUNT))
    positive = torch.tensor([[float(one == other) for other in TEXTS] for one in TEXTS])
    backward(
        [inputs.piece(slice(0, 3)), inputs.piece(slice(3, 6))],
        trainee.encode,
        lambda images, texts: trainee.loss(LossName.SOFTMAX, images, texts, positive),
        trainee.model,
        apart=trainee.temperature,
    )
    found = {name: p.grad for name, p in trainee.model.named_parameters() if p.grad is not None}
    torch.save(found, f"{sys.argv[1]}/{process.rank}.pt")
"""


@pytest.mark.timeout(300)
def test_two_processes_give_the_gradient_of_one(tmp_path: Path) -> None:
    alone = gradients(tiny_trainee(), 1)
    for together in saved_by_two_processes(WORKER, tmp_path):
        assert_equal(alone, together)
