import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from indexer.encoders.loading import load_encoder
from trainer.builtin.data import read_data
from trainer.builtin.model import encode_texts, model_config
from trainer.builtin.recipe import Run, export
from trainer.builtin.rounds import IMAGE_ROUNDS, ROUNDS, TAUGHT, Round, shortened, shortened_images

from .teachers import WordTeacher

NAMES = {"n1": "goldfish, Carassius auratus", "n2": "tabby, tabby cat", "n3": "bullet train, bullet"}

IMAGES = (8, 4, 8)
FIRST = Round(3, 1e-3, ((32, 0.5), (64, 1.0)), 0.5, IMAGES, IMAGES, 0.5, asks_for_words=False)
SECOND = Round(2, 1e-3, ((32, 1.0),), 0.5, IMAGES, IMAGES, 0.3, asks_for_words=True)
EVERY_ROUND = (*ROUNDS, TAUGHT, *(each.this for each in IMAGE_ROUNDS))


def picture(seed: int) -> bytes:
    patches = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(patches).resize((64, 64)).save(buffer, "PNG")
    return buffer.getvalue()


def write_shard(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def captioned(count: int) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    for number in range(count):
        captions = [f"picture {number} has {word} patches" for word in ("many", "bright", "odd")]
        members[f"{number}.png"] = picture(number)
        members[f"{number}.json"] = json.dumps({"captions": captions}).encode()
    return members


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make as little data as the recipe's batches can be drawn from, in the form it expects."""
    folder = tmp_path_factory.mktemp("data")
    write_shard(folder / "pairs/flickr8k-train.tar", captioned(96))
    write_shard(folder / "pairs/flickr8k-dev.tar", captioned(12))
    classes = {f"{wnid}/{n}.png": picture(n) for wnid in NAMES for n in range(60)}
    write_shard(folder / "labelled/tiny-imagenet-train.tar", classes)
    (folder / "labelled/tiny-imagenet-classes.json").write_text(json.dumps(NAMES))
    objects = {f"{name}/{n}.png": picture(n) for name in ("Faces", "car_side") for n in range(14)}
    write_shard(folder / "labelled/caltech101-train.tar", objects | {"BACKGROUND_Google/1.png": picture(1)})
    return folder


def test_what_is_measured_is_never_trained_on(data_folder: Path) -> None:
    data = read_data(data_folder)
    assert len(data.held_out) == 15
    assert len(data.classes) == 165
    assert len(read_data(data_folder, held_out_per_class=50).classes) == 30


def test_a_trial_of_half_the_length_halves_every_round() -> None:
    halves = (*shortened(ROUNDS, 0.5), *(each.this for each in shortened_images(IMAGE_ROUNDS, 0.5)))
    wholes = (*ROUNDS, *(each.this for each in IMAGE_ROUNDS))
    assert [half.steps * 2 for half in halves] == [whole.steps for whole in wholes]
    assert [each.name for each in shortened_images(IMAGE_ROUNDS, 0.5)] == [each.name for each in IMAGE_ROUNDS]


def test_rounds_of_small_pictures_draw_from_smaller_sources(data_folder: Path, tmp_path: Path) -> None:
    """Scaled down from far, crops would be full of moiré."""
    run = Run(read_data(data_folder), tmp_path / "run")
    sides = {this.largest: run._data_for(this).captioned.pixels.shape[1] for this in EVERY_ROUND}
    assert sides == {64: 80, 96: 112}


def test_folder_names_that_are_no_english_are_translated_or_left_out(data_folder: Path) -> None:
    assert read_data(data_folder).objects.texts == (("face", "person's face"), ("car", "side of a car"))


def test_the_recipe_trains_goes_on_and_exports_what_the_product_loads(
    data_folder: Path, tmp_path: Path
) -> None:
    data = read_data(data_folder)
    run = Run(data, tmp_path / "run")
    run.learn_captions(2)
    run.learn_pairs([FIRST])
    resumed = Run(data, tmp_path / "run")
    assert resumed.progress.step == 3
    resumed.learn_pairs([FIRST, SECOND])
    assert resumed.progress.step == 5

    exported = tmp_path / "exported"
    export(data, tmp_path / "run", exported)
    encoder = load_encoder(str(exported), device="cpu", runtime="torch")
    texts = ["a goldfish", "Many bright patches, ünïcode 🐟"]
    trained = encode_texts(resumed.learner.finished(), resumed.tokenizer, texts)
    # The weights are shipped in float16.
    assert (encoder.encode_texts(texts) * trained).sum(axis=1).min() > 0.999


def test_the_last_two_rounds_end_in_a_model_that_is_exported(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SPANS": 60, "BRIDGE_STEPS": 5, "BRIDGE_BATCH": 50, "DISTIL_STEPS": 2}.items():
        monkeypatch.setattr(f"trainer.builtin.teacher_round.{name}", value)
    monkeypatch.setattr("trainer.builtin.distilling.BATCH", 40)
    run = Run(read_data(data_folder), tmp_path / "run")
    run.learn_pairs([FIRST])
    before = run.finished().visual.state_dict()
    run.learn_taught(SECOND, WordTeacher())
    assert (tmp_path / "run/finished.pt").exists()
    after = Run(run.data, tmp_path / "run").finished().visual.state_dict()
    assert any(not torch.equal(after[name], tensor) for name, tensor in before.items())
    quick = [replace(each, this=replace(SECOND, mixed=each.this.mixed)) for each in IMAGE_ROUNDS]
    for rounds in (1, len(quick)):
        before, learning = after, Run(run.data, tmp_path / "run")
        learning.learn_images(quick[:rounds])
        after = Run(run.data, tmp_path / "run").finished().visual.state_dict()
        assert any(not torch.equal(after[name], tensor) for name, tensor in before.items())


def test_a_run_that_has_ended_learns_no_more(data_folder: Path, tmp_path: Path) -> None:
    run = Run(read_data(data_folder), tmp_path / "run")
    run.learn_pairs([FIRST])
    run.learn_pairs([FIRST])
    assert run.progress.step == 3


@pytest.mark.parametrize("this", EVERY_ROUND)
def test_every_step_of_a_round_has_a_size_and_pictures_grow(this: Round) -> None:
    sizes = [this.size(step) for step in range(this.steps)]
    assert sizes == sorted(sizes)


def test_the_last_round_ends_at_the_shipped_size() -> None:
    last = EVERY_ROUND[-1]
    assert last.size(last.steps - 1) == model_config()["vision_cfg"]["image_size"]
