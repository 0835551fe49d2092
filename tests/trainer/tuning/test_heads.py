"""A head turns vectors, and is folded into the model's projections without a trace."""

import copy

import numpy as np
import pytest
import torch

from indexer.errors import EncoderError
from trainer.tuning.heads import Maps, between, check_has_place, fold, turned
from trainer.tuning.trainee import Trainee
from trainer.tuning.wise_ft import mix, state_of

from .models import CONFIG, random_pixels, tiny_trainee


def random_maps(dimension: int) -> Maps:
    torch.manual_seed(3)
    return Maps(*(torch.eye(dimension) + 0.3 * torch.randn(dimension, dimension) for _ in range(2)))


@pytest.mark.parametrize("which", ["transformer", "builtin"])
def test_folding_gives_the_turned_vectors(which: str) -> None:
    trainee = tiny_trainee() if which == "transformer" else Trainee.load("builtin", print)
    size = trainee.preprocessing.width
    pixels = np.random.default_rng(1).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    before = trainee.image_vectors(iter([pixels])), trainee.text_vectors(["a red circle", "left"])
    maps = random_maps(before[0].shape[1])
    fold(trainee, maps)
    after = trainee.image_vectors(iter([pixels])), trainee.text_vectors(["a red circle", "left"])
    for one, other in zip(turned(before, maps), after, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_map_between_gives_the_mixture_of_the_weights() -> None:
    trainee, mixed, maps = tiny_trainee(), tiny_trainee(), random_maps(32)
    before = state_of(mixed.model)
    fold(mixed, maps)
    mix(mixed.model, before, state_of(mixed.model), 0.3)
    fold(trainee, between(maps, 0.3))
    for name, tensor in trainee.model.state_dict().items():
        torch.testing.assert_close(tensor, mixed.model.state_dict()[name], msg=name)


def test_a_tower_without_a_projection_is_refused() -> None:
    trainee = tiny_trainee()
    trainee.model.visual.proj = None
    with pytest.raises(EncoderError, match="image tower does not end in a projection"):
        fold(trainee, random_maps(32))


@pytest.mark.parametrize(("projection", "refused"), [(None, False), ("linear", False), ("none", True)])
def test_a_head_has_a_place_where_a_tower_of_timm_ends_in_a_projection(
    projection: str | None, refused: bool
) -> None:
    config = copy.deepcopy(CONFIG)
    config["model_cfg"]["embed_dim"] = 64  # what the tower gives by itself
    config["model_cfg"]["vision_cfg"] = {
        "timm_model_name": "test_vit",
        "timm_proj": projection,
        "image_size": 160,
        "timm_pool": "avg",
    }
    config["preprocess_cfg"]["size"] = [160, 160]
    trainee = Trainee.from_nothing(config, ["a red circle at the left"] * 3, 0)
    if refused:
        with pytest.raises(EncoderError, match="image tower does not end in a projection"):
            check_has_place(trainee.model)
        return
    pixels = np.random.default_rng(1).integers(0, 256, (2, 160, 160, 3), dtype=np.uint8)
    before, texts = trainee.image_vectors(iter([pixels])), trainee.text_vectors(["a red circle"])
    maps = random_maps(64)
    fold(trainee, maps)
    expected, _ = turned((before, texts), maps)
    np.testing.assert_allclose(trainee.image_vectors(iter([pixels])), expected, atol=1e-4)


def test_pixels_of_the_tiny_model_fit() -> None:
    assert tiny_trainee().encode_pixels(random_pixels(2)).shape == (2, 32)
