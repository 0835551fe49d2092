import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from indexer.encoders.base import checked_images, checked_texts, prepared_batch, upright_rgb
from indexer.errors import UsageError
from indexer.records import Preprocessing

PREPROCESSING = Preprocessing(8, 8, "squash", "bicubic", (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), 0)


@pytest.mark.parametrize("texts", ["a cat", b"a cat", 5, None, ["a cat", 5]])
def test_one_text_is_no_list_of_texts(texts: object) -> None:
    with pytest.raises(UsageError, match="to encode"):
        checked_texts(texts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "images", ["x.jpg", ["x.jpg"], [np.zeros((9, 9, 3), np.uint8)], [Image.new("RGB", (0, 5))], None]
)
@pytest.mark.parametrize(
    "take", [checked_images, lambda images: prepared_batch(images, PREPROCESSING)], ids=["list", "batch"]
)
def test_what_is_no_image_is_said(images: object, take: Callable[[object], object]) -> None:
    with pytest.raises(UsageError, match="to encode"):
        take(images)


def test_any_row_of_texts_and_images_is_taken() -> None:
    image = Image.new("L", (9, 9))
    assert checked_texts(np.array(["a cat", "a dog"])) == ["a cat", "a dog"]  # type: ignore[arg-type]
    assert checked_images((image,)) == [image]
    assert prepared_batch([image] * 2, PREPROCESSING).shape == (2, 8, 8, 3)


def test_bytes_that_are_no_letters_are_taken_as_question_marks() -> None:
    assert checked_texts(["caf\udce9  noir"]) == ["caf?  noir"]


def closed() -> Image.Image:
    image = Image.new("RGB", (9, 9))
    image.close()
    return image


def cut_off(kind: str) -> Image.Image:
    """Give an image of which half the file is missing."""
    whole = io.BytesIO()
    Image.effect_noise((99, 99), 50).convert("RGB").save(whole, kind)
    return Image.open(io.BytesIO(whole.getvalue()[: len(whole.getvalue()) // 2]))


@pytest.mark.parametrize(
    "make",
    [closed, lambda: cut_off("JPEG"), lambda: cut_off("PNG"), lambda: cut_off("QOI")],
    ids=["closed", "jpeg", "png", "qoi"],
)
def test_an_image_that_cannot_be_decoded_is_said(make: Callable[[], Image.Image]) -> None:
    with pytest.raises(UsageError, match="cannot be decoded"):
        upright_rgb(make())


@pytest.mark.parametrize(
    "mode",
    [
        "1",
        "L",
        "LA",
        "La",
        "P",
        "PA",
        "RGB",
        "RGBA",
        "RGBa",
        "RGBX",
        "CMYK",
        "YCbCr",
        "HSV",
        "LAB",
        "I",
        "F",
        "I;16",
    ],
)
def test_an_image_of_any_mode_is_brought_to_rgb(mode: str) -> None:
    image = Image.new("LA", (9, 9), (255, 255)).convert("La") if mode == "La" else Image.new(mode, (9, 9))
    assert upright_rgb(image).mode == "RGB"
