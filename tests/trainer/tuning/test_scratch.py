"""Configurations of new models say what is wrong with them before anything is done."""

import json
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import EncoderUnknown
from trainer.tuning.scratch import read_configuration, ready_names

from .models import CONFIG


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
    ],
)
def test_settings_that_are_none_are_told(tmp_path: Path, settings: Any, words: str) -> None:
    with pytest.raises(EncoderUnknown, match=words):
        read_configuration(configuration(tmp_path, settings))
