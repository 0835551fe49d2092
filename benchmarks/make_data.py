"""The data: photos of three sizes, made from scikit-image's own photographs, the same on every machine.

1,000 photos of about 0.2 MP, 60 JPEGs of 12 MP and about 3 MB, and 100,000 small files in folders of 1,000.
Each is a random crop of a real photograph, mirrored or not, with some light and grain of its own: no two have
equal bytes, and the JPEG decoder has as much to do as with a camera's file.

    python benchmarks/make_data.py --work ~/sightline-bench
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from workplace import parse_workplace

SOURCES = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "motorcycle_left.png",
    "rocket.jpg",
    "hubble_deep_field.jpg",
)
PER_FOLDER = 1000


@dataclass(frozen=True)
class Kind:
    """What the photos of one set have in common."""

    width: int
    height: int
    quality: int  # JPEG's
    grain: float  # standard deviation, of 255


PHOTO = Kind(560, 400, quality=85, grain=3.0)
LARGE = Kind(4000, 3000, quality=93, grain=3.3)  # about 3 MB
SMALL = Kind(96, 72, quality=80, grain=4.0)  # about 3 kB


@lru_cache(maxsize=1)
def _sources() -> tuple[Image.Image, ...]:
    folder = files("skimage") / "data"
    return tuple(Image.open(str(folder / name)).convert("RGB") for name in SOURCES)


def make_photo(kind: Kind, number: int) -> Image.Image:
    """Make photo `number` of a kind; the same number gives the same photo."""
    random = np.random.default_rng([number, kind.width])
    source = _sources()[int(random.integers(len(SOURCES)))]
    share = random.uniform(0.5, 0.95)
    width, height = int(source.width * share), int(source.height * share)
    left = int(random.integers(source.width - width + 1))
    top = int(random.integers(source.height - height + 1))
    image = source.crop((left, top, left + width, top + height))
    image = image.resize((kind.width, kind.height), Image.Resampling.BICUBIC)
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return Image.fromarray(_with_grain(np.asarray(image), kind, random))


def _with_grain(pixels: NDArray[np.uint8], kind: Kind, random: np.random.Generator) -> NDArray[np.uint8]:
    light = random.uniform(0.8, 1.2)
    grain = random.standard_normal(pixels.shape[:2], dtype=np.float32)[..., None] * kind.grain
    return np.asarray(np.clip(pixels * np.float32(light) + grain, 0, 255), dtype=np.uint8)


def write_photo(kind: Kind, folder: Path, number: int) -> None:
    """Write one photo, unless it is there."""
    file = folder / f"{number // PER_FOLDER:03d}" / f"{number:06d}.jpg"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        make_photo(kind, number).save(file, quality=kind.quality)


def write_photos(folder: Path, *, count: int, kind: Kind = PHOTO) -> None:
    """Write the first `count` photos of a kind."""
    with ProcessPoolExecutor() as pool:
        for _ in pool.map(
            partial(write_photo, kind, folder), range(count), chunksize=64 if count > 999 else 1
        ):
            pass


def main() -> None:
    """Make all the data that is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--large", type=int, default=60)
    parser.add_argument("--small", type=int, default=100_000)
    work, arguments = parse_workplace(parser)
    for folder, count, kind in (
        (work.photos, arguments.photos, PHOTO),
        (work.large, arguments.large, LARGE),
        (work.small, arguments.small, SMALL),
    ):
        write_photos(folder, count=count, kind=kind)
        megabytes = sum(file.stat().st_size for file in folder.rglob("*.jpg")) / 1e6
        print(f"{folder}: {count:,} photos of {kind.width} x {kind.height}, {megabytes:,.0f} MB")


if __name__ == "__main__":
    main()
