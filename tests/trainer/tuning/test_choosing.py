"""The method is chosen by how many images there are, and by what the model has."""

import copy
from pathlib import Path
from typing import Any

import pytest

from trainer.tuning.choosing import FULL_FROM, HEAD_BELOW, choose_method
from trainer.tuning.settings import Method
from trainer.tuning.trainee import Trainee

from .models import CONFIG


@pytest.mark.parametrize(
    ("images", "method"),
    [
        (HEAD_BELOW - 1, Method.HEAD),
        (HEAD_BELOW, Method.LORA),
        (FULL_FROM - 1, Method.LORA),
        (FULL_FROM, Method.FULL),
    ],
)
def test_more_images_allow_more_to_be_learned(images: int, method: Method) -> None:
    assert choose_method(images, "builtin", print) is method


@pytest.mark.parametrize(("projection", "method"), [("linear", Method.HEAD), ("none", Method.LORA)])
def test_few_images_learn_by_lora_where_a_head_has_no_place(
    tmp_path: Path, projection: str, method: Method
) -> None:
    config: dict[str, Any] = copy.deepcopy(CONFIG)
    config["model_cfg"]["embed_dim"] = 64  # what the tower gives by itself
    config["model_cfg"]["vision_cfg"] = {
        "timm_model_name": "test_vit",
        "timm_proj": projection,
        "image_size": 160,
        "timm_pool": "avg",
    }
    config["preprocess_cfg"]["size"] = [160, 160]
    Trainee.from_nothing(config, ["a red circle at the left"] * 3, 0).save(tmp_path / "model")
    assert choose_method(20, str(tmp_path / "model"), print) is method
