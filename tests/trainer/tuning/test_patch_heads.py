"""A PACL head is learned over patches that are encoded once, and is used by the model beside it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from indexer.encoders.dense import PatchEncoder
from indexer.encoders.dense_loading import load_patch_encoder
from indexer.encoders.patch_head import HEAD_CARD_FILE, HEAD_FILE
from indexer.errors import NoPatchVectors, TrainingFailed, UsageError
from trainer.examples import Example, ImagePlace
from trainer.pacl import PatchEmbedder
from trainer.patches import keep_patches
from trainer.tuning.aligning import Material, align
from trainer.tuning.learning import Moment
from trainer.tuning.running import Request, Summary, tune
from trainer.tuning.settings import Method, Settings
from trainer.tuning.trainee import Trainee
from trainer.tuning.validation import Validation

from .models import CONFIG, draw_pairs, tiny_trainee


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Example, ...]:
    return draw_pairs(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a model of random weights: its patches tell colours and edges, its texts tell words apart."""
    folder = tmp_path_factory.mktemp("model")
    tiny_trainee().save(folder)
    return folder


@pytest.fixture(scope="module")
def run(model: Path, pairs: tuple[Example, ...], tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return done(request(model, pairs, tmp_path_factory.mktemp("runs") / "run"))


def request(model: Path, pairs: tuple[Example, ...], folder: Path, **asked: Any) -> Request:
    usual = {"epochs": 40, "rate": 1e-2, "batch_size": 64, "patience": 99}
    return Request(str(model), Method.PACL, pairs, pairs, folder, usual | asked, device="cpu")


def done(asked: Request, **options: Any) -> Summary:
    summary = tune(asked, **options)
    assert summary is not None
    return summary


def head_of(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / HEAD_FILE)


def test_a_head_finds_images_by_their_texts(run: Summary) -> None:
    assert run.before is not None
    assert run.before.overall < 0.25
    assert run.after.overall > run.before.overall + 0.1


def test_the_encoder_stays_as_it_is_to_the_byte(run: Summary, model: Path) -> None:
    for file in model.iterdir():
        assert (run.folder / file.name).read_bytes() == file.read_bytes()


def test_the_run_folder_is_a_model_whose_patches_go_through_the_head(run: Summary, model: Path) -> None:
    image = Image.effect_noise((48, 48), 80)
    with_head = load_patch_encoder(str(run.folder), device="cpu")
    assert with_head.head is not None
    turned = with_head.encode_patches([image])[0]
    plain = load_patch_encoder(str(model), device="cpu").encode_patches([image])[0]
    assert np.abs(turned - with_head.head(plain)).max() < 1e-5
    assert np.abs(turned - plain).max() > 0.05


def test_the_card_tells_what_the_head_was_learned_from(run: Summary) -> None:
    import json

    card = json.loads((run.folder / HEAD_CARD_FILE).read_text())
    assert card["trained_on"]["images"] == card["trained_on"]["captions"] == 64
    assert card["trained_on"]["nouns"] > 0
    assert card["short_sides"] == [48]


def test_only_an_unfinished_run_keeps_patches(run: Summary) -> None:
    assert not list(run.folder.glob("patches*"))


class Killed(Exception):
    """Stands for a kill: nothing of the run's own handles it."""


def test_a_killed_run_goes_on_from_its_patches_to_the_same_head(
    run: Summary, model: Path, pairs: tuple[Example, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(model, pairs, tmp_path / "broken")

    def kill(moment: Moment) -> None:
        if moment.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        tune(asked, watch=kill)
    with monkeypatch.context() as patched:
        patched.setattr(PatchEncoder, "encode_patches", None)  # nothing is encoded a second time
        done(replace(asked, resume=True))
    whole, resumed = head_of(run.folder), head_of(tmp_path / "broken")
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def test_without_a_gain_no_head_is_written(model: Path, pairs: tuple[Example, ...], tmp_path: Path) -> None:
    summary = done(request(model, pairs, tmp_path / "run", rate=1e-30, epochs=1))
    assert summary.epochs == 0
    assert not (tmp_path / "run" / HEAD_FILE).exists()
    assert load_patch_encoder(str(tmp_path / "run"), device="cpu").head is None


def test_a_loss_that_is_no_number_stops_the_run(
    model: Path, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    with pytest.raises(TrainingFailed, match="--rate"):
        tune(request(model, pairs, tmp_path / "run", rate=1e30))


def test_another_loss_is_refused(model: Path, pairs: tuple[Example, ...], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--loss"):
        tune(request(model, pairs, tmp_path / "run", loss="sigmoid"))


def test_a_model_without_patches_is_refused_before_the_folder_is_made(
    pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    shape = CONFIG["model_cfg"]
    vision = shape["vision_cfg"] | {"attentional_pool": True, "attn_pooler_queries": 4}
    pooled = CONFIG | {"model_cfg": shape | {"vision_cfg": vision}}
    Trainee.from_nothing(pooled, ["a red circle"] * 3, 0).save(tmp_path / "model")
    with pytest.raises(NoPatchVectors, match="attention of its own"):
        tune(request(tmp_path / "model", pairs, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


# -- nouns -------------------------------------------------------------------------------------------


def test_a_noun_is_found_where_it_is_by_what_captions_name(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)

    def unit(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        vectors = chance.normal(size=shape).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)

    nouns = unit(12, 3, 32)
    meant = nouns.mean(axis=1) / np.linalg.norm(nouns.mean(axis=1), axis=1, keepdims=True)
    turned = np.linalg.qr(chance.normal(size=(32, 32)))[0].astype(np.float32)
    named, places, images = chance.integers(12, size=256), chance.integers(9, size=256), np.arange(256)
    patches = unit(256, 9, 32)
    patches[images, places] = meant[named] @ turned
    examples = tuple(Example(ImagePlace(tmp_path / f"{image}"), (f"text {image}",)) for image in images)
    validation = Validation(
        tuple(Example(each.image, (str(noun),)) for each, noun in zip(examples, named, strict=True)),
        None,  # type: ignore[arg-type]  # no image is read
    )

    def hits(head: PatchEmbedder) -> float:
        with torch.no_grad():
            cosines = head(torch.from_numpy(patches)) @ torch.from_numpy(meant).T
        return float((cosines[images, :, named].argmax(dim=1).numpy() == places).mean())

    aligned = align(
        Material(examples, patches.astype(np.float16), unit(256, 32), nouns, named[:, None] == np.arange(12)),
        Settings(Method.PACL, epochs=32, rate=1e-2, batch_size=64, patience=99),
        validation,
        (patches.astype(np.float16), meant[[int(text) for text in validation.texts]]),
        scale=20.0,
        temperature=0.1,
        device=torch.device("cpu"),
        watch=lambda *_: None,
    )
    assert hits(PatchEmbedder(32, 32)) < 0.25
    assert hits(aligned.head) > 0.6


# -- patches -----------------------------------------------------------------------------------------


def test_patches_are_those_of_the_highlighter_on_a_square_picture(
    model: Path, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    encoder = load_patch_encoder(str(model), device="cpu")
    kept = keep_patches(encoder, pairs[:3], tmp_path / "patches")
    with Image.open(pairs[1].image.path) as image:
        grid = encoder.encode_patches([image])[0]
    assert grid.shape == (6, 6, 32)
    assert np.abs(kept[1].astype(np.float32) - grid.reshape(36, 32)).max() < 2e-3


def test_pictures_of_any_shape_share_one_grid(model: Path, tmp_path: Path) -> None:
    places = []
    for name, size in (("wide", (400, 60)), ("dot", (1, 1)), ("tall", (50, 90))):
        Image.effect_noise(size, 90).save(tmp_path / f"{name}.png")
        places.append(Example(ImagePlace(tmp_path / f"{name}.png"), (name,)))
    kept = keep_patches(load_patch_encoder(str(model), device="cpu"), places, tmp_path / "patches")
    assert kept.shape == (3, 36, 32)
    assert np.abs(np.linalg.norm(kept.astype(np.float32), axis=2) - 1).max() < 2e-3


def test_encoding_goes_on_after_the_last_whole_row(
    model: Path, pairs: tuple[Example, ...], tmp_path: Path
) -> None:
    encoder = load_patch_encoder(str(model), device="cpu")
    whole = np.array(keep_patches(encoder, pairs[:5], tmp_path / "patches"))
    (tmp_path / "patches").write_bytes(whole.tobytes()[: 3 * whole[0].nbytes + 7])
    told: list[int] = []
    again = keep_patches(encoder, pairs[:5], tmp_path / "patches", lambda done, _of: told.append(done))
    assert np.array_equal(again, whole)
    assert told == [3]
