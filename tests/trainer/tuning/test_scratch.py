"""Configurations of new models say what is wrong with them before anything is done."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.encoders.loading import load_encoder
from indexer.errors import EncoderUnknown
from trainer.tuning.scratch import read_configuration, ready_names
from trainer.tuning.trainee import Trainee

from .models import CONFIG, random_pixels


def configuration(folder: Path, settings: Any) -> str:
    (folder / "own.json").write_text(json.dumps({**CONFIG, "settings": settings}))
    return str(folder / "own.json")


@pytest.mark.parametrize("name", ready_names())
def test_ready_configurations_have_known_settings(name: str) -> None:
    assert read_configuration(name)["model_cfg"]


def test_known_settings_of_every_kind_are_taken(tmp_path: Path) -> None:
    settings = {
        "epochs": 5,
        "rate": 1,
        "flips": True,
        "micro_batch": 8,
        "patience": None,
        "loss": "sigmoid",
        "precision": "float32",
    }
    assert read_configuration(configuration(tmp_path, settings))["settings"] == settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"learning_rate": 0.001}, r"'learning_rate'; known are loss, epochs, batch_size, .*rate"),
        ({"method": "full"}, "'method'; known are"),
        ({"rate": "fast"}, "'fast' for 'rate'"),
        ({"epochs": True}, "True for 'epochs'"),
        ({"loss": "hinge"}, "'hinge' for 'loss'"),
        ([1], "no JSON object"),
        ({"precision": "bf16"}, "'bf16' for 'precision', which must be one of auto, float32"),
        ({"least_area": 0}, "0 for 'least_area', which must be above 0"),
        ({"epochs": 0}, "0 for 'epochs', which must be at least 1"),
        ({"batch_size": 1}, "1 for 'batch_size', which must be at least 2"),
        ({"rate": float("nan")}, "nan for 'rate', which must be above 0"),
        ({"seed": 2**64}, "for 'seed', which must be 0 to 18446744073709551615"),
    ],
)
def test_settings_that_are_none_are_told(tmp_path: Path, settings: Any, words: str) -> None:
    with pytest.raises(EncoderUnknown, match=words):
        read_configuration(configuration(tmp_path, settings))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ({"multimodal_cfg": {"width": 64}}, "writes captions as well"),
        ({"text_cfg": {"hf_model_name": "roberta-base"}}, "from the Hugging Face hub"),
        ({"text_cfg": {"width": 64}}, "text_cfg lacks context_length, vocab_size"),
        ({"text_cfg": None}, "model_cfg lacks text_cfg"),
    ],
)
def test_towers_that_cannot_be_trained_from_nothing_are_told(
    tmp_path: Path, shape: dict[str, Any], words: str
) -> None:
    file = tmp_path / "own.json"
    file.write_text(json.dumps({"model_cfg": CONFIG["model_cfg"] | shape}))
    with pytest.raises(EncoderUnknown, match=words):
        read_configuration(str(file))


def test_an_architecture_that_writes_captions_is_refused() -> None:
    with pytest.raises(EncoderUnknown, match="writes captions as well"):
        read_configuration("coca_ViT-B-32")


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"custom_text": False},
        {"quick_gelu": True},
        {"init_logit_bias": -10},
        {"nonscalar_logit_scale": True},
        {"text_cfg": CONFIG["model_cfg"]["text_cfg"] | {"hf_tokenizer_name": "nobody/has-this"}},
    ],
    ids=["plain", "no custom text", "quick gelu", "bias", "scale of one row", "another tokenizer"],
)
def test_a_new_model_of_any_kind_is_loaded_and_encodes_as_it_did(
    tmp_path: Path, shape: dict[str, Any]
) -> None:
    config = copy.deepcopy(CONFIG)
    config["model_cfg"] |= shape
    trainee = Trainee.from_nothing(config, ["a red circle"] * 3, seed=0)
    trainee.save(tmp_path)
    encoder = load_encoder(str(tmp_path), device="cpu", runtime="torch")
    pixels, texts = random_pixels(3), ["a red circle", "circle"]
    own = [*trainee.image_vectors(iter([pixels])), *trainee.text_vectors(texts)]
    loaded = [*encoder.encode_pixels(pixels), *encoder.encode_texts(texts)]
    np.testing.assert_allclose(own, loaded, atol=1e-5)
