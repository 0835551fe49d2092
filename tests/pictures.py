"""Pictures that tests make themselves."""

from pathlib import Path

import numpy as np
from PIL import Image


def make_picture(path: Path, seed: int, size: tuple[int, int] = (48, 36)) -> Path:
    """Write a picture of random patches of colour, small enough that no two pictures look alike by chance."""
    chance = np.random.default_rng(seed)
    patches = chance.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(patches).resize(size, Image.Resampling.NEAREST).save(path)
    return path


def make_pictures(folder: Path, count: int, first_seed: int = 0) -> list[Path]:
    """Write `count` different pictures into a folder."""
    seeds = range(first_seed, first_seed + count)
    return [make_picture(folder / f"picture {seed:04}.png", seed) for seed in seeds]
