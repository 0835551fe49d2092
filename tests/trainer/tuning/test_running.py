"""A run learns, says what it did, goes on after a kill, and leaves a model that `index` loads."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from indexer.encoders.base import PixelBatch
from indexer.encoders.loading import load_encoder
from indexer.errors import PairsInvalid, TrainingFailed, UsageError
from trainer.examples import Example, ImagePlace
from trainer.tuning.images import Images
from trainer.tuning.learning import Moment
from trainer.tuning.running import Request, Summary, tune
from trainer.tuning.settings import Method
from trainer.tuning.trainee import Trainee
from trainer.tuning.validation import Score, Validation

from .models import CONFIG, draw_pairs, tiny_trainee


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


def begun_request(
    method: Method, config: str, pairs: tuple[Example, ...], folder: Path, **asked: Any
) -> Request:
    """Ask for a run of any method; what it begins from is made where it needs something."""
    asked = {"epochs": 4, "batch_size": 16, "blend": False} | asked
    if method is Method.SCRATCH:
        return request(config, pairs, folder / "whole", **asked)
    done(request(config, pairs, folder / "base", epochs=1))
    return replace(request(str(folder / "base"), pairs, folder / "whole", **asked), method=method)


def assert_same_weights(one: Path, other: Path) -> None:
    some, others = weights(one), weights(other)
    assert some.keys() == others.keys()
    assert [name for name, tensor in some.items() if not torch.equal(tensor, others[name])] == []


BY_GRADIENT = pytest.mark.parametrize("method", [Method.SCRATCH, Method.FULL, Method.LORA])


@pytest.mark.timeout(300)
@BY_GRADIENT
def test_equal_settings_give_equal_weights(
    method: Method, config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    asked = begun_request(method, config, pairs, tmp_path)
    done(asked)
    done(replace(asked, folder=tmp_path / "again"))
    assert_same_weights(tmp_path / "whole", tmp_path / "again")


@pytest.mark.timeout(300)
@BY_GRADIENT
def test_a_killed_run_goes_on_bit_for_bit(
    method: Method,
    config: str,
    pairs: tuple[Example, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trainer.tuning.learning.CHECKPOINT_SECONDS", 0.0)
    asked = begun_request(method, config, pairs, tmp_path)
    done(asked)

    broken = killed(replace(asked, folder=tmp_path / "broken"), step=7)
    done(replace(broken, resume=True))
    assert_same_weights(tmp_path / "whole", tmp_path / "broken")


@pytest.mark.timeout(300)
def test_a_run_killed_before_its_first_checkpoint_begins_again_as_it_did(
    config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    asked = begun_request(Method.LORA, config, pairs, tmp_path)
    done(asked)
    broken = killed(replace(asked, folder=tmp_path / "broken"), step=6)
    done(replace(broken, resume=True))
    assert_same_weights(tmp_path / "whole", tmp_path / "broken")


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


def changed(config: str, **values: Any) -> None:
    """Write other values into a configuration, under its old name."""
    file = Path(config)
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({**kept, "model_cfg": {**kept["model_cfg"], **values}}))


def test_a_run_does_not_go_on_with_another_architecture(
    config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    asked = killed(request(config, pairs, tmp_path / "run", epochs=1))
    changed(config, embed_dim=16)
    with pytest.raises(UsageError, match=r"is not what the run in .* began from"):
        tune(replace(asked, resume=True))


def test_a_run_does_not_go_on_from_a_model_that_was_trained_again(
    config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    asked = killed(begun_request(Method.FULL, config, pairs, tmp_path))
    tiny_trainee(seed=3).save(tmp_path / "base")
    with pytest.raises(UsageError, match=r"is not what the run in .* began from"):
        tune(replace(asked, resume=True))


def test_a_checkpoint_that_was_cut_off_is_named_with_the_remedy(
    config: str, pairs: tuple[Example, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.tuning.learning.CHECKPOINT_SECONDS", 0.0)
    asked = killed(request(config, pairs, tmp_path / "run", epochs=2, batch_size=16), step=3)
    checkpoint = tmp_path / "run/checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(TrainingFailed, match=r"run/checkpoint.pt cannot be gone on from .* remove"):
        tune(replace(asked, resume=True))


@pytest.mark.timeout(300)
def test_the_seed_of_a_configuration_is_that_of_its_towers(
    config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    own = json.loads(Path(config).read_text())
    Path(config).write_text(json.dumps({**own, "settings": {"seed": 5}}))
    asked = begun_request(Method.SCRATCH, config, pairs, tmp_path, epochs=1)
    done(asked)
    done(replace(killed(replace(asked, folder=tmp_path / "broken")), resume=True))
    assert_same_weights(tmp_path / "whole", tmp_path / "broken")


def test_a_seed_too_large_is_told(config: str, pairs: tuple[Example, ...], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--seed 18446744073709551616 must be 0 to 18446744073709551615"):
        tune(request(config, pairs, tmp_path / "run", seed=2**64))


def test_the_largest_seed_is_taken(config: str, pairs: tuple[Example, ...], tmp_path: Path) -> None:
    assert done(request(config, pairs[:8], tmp_path / "run", epochs=1, seed=2**64 - 1)).epochs == 1


def test_waiting_for_images_and_validating_is_a_part_of_the_time(
    config: str, pairs: tuple[Example, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(seconds=0.0, monotonic=lambda: clock.seconds)
    cropped, score = Images.cropped, Validation.score

    def waited_for(self: Images, *given: Any, **more: Any) -> Iterator[PixelBatch]:
        for batch in cropped(self, *given, **more):
            clock.seconds += 2
            yield batch

    def measured(self: Validation, *given: Any) -> Score:
        clock.seconds += 10
        return score(self, *given)

    monkeypatch.setattr("trainer.tuning.learning.time", clock)
    monkeypatch.setattr(Images, "cropped", waited_for)
    monkeypatch.setattr(Validation, "score", measured)
    speeds: list[float] = []
    done(
        request(config, pairs, tmp_path / "run", epochs=1, batch_size=16),
        watch=lambda moment: speeds.append(moment.images_per_second),
    )
    assert speeds == pytest.approx([16 / 2, 32 / 4, 48 / 6, 64 / (8 + 10)])


def epochs_logged(folder: Path) -> list[int]:
    logged = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line["epoch"] for line in logged if "epoch" in line]


@pytest.mark.timeout(300)
def test_a_run_that_was_killed_after_its_early_end_learns_no_more(
    config: str, pairs: tuple[Example, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    # At this rate nothing is ever gained, so that the second epoch is the last.
    asked = begun_request(Method.FULL, config, pairs, tmp_path, epochs=30, patience=1, rate=1e-12)
    whole = done(asked)
    broken = replace(asked, folder=tmp_path / "broken")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr("trainer.tuning.running._Job._finish", die)
        tune(broken)
    resumed = done(replace(broken, resume=True))
    assert epochs_logged(broken.folder) == epochs_logged(asked.folder) == [1, 2]
    assert resumed.epochs == whole.epochs


@pytest.mark.timeout(300)
@pytest.mark.parametrize("method", [Method.SCRATCH, Method.HEAD])
def test_a_run_that_begins_anew_begins_its_log_anew(
    method: Method, config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    asked = begun_request(method, config, pairs, tmp_path, epochs=3, batch_size=64)
    done(replace(killed(asked, step=3), resume=True))
    assert epochs_logged(asked.folder) == [1, 2, 3]


def half_written(folder: Path) -> Path:
    """Stand for a model that was being written when the kill came."""
    left = folder / ".model-abc"
    left.mkdir(parents=True)
    (left / "open_clip_model.safetensors").write_bytes(b"half")
    return left


def test_what_a_kill_left_of_a_model_goes_when_the_run_goes_on(
    config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    asked = killed(request(config, pairs, tmp_path / "run", epochs=2))
    left = half_written(asked.folder)
    killed(replace(asked, resume=True))
    assert not left.exists()


def test_what_a_kill_left_of_a_model_goes_when_another_is_saved(tmp_path: Path) -> None:
    left = half_written(tmp_path)
    tiny_trainee().save(tmp_path)
    assert not left.exists()


@pytest.mark.parametrize(
    ("method", "asked", "options"),
    [
        (Method.HEAD, {"lora_rank": 64, "recompute": True}, "--lora-rank, --recompute"),
        (Method.PROBE, {"batch_size": 8}, "--batch"),
        (Method.PACL, {"flips": True}, "--flips"),
    ],
)
def test_what_a_method_makes_no_use_of_is_refused(
    method: Method, asked: dict[str, Any], options: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    asked_for = Request("builtin", method, pairs, pairs, tmp_path / "run", asked, device="cpu")
    with pytest.raises(UsageError, match=f"the method {method} makes no use of {options}; leave"):
        tune(asked_for)


def test_a_probe_without_classes_leaves_no_run_behind(pairs: tuple[Example, ...], tmp_path: Path) -> None:
    asked_for = Request("builtin", Method.PROBE, pairs, pairs, tmp_path / "run", {}, device="cpu")
    with pytest.raises(PairsInvalid, match="fewer than two"):
        tune(asked_for)
    assert not (tmp_path / "run").exists()


def test_the_epoch_that_ends_a_run_is_told(config: str, pairs: tuple[Example, ...], tmp_path: Path) -> None:
    told: list[Moment] = []
    asked = request(config, pairs, tmp_path / "run", epochs=9, patience=1, rate=1e-12)
    summary = done(asked, watch=told.append)
    last = [line for line in (tmp_path / "run/log.jsonl").read_text().splitlines() if "recall_10" in line][-1]
    assert told[-1].epoch == json.loads(last)["epoch"] > summary.epochs


def test_what_a_method_does_anyway_may_be_asked_for(
    config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    asked = begun_request(Method.HEAD, config, pairs, tmp_path, epochs=1, blend=False, flips=False)
    assert done(asked).method is Method.HEAD


def test_a_run_goes_on_with_less_memory(config: str, pairs: tuple[Example, ...], tmp_path: Path) -> None:
    asked = killed(request(config, pairs, tmp_path / "run", epochs=1))
    done(replace(asked, asked={"micro_batch": 32, "recompute": True}, resume=True))
    told = json.loads((tmp_path / "run/run.json").read_text())["settings"]
    assert (told["micro_batch"], told["recompute"]) == (32, True)


def test_a_new_model_is_not_measured_on_what_could_be_forgotten(
    config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    gone = (Example(ImagePlace(tmp_path / "gone.jpg"), ("a dog",)),)
    asked = replace(request(config, pairs, tmp_path / "run", epochs=1), general=gone)
    assert done(asked).general is None


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


def test_an_epoch_sees_more_images_than_fill_a_batch(
    config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    moments: list[Moment] = []
    asked = request(config, pairs[:45], tmp_path / "run", epochs=2, batch_size=32)
    done(asked, watch=moments.append)
    assert [(moment.step, moment.steps, moment.epoch) for moment in moments] == [
        (1, 4, 1),
        (2, 4, 1),
        (3, 4, 2),
        (4, 4, 2),
    ]


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


@pytest.mark.parametrize(("blend", "mixtures"), [(True, 11), (False, 0)])
def test_a_head_is_mixed_with_the_projections_before_unless_told_not_to(
    config: str, pairs: tuple[Example, ...], tmp_path: Path, blend: bool, mixtures: int
) -> None:
    asked = begun_request(
        Method.HEAD, config, pairs, tmp_path, epochs=12, rate=0.3, batch_size=64, blend=blend
    )
    summary = done(replace(asked, general=pairs[:8]))
    assert summary.epochs > 0
    assert len(summary.blends) == mixtures
    chosen = [each.validation.overall for each in summary.blends if each.alpha == summary.alpha]
    assert chosen in ([], [pytest.approx(summary.after.overall, abs=0.03)])


def test_captions_that_a_new_model_cuts_are_told(
    config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    told: list[str] = []
    long = replace(pairs[0], captions=("a red circle at the top left " * 9,))
    done(request(config, (long, *pairs[1:8]), tmp_path / "run", epochs=1), notify=told.append)
    assert any(line.startswith("captions longer than the model reads: 1, their ends") for line in told)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_in_pieces_learns(
    precision: str, config: str, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    losses: list[float] = []
    asked = request(config, pairs, tmp_path / "run", epochs=8, micro_batch=32, precision=precision)
    done(asked, watch=lambda moment: losses.append(moment.loss))
    assert losses[-1] < losses[0]


def test_no_memory_names_the_pieces_that_would_fit(
    config: str, pairs: tuple[Example, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr("trainer.tuning.learning.backward", refuse)
    with pytest.raises(TrainingFailed, match="--micro-batch 32"):
        tune(request(config, pairs, tmp_path / "run", epochs=1))


def refuse_more_than(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand for a small card."""
    encode = Trainee.encode_pixels

    def refuse(self: Trainee, pixels: PixelBatch) -> torch.Tensor:
        if len(pixels) > count:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return encode(self, pixels)

    monkeypatch.setattr(Trainee, "encode_pixels", refuse)


def test_what_is_learned_from_in_pieces_is_validated_in_pieces(
    config: str, pairs: tuple[Example, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_more_than(8, monkeypatch)
    done(request(config, pairs, tmp_path / "run", epochs=1, micro_batch=8))


def test_no_memory_to_validate_names_the_pieces_that_would_fit(
    config: str, pairs: tuple[Example, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_more_than(16, monkeypatch)
    with pytest.raises(TrainingFailed, match="--resume --micro-batch 64"):
        tune(request(config, pairs, tmp_path / "run", epochs=1, batch_size=16))


def test_two_pairs_are_enough_to_run(config: str, pairs: tuple[Example, ...], tmp_path: Path) -> None:
    asked = request(config, pairs[:2], tmp_path / "run", epochs=2)
    assert done(replace(asked, validation=pairs[2:4])).after.images == 2
