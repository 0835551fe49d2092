"""A model that normalises by batch learns otherwise in pieces, which is told, and not changed on the way."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import TrainingFailed, UsageError
from trainer.tuning.learning import Moment
from trainer.tuning.running import Request, tune
from trainer.tuning.settings import Method

from .models import CONFIG, draw_pairs

NETWORK = {
    "timm_model_name": "sightline_resnet_s",
    "timm_model_pretrained": False,
    "timm_pool": "avg",
    "timm_proj": "linear",
    "image_size": 32,
}
BY_BATCH: dict[str, Any] = {**CONFIG, "model_cfg": {**CONFIG["model_cfg"], "vision_cfg": NETWORK}}


def request(folder: Path, config: dict[str, Any] = BY_BATCH, **asked: Any) -> Request:
    folder.mkdir(exist_ok=True)
    (folder / "tiny.json").write_text(json.dumps(config))
    pairs = draw_pairs(folder / "drawn")[:16]
    asked = {"epochs": 1, "batch_size": 16} | asked
    return Request(
        str(folder / "tiny.json"), Method.SCRATCH, pairs, pairs, folder / "run", asked, device="cpu"
    )


def killed(asked: Request) -> Request:
    def kill(_: Moment) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(asked, watch=kill)
    return asked


def told(asked: Request) -> list[str]:
    lines: list[str] = []
    tune(asked, notify=lines.append)
    return [line for line in lines if "normalises over the images computed at once" in line]


def test_pieces_of_a_batch_that_is_normalised_over_are_told(tmp_path: Path) -> None:
    assert len(told(request(tmp_path, micro_batch=8))) == 1


@pytest.mark.parametrize(("config", "micro_batch"), [(BY_BATCH, 16), (BY_BATCH, None), (CONFIG, 8)])
def test_pieces_that_change_nothing_are_not_told(
    tmp_path: Path, config: dict[str, Any], micro_batch: int | None
) -> None:
    assert told(request(tmp_path, config, micro_batch=micro_batch)) == []


def test_a_run_that_normalises_by_batch_does_not_go_on_in_other_pieces(tmp_path: Path) -> None:
    asked = killed(request(tmp_path))
    with pytest.raises(UsageError, match=r"began with 16 images at once, .* --micro-batch 4 would change"):
        tune(replace(asked, asked={"micro_batch": 4}, resume=True))
    assert tune(replace(asked, asked={"micro_batch": 32, "recompute": True}, resume=True)) is not None


def test_no_memory_for_such_a_model_does_not_advise_other_pieces_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("trainer.tuning.learning.backward", refuse)
    with pytest.raises(TrainingFailed, match="begin another run with --micro-batch 8"):
        tune(request(tmp_path))
