import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from indexer.encoders.base import unit_rows
from indexer.encoders.dense import PatchSettings, Variant
from indexer.encoders.dense_loading import load_patch_encoder
from indexer.encoders.names import BUILTIN_FOLDER, resolve
from indexer.encoders.patch_head import (
    HEAD_CARD_FILE,
    HEAD_FILE,
    HeadCard,
    HeadUnfit,
    PatchHead,
    load_head,
)

from . import small_models

DIMENSION, HIDDEN = 48, 20  # of small_models.VIT; of the head


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    chance = np.random.default_rng(seed)
    shapes = {
        "skip.weight": (DIMENSION, DIMENSION),
        "skip.bias": (DIMENSION,),
        "layers.0.weight": (HIDDEN, DIMENSION),
        "layers.0.bias": (HIDDEN,),
        "layers.2.weight": (DIMENSION, HIDDEN),
        "layers.2.bias": (DIMENSION,),
    }
    return {name: chance.normal(size=shape).astype(np.float16) for name, shape in shapes.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small random model with a random head beside it."""
    made = small_models.write_model(tmp_path / "vit", small_models.VIT, small_models.CLIP_TRANSFORM)
    card = HeadCard(
        weights_hash=resolve(str(made), print).weights_hash,
        encoder="vit",
        patch_dimension=DIMENSION,
        text_dimension=DIMENSION,
        hidden=HIDDEN,
        temperature=0.1,
        scale=20.0,
        short_sides=(96,),
        window=192,
        variant=Variant.CLEARCLIP,
        trained_on={"images": 1500},
    )
    save_file(weights(), made / HEAD_FILE)
    write_card(made, card)
    return made


def write_card(folder: Path, card: HeadCard) -> None:
    (folder / HEAD_CARD_FILE).write_text(json.dumps(asdict(card)))


def load(folder: Path) -> PatchHead:
    head = load_head(resolve(str(folder), print))
    assert head is not None
    return head


def test_a_head_is_two_layers_beside_a_skip(folder: Path):
    patch = unit_rows(np.random.default_rng(1).normal(size=(1, DIMENSION)).astype(np.float32))[0]
    kept = {name: value.astype(np.float64) for name, value in weights().items()}
    hidden = np.maximum(kept["layers.0.weight"] @ patch + kept["layers.0.bias"], 0)
    wanted = kept["skip.weight"] @ patch + kept["skip.bias"]
    wanted = wanted + kept["layers.2.weight"] @ hidden + kept["layers.2.bias"]
    found = load(folder)(np.tile(patch, (2, 3, 1)))
    assert found.shape == (2, 3, DIMENSION)
    assert np.abs(found - wanted / np.linalg.norm(wanted)).max() < 1e-5


def test_a_model_uses_the_head_beside_it_at_its_sizes_and_says_so(folder: Path):
    told: list[str] = []
    image = Image.effect_noise((120, 90), 80)
    settings = PatchSettings((96,), 192, Variant.CLEARCLIP)
    plain = load_patch_encoder(str(folder), device="cpu", settings=settings).encode_patches([image])[0]
    encoder = load_patch_encoder(str(folder), device="cpu", notify=told.append)
    assert encoder.settings == settings
    assert np.abs(encoder.encode_patches([image])[0] - load(folder)(plain)).max() < 1e-5
    assert [line for line in told if "PACL head" in line and "--no-head" in line] == told[-1:]


def test_a_head_can_be_left_out(folder: Path):
    told: list[str] = []
    encoder = load_patch_encoder(str(folder), device="cpu", with_head=False, notify=told.append)
    assert encoder.head is None
    assert not any("PACL head" in line for line in told)


def test_the_head_of_other_weights_is_refused_in_one_line(folder: Path):
    write_card(folder, replace(load(folder).card, weights_hash="0" * 64))
    with pytest.raises(HeadUnfit, match=r"^[^\n]*other weights[^\n]*--no-head[^\n]*$"):
        load_patch_encoder(str(folder), device="cpu")


@pytest.mark.parametrize(
    "damage", ["card", "variant", "no weights", "cut weights", "other sizes", "no numbers"]
)
def test_a_damaged_head_is_refused(folder: Path, damage: str):
    broken = weights()
    if damage == "card":
        (folder / HEAD_CARD_FILE).write_text('{"weights_hash": 3')
    elif damage == "variant":
        card = json.loads((folder / HEAD_CARD_FILE).read_text())
        (folder / HEAD_CARD_FILE).write_text(json.dumps(card | {"variant": "nobody's"}))
    elif damage == "no weights":
        (folder / HEAD_FILE).unlink()
    elif damage == "cut weights":
        (folder / HEAD_FILE).write_bytes((folder / HEAD_FILE).read_bytes()[:200])
    elif damage == "other sizes":
        save_file(broken | {"skip.bias": np.zeros(3, np.float16)}, folder / HEAD_FILE)
    else:
        broken["skip.bias"][0] = np.nan
        save_file(broken, folder / HEAD_FILE)
    with pytest.raises(HeadUnfit):
        load_head(resolve(str(folder), print))


def test_a_head_that_ships_with_the_built_in_model_is_that_of_its_weights():
    files = resolve("builtin", print)
    shipped = (BUILTIN_FOLDER / HEAD_CARD_FILE).exists()
    assert (load_head(files) is not None) == shipped


def test_a_model_without_a_head_has_none(folder: Path):
    (folder / HEAD_CARD_FILE).unlink()
    assert load_head(resolve(str(folder), print)) is None
