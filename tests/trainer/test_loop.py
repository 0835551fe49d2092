from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from torch import nn

from trainer.builtin.batches import Batch, Share, batches
from trainer.builtin.learner import tokenize
from trainer.builtin.pairs import PairSet
from trainer.checkpoint import Progress, load_checkpoint, save_checkpoint
from trainer.loop import Schedule, StepReport, make_optimizer, train
from trainer.losses import multi_positive_contrastive
from trainer.vocabulary import END_TOKEN, learn_vocabulary

NAMES = ("red", "green", "blue", "black")
COLOURS = ((220, 30, 30), (30, 200, 30), (30, 30, 220), (5, 5, 5))


class TinyModel(nn.Module):
    """Mean colour and mean token: enough to learn four colour names."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.image = nn.Linear(3, 8)
        self.text = nn.EmbeddingBag(400, 8, mode="mean")
        self.logit_scale = nn.Parameter(torch.tensor(2.0))

    def loss(self, batch: Batch, tokens: torch.Tensor) -> torch.Tensor:
        images = nn.functional.normalize(self.image(batch.pixels.mean(dim=(2, 3))), dim=1)
        texts = nn.functional.normalize(self.text(tokens), dim=1)
        scale = self.logit_scale.exp()
        return multi_positive_contrastive(images, texts, batch.image_keys, batch.text_keys, scale)


@pytest.fixture(scope="module")
def colours() -> PairSet:
    pixels = np.array(COLOURS, dtype=np.uint8).repeat(5, axis=0)[:, None, None, :]
    groups = np.arange(4).repeat(5)
    return PairSet(
        pixels.repeat(8, axis=1).repeat(8, axis=2), groups, tuple((n,) for n in NAMES), are_names=True
    )


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return learn_vocabulary(NAMES, size=300, context_length=12)


def run(
    colours: PairSet, tokenizer: Tokenizer, steps: int, *, start_from: Path | None = None
) -> tuple[TinyModel, torch.optim.Optimizer, list[StepReport]]:
    model = TinyModel()
    optimizer = make_optimizer([(model.parameters(), 1.0)], weight_decay=0.0)
    start = load_checkpoint(start_from, model, optimizer) if start_from else Progress(0, 0, 0.0)
    stream = batches(lambda _: [Share(colours, 8, 2)], size=lambda _: 8, seed=5, first_step=start.step)
    reports: list[StepReport] = []
    schedule = Schedule(steps, warmup_steps=5, decay_steps=0, peak=0.02)
    train(
        lambda batch: model.loss(batch, tokenize(tokenizer, batch.texts)),
        optimizer,
        stream,
        schedule,
        start=start,
        on_step=reports.append,
    )
    return model, optimizer, reports


def test_training_learns_the_names_of_colours(colours: PairSet, tokenizer: Tokenizer) -> None:
    _, _, reports = run(colours, tokenizer, 150)
    first = np.mean([report.loss for report in reports[:10]])
    last = np.mean([report.loss for report in reports[-10:]])
    assert last < 0.7 * first


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    colours: PairSet, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    whole, _, _ = run(colours, tokenizer, 30)
    half, optimizer, reports = run(colours, tokenizer, 12)
    save_checkpoint(tmp_path / "run.pt", half, optimizer, reports[-1].progress)
    resumed, _, _ = run(colours, tokenizer, 30, start_from=tmp_path / "run.pt")
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], tensor)


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(
    colours: PairSet, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, optimizer, reports = run(colours, tokenizer, 2)
    path = tmp_path / "run.pt"
    save_checkpoint(path, model, optimizer, reports[-1].progress)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(path, model, optimizer, reports[-1].progress)
    assert path.read_bytes() == before


def test_the_rate_rises_stays_and_falls_to_nothing() -> None:
    schedule = Schedule(steps=100, warmup_steps=10, decay_steps=20, peak=1.0)
    rates = [schedule.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:80] == [1.0] * 70
    assert rates[99] == pytest.approx(0.05)


def test_any_text_becomes_ids_that_end_before_the_padding(tokenizer: Tokenizer) -> None:
    end = tokenizer.token_to_id(END_TOKEN)
    for text in ("red", "", "Ünïcödé 🐕‍🦺 日本", "word " * 100):
        ids = tokenizer.encode(text).ids
        assert len(ids) == 12
        assert ids.count(end) == 1
