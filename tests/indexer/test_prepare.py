import numpy as np
import pytest
from PIL import Image

from indexer.prepare import prepare
from indexer.records import Preprocessing

SIZES = [(640, 480), (480, 640), (224, 224), (301, 299), (50, 37), (1000, 251), (1, 1), (7, 300)]


def preprocessing(mode: str, width: int = 224, height: int = 224, fill: int = 0) -> Preprocessing:
    zeros = (0.0, 0.0, 0.0)
    return Preprocessing(height, width, mode, "bicubic", zeros, (1.0, 1.0, 1.0), fill)  # type: ignore[arg-type]


def noise(size: tuple[int, int]) -> Image.Image:
    rng = np.random.default_rng(1)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


@pytest.mark.slow  # importing open_clip takes seconds
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("target", [(224, 224), (160, 96)])
def test_pixels_equal_those_of_open_clip(mode: str, target: tuple[int, int]) -> None:
    from open_clip.transform import image_transform

    rules = preprocessing(mode, *target, fill=9)
    theirs = image_transform(
        target[::-1], is_train=False, mean=rules.mean, std=rules.std, resize_mode=mode, fill_color=9
    )
    for size in SIZES:
        expected = np.rint(theirs(noise(size)).numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
        if mode == "shortest" and max(size) > 8 * min(size):
            continue  # cut before scaling: see the test below
        np.testing.assert_array_equal(prepare(noise(size), rules), expected, err_msg=f"{size}")


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", SIZES)
def test_every_shape_comes_out_at_the_input_size(mode: str, size: tuple[int, int]) -> None:
    pixels = prepare(noise(size), preprocessing(mode, 160, 96))
    assert (pixels.shape, pixels.dtype) == ((96, 160, 3), np.uint8)


def test_extremely_long_image_is_cut_before_it_grows() -> None:
    long = Image.new("RGB", (1, 60_000), "red")  # would be 224 x 13,440,000 on the way: nine gigabytes
    np.testing.assert_array_equal(prepare(long, preprocessing("shortest"))[0, 0], [255, 0, 0])


def test_middle_of_a_long_image_is_what_is_kept() -> None:
    long = Image.new("RGB", (20_000, 100), "red")
    long.paste("blue", (9_000, 0, 11_000, 100))
    pixels = prepare(long, preprocessing("shortest"))
    np.testing.assert_array_equal(np.unique(pixels.reshape(-1, 3), axis=0), [[0, 0, 255]])


def test_longest_pads_with_the_fill_colour() -> None:
    pixels = prepare(Image.new("RGB", (100, 50), "white"), preprocessing("longest", fill=77))
    assert (pixels[0, 0].tolist(), pixels[112, 112].tolist()) == ([77] * 3, [255] * 3)
