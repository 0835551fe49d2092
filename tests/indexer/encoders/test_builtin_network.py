"""The built-in model's image network looks at the picture and at its middle."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from indexer.encoders.builtin.network import LOOKING_TWICE, mirrored_middle, register_image_network
from indexer.encoders.loading import load_encoder


@pytest.fixture(scope="module")
def network() -> Any:
    import timm
    import torch

    register_image_network()
    torch.manual_seed(0)
    return timm.create_model(LOOKING_TWICE, num_classes=0).eval()


@pytest.fixture
def pixels() -> Any:
    import torch

    return torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))


def test_the_second_look_is_the_middle_mirrored_and_reduced(pixels: Any) -> None:
    import cv2

    seen = mirrored_middle(pixels)
    assert seen.shape == (2, 3, 64, 64)
    middle = np.ascontiguousarray(pixels[0, 0, 12:84, 12:84].numpy()[:, ::-1])
    np.testing.assert_allclose(seen[0, 0].numpy(), cv2.resize(middle, (64, 64)), atol=1e-5)


def test_its_features_are_the_mean_of_both_looks(network: Any, pixels: Any) -> None:
    import torch

    def once(seen: Any) -> Any:
        return network.forward_head(network.forward_features(seen))

    with torch.no_grad():
        expected = (once(pixels) + once(mirrored_middle(pixels))) / 2
        torch.testing.assert_close(network(pixels), expected)
        assert (network(pixels) - once(pixels)).abs().max() > 1e-3


def test_it_looks_once_while_it_learns(network: Any, pixels: Any) -> None:
    import torch

    with torch.no_grad():
        network.train()
        once = network(pixels)
        expected = network.forward_head(network.forward_features(pixels))
        network.eval()
    torch.testing.assert_close(once, expected)


def test_an_encoder_of_the_built_in_model_looks_twice() -> None:
    """What stands beside the middle is seen once, so changing it changes the vector less."""
    encoder = load_encoder("builtin", device="cpu")
    grey = Image.new("RGB", (96, 96), (128, 128, 128))
    beside, middle = grey.copy(), grey.copy()
    beside.paste((250, 30, 30), (0, 40, 16, 56))
    middle.paste((250, 30, 30), (40, 40, 56, 56))
    plain, *changed = encoder.encode_images([grey, beside, middle])
    seen_once, seen_twice = (float(np.linalg.norm(each - plain)) for each in changed)
    assert seen_twice > 1.2 * seen_once
