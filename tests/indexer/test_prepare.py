import numpy as np
import pytest
from PIL import Image

from indexer.prepare import prepare
from indexer.records import Preprocessing

SIZES = [(640, 480), (480, 640), (224, 224), (301, 299), (50, 37), (1000, 251), (1, 1), (7, 300)]
STRIPS = [(10, 95), (905, 100), (100, 901), (20, 201), (301, 30), (37, 900), (1807, 100), (3, 50), (2, 999)]


def preprocessing(
    mode: str, width: int = 224, height: int = 224, fill: int = 0, interpolation: str = "bicubic"
) -> Preprocessing:
    zeros = (0.0, 0.0, 0.0)
    return Preprocessing(height, width, mode, interpolation, zeros, (1.0, 1.0, 1.0), fill)  # type: ignore[arg-type]


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
            continue  # only the middle is scaled: see the test below
        np.testing.assert_array_equal(prepare(noise(size), rules), expected, err_msg=f"{size}")


@pytest.mark.slow  # importing open_clip takes seconds
@pytest.mark.parametrize(
    ("target", "interpolation"),
    [((64, 64), "bicubic"), ((64, 64), "bilinear"), ((224, 224), "bicubic"), ((160, 96), "bicubic")],
)
def test_the_middle_of_a_strip_is_that_of_open_clip(target: tuple[int, int], interpolation: str) -> None:
    from open_clip.transform import image_transform

    rules = preprocessing("shortest", *target, interpolation=interpolation)
    theirs = image_transform(
        target[::-1], is_train=False, mean=rules.mean, std=rules.std, interpolation=interpolation
    )
    for size in STRIPS:
        expected = np.rint(theirs(noise(size)).numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
        apart = np.abs(prepare(noise(size), rules).astype(int) - expected)
        # Pillow scales that side first which it deems cheaper, and a part may not be like the whole there.
        assert apart.mean() < 0.5, size
        assert apart.max() <= 12, size


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
