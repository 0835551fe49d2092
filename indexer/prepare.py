"""Preparing: an upright RGB image to the pixels an encoder takes, the same for index and query."""

import numpy as np
from PIL import Image

from .records import Pixels, Preprocessing


def prepare(image: Image.Image, preprocessing: Preprocessing) -> Pixels:
    """Bring an upright RGB image to the encoder's input size, as open_clip's evaluation transform does."""
    target = (preprocessing.width, preprocessing.height)
    resample = Image.Resampling[preprocessing.interpolation.upper()]
    if preprocessing.resize_mode == "squash":
        return np.asarray(image.resize(target, resample))
    choose = max if preprocessing.resize_mode == "shortest" else min
    scale = choose(target[0] / image.width, target[1] / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    resized = image.resize(size, resample)
    canvas = Image.new("RGB", target, (preprocessing.fill,) * 3)
    canvas.paste(resized, ((target[0] - size[0]) // 2, (target[1] - size[1]) // 2))
    return np.asarray(canvas)
