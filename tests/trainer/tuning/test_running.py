"""A run learns, says what it did, goes on after a kill, and leaves a model that `index` loads."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from indexer.encoders.loading import load_encoder
from indexer.errors import PairsInvalid, TrainingFailed, UsageError
from trainer.examples import Example
from trainer.tuning.learning import Moment
from trainer.tuning.running import Request, Summary, tune
from trainer.tuning.settings import Method

from .models import CONFIG, draw_pairs


@pytest.fixture
def pairs(tmp_path: Path) -> tuple[Example, ...]:
    return draw_pairs(tmp_path / "drawn")


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "tiny.json").write_text(json.dumps(CONFIG))
    return str(tmp_path / "tiny.json")


def request(config: str, pairs: tuple[Example, ...], folder: Path, **asked: Any) -> Request:
    return Request(
        model=config,
        method=Method.SCRATCH,
        train=pairs,
        validation=pairs,
        folder=folder,
        asked={"batch_size": 64, "rate": 5e-4, "least_area": 1.0, "flips": False, "patience": 99} | asked,
        device="cpu",
    )


def done(asked: Request, **options: Any) -> Summary:
    summary = tune(asked, **options)
    assert summary is not None
    return summary


def weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "open_clip_model.safetensors")


@pytest.mark.timeout(300)
def test_sixty_four_pairs_are_learned_by_heart(
    config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    # Three seeds need 49 to 74 epochs; in bfloat16 some processors need more.
    summary = done(request(config, pairs, tmp_path / "run", epochs=100, precision="float32"))
    assert summary.after.recall_1 == 1.0


def test_a_run_leaves_a_model_that_encodes_as_it_did(
    config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    from PIL import Image

    done(request(config, pairs, tmp_path / "run", epochs=12, precision="float32"))
    encoder = load_encoder(str(tmp_path / "run"), device="cpu", runtime="torch")
    images = [Image.open(example.image.path) for example in pairs]
    texts = [example.captions[0] for example in pairs]
    cosines = encoder.encode_images(images) @ encoder.encode_texts(texts).T
    own = json.loads((tmp_path / "run/summary.json").read_text())["after"]
    ranks = (cosines.diagonal()[:, None] <= cosines.T).sum(axis=1)
    assert (ranks <= 10).mean() == pytest.approx(own["recall_10"], abs=0.02)


def test_a_run_folder_tells_all_of_the_run(config: str, pairs: tuple[Example, ...], tmp_path: Path) -> None:
    done(request(config, pairs, tmp_path / "run", epochs=3))
    described = json.loads((tmp_path / "run/run.json").read_text())
    assert described["settings"]["epochs"] == 3
    logged = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in logged if "recall_1" in line] == [1, 2, 3]


class Killed(Exception):
    """Stands for a kill: nothing of the run's own handles it."""


def killed(asked: Request, step: int = 1) -> Request:
    def kill(moment: Moment) -> None:
        if moment.step >= step:
            raise Killed

    with pytest.raises(Killed):
        tune(asked, watch=kill)
    return asked


@pytest.mark.timeout(300)
def test_a_killed_run_goes_on_bit_for_bit(
    config: str, pairs: tuple[Example, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.tuning.learning.CHECKPOINT_SECONDS", 0.0)
    asked = request(config, pairs, tmp_path / "whole", epochs=4, batch_size=16)
    done(asked)

    broken = killed(replace(asked, folder=tmp_path / "broken"), step=7)
    done(replace(broken, resume=True))
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "broken")
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def test_a_run_does_not_go_on_with_other_pairs(
    config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    asked = killed(request(config, pairs, tmp_path / "run", epochs=1))
    with pytest.raises(PairsInvalid, match="other pairs"):
        tune(replace(asked, train=pairs[:40], resume=True))


def test_a_run_does_not_go_on_with_other_settings(
    config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    asked = killed(request(config, pairs, tmp_path / "run", epochs=1))
    with pytest.raises(UsageError, match="began with epochs 1, not 2"):
        tune(replace(asked, asked={**asked.asked, "epochs": 2}, resume=True))


def test_a_run_that_has_ended_does_not_begin_anew(
    config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    asked = request(config, pairs, tmp_path / "run", epochs=1)
    done(asked)
    before = weights(asked.folder)
    with pytest.raises(PairsInvalid, match="has ended"):
        tune(replace(asked, resume=True))
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(asked.folder).items())


def test_a_folder_with_a_run_is_not_overwritten(
    config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    asked = request(config, pairs, tmp_path / "run", epochs=1)
    done(asked)
    with pytest.raises(PairsInvalid, match="--resume"):
        tune(asked)


def test_a_loss_that_is_no_number_stops_the_run(
    config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    asked = request(config, pairs, tmp_path / "run", epochs=40, rate=1e30)
    with pytest.raises(TrainingFailed, match="--rate"):
        tune(asked)


@pytest.mark.parametrize("method", [Method.FULL, Method.LORA, Method.HEAD])
def test_a_trained_model_can_be_tuned_further(
    method: Method, config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    done(request(config, pairs, tmp_path / "first", epochs=6))
    begun = Request(
        str(tmp_path / "first"),
        method,
        pairs,
        pairs,
        tmp_path / "second",
        {"epochs": 12, "rate": 0.3 if method is Method.HEAD else 2e-3, "batch_size": 64, "patience": 99},
        device="cpu",
    )
    summary = done(begun)
    assert summary.before is not None
    assert summary.after.overall > summary.before.overall
    assert (tmp_path / "second/open_clip_model.safetensors").exists()
    assert not (tmp_path / "second/checkpoint.pt").exists()


def test_no_memory_names_the_pieces_that_would_fit(
    config: str, pairs: tuple[Example, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr("trainer.tuning.learning.backward", refuse)
    with pytest.raises(TrainingFailed, match="--micro-batch 32"):
        tune(request(config, pairs, tmp_path / "run", epochs=1))


def test_two_pairs_are_enough_to_run(config: str, pairs: tuple[Example, ...], tmp_path: Path) -> None:
    asked = request(config, pairs[:2], tmp_path / "run", epochs=2)
    assert done(replace(asked, validation=pairs[2:4])).after.images == 2
