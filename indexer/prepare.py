"""Preparing: an upright RGB image to the pixels an encoder takes, the same for index and query."""

import math

import numpy as np
from PIL import Image

from .records import Pixels, Preprocessing

# A strip of 1 x 20,000 pixels would grow to 224 x 4,480,000 before its middle is cut out.
ASPECT_MAX = 8
KERNEL_PIXELS = 2  # how far Pillow's bicubic filter looks on each side; bilinear looks half as far


def prepare(image: Image.Image, preprocessing: Preprocessing) -> Pixels:
    """Bring an upright RGB image to the encoder's input size, pixel for pixel as open_clip evaluates.

    Of an extremely long image some values are rounded otherwise.
    """
    target = (preprocessing.width, preprocessing.height)
    resample = Image.Resampling[preprocessing.interpolation.upper()]
    if preprocessing.resize_mode == "squash":
        return np.asarray(image.resize(target, resample))
    if preprocessing.resize_mode == "shortest":
        if max(image.size) > ASPECT_MAX * min(image.size):
            return np.asarray(_scaled_middle(image, target, resample))
        return np.asarray(_centred(image.resize(_covering_size(image.size, target), resample), target, 0))
    resized = image.resize(_fitting_size(image.size, target), resample)
    return np.asarray(_centred(resized, target, preprocessing.fill))


def _scaled_middle(image: Image.Image, target: tuple[int, int], resample: Image.Resampling) -> Image.Image:
    """Scale of an extremely long image only what the middle of the whole, scaled, would be cut from."""
    sides = zip(image.size, _covering_size(image.size, target), target, strict=True)
    (left, right, from_x, to_x), (top, bottom, from_y, to_y) = (_middle(*side) for side in sides)
    # Pillow takes a box in single precision, which is enough for small numbers only: cut first.
    near = image.crop((from_x, from_y, to_x, to_y))
    return near.resize(target, resample, (left - from_x, top - from_y, right - from_x, bottom - from_y))


def _middle(side: int, scaled: int, want: int) -> tuple[float, float, int, int]:
    """Give where the middle of a side is, in pixels before scaling, and what is looked at to scale it."""
    offset = _offset(scaled, want)
    start, end = offset * side / scaled, (offset + want) * side / scaled
    margin = KERNEL_PIXELS * max(side / scaled, 1) + 1
    return start, end, max(0, math.floor(start - margin)), min(side, math.ceil(end + margin))


def _covering_size(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """Give the smallest size of the same shape that covers the target."""
    if target[0] == target[1]:  # torchvision's Resize, which cuts the long side's fraction off
        short = min(size)
        width, height = (target[0] if side == short else int(target[0] * side / short) for side in size)
        return width, height
    ratio = min(size[0] / target[0], size[1] / target[1])
    return max(1, round(size[0] / ratio)), max(1, round(size[1] / ratio))


def _fitting_size(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """Give the largest size of the same shape that fits into the target."""
    ratio = max(size[0] / target[0], size[1] / target[1])
    return max(1, round(size[0] / ratio)), max(1, round(size[1] / ratio))


def _centred(image: Image.Image, target: tuple[int, int], fill: int) -> Image.Image:
    """Cut out the middle, and pad where the image is smaller than the target."""
    if image.size == target:
        return image
    left, top = (_offset(have, want) for have, want in zip(image.size, target, strict=True))
    canvas = Image.new("RGB", target, (fill,) * 3)
    canvas.paste(image, (-left, -top))
    return canvas


def _offset(have: int, want: int) -> int:
    """Give where the middle begins; negative: how much is padded before. The rounding is torchvision's."""
    return round((have - want) / 2) if have >= want else -((want - have) // 2)
