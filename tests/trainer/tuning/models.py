"""Tiny models and pairs for the tests of the trainer."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from trainer.examples import Example, ImagePlace
from trainer.tuning.trainee import Trainee

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 230), "yellow": (235, 220, 40)}
SHAPES = ("circle", "square", "triangle", "cross")
PLACES = {"left": 0.3, "right": 0.7}
HEIGHTS = {"top": 0.3, "bottom": 0.7}

CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 32,
        "custom_text": True,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8, "head_width": 32},
        "text_cfg": {
            "context_length": 16,
            "vocab_size": 400,
            "width": 64,
            "heads": 2,
            "layers": 2,
            "pool_type": "eos",
            "pad_id": 0,
            "eos_id": 1,
        },
    },
    "preprocess_cfg": {"size": [32, 32], "resize_mode": "squash"},
    "settings": {},
}


def draw_pairs(folder: Path) -> tuple[Example, ...]:
    """Draw 64 pictures that differ in shape, colour and place, each with its description."""
    folder.mkdir(parents=True, exist_ok=True)
    examples = []
    for colour, pixels in COLOURS.items():
        for shape in SHAPES:
            for side, x in PLACES.items():
                for height, y in HEIGHTS.items():
                    path = folder / f"{colour} {shape} {side} {height}.png"
                    _draw(shape, pixels, x, y).save(path)
                    text = f"a {colour} {shape} at the {height} {side}"
                    examples.append(Example(ImagePlace(path), (text,)))
    return tuple(examples)


def _draw(shape: str, colour: tuple[int, int, int], x: float, y: float) -> Image.Image:
    image = Image.new("RGB", (48, 48), (245, 245, 245))
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = 48 * x - 11, 48 * y - 11, 48 * x + 11, 48 * y + 11
    if shape == "circle":
        draw.ellipse((left, top, right, bottom), fill=colour)
    elif shape == "square":
        draw.rectangle((left, top, right, bottom), fill=colour)
    elif shape == "triangle":
        draw.polygon([(left, bottom), (right, bottom), (48 * x, top)], fill=colour)
    else:
        draw.rectangle((48 * x - 3, top, 48 * x + 3, bottom), fill=colour)
        draw.rectangle((left, 48 * y - 3, right, 48 * y + 3), fill=colour)
    return image


def tiny_trainee(seed: int = 0) -> Trainee:
    """Build a vision transformer and a text transformer of some 100,000 weights each."""
    words = " ".join([*COLOURS, *SHAPES, *PLACES, *HEIGHTS, "a at the"])
    return Trainee.from_nothing(CONFIG, [words] * 3, seed)


def random_pixels(count: int, seed: int = 0) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Make pixels of the tiny model's size."""
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
