"""Preparing: an upright RGB image to the pixels an encoder takes, the same for index and query."""

import numpy as np
from PIL import Image

from .records import Pixels, Preprocessing

# A strip of 1 x 20,000 pixels would grow to 224 x 4,480,000 before its middle is cut out: cut first.
ASPECT_MAX = 8


def prepare(image: Image.Image, preprocessing: Preprocessing) -> Pixels:
    """Bring an upright RGB image to the encoder's input size, pixel for pixel as open_clip evaluates."""
    target = (preprocessing.width, preprocessing.height)
    resample = Image.Resampling[preprocessing.interpolation.upper()]
    if preprocessing.resize_mode == "squash":
        return np.asarray(image.resize(target, resample))
    if preprocessing.resize_mode == "shortest":
        image = _middle(image)
        return np.asarray(_centred(image.resize(_covering_size(image.size, target), resample), target, 0))
    resized = image.resize(_fitting_size(image.size, target), resample)
    return np.asarray(_centred(resized, target, preprocessing.fill))


def _middle(image: Image.Image) -> Image.Image:
    """Cut the ends off an extremely long image; what is cut could not reach the result."""
    short = min(image.size)
    width, height = (min(side, short * ASPECT_MAX) for side in image.size)
    if (width, height) == image.size:
        return image
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


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
