"""Class search: how well asking for a class finds the photos it is in, by whole images and by parts.

    python benchmarks/class_search.py FOLDER [--model NAME ...]

FOLDER holds photos with masks (trainer/region_measure.py tells the form). A photo is right for a class that
takes 1 % of its area; classes in more than half of the photos are left out. What is told is the mean average
precision over the classes; all photos are ordered, not the nearest 50 alone as `search --parts` does.
"""

import argparse
from pathlib import Path

import numpy as np
from machine import machine_facts
from numpy.typing import NDArray
from PIL import Image

from indexer.encoders.dense_loading import load_patch_encoder
from indexer.encoders.loading import load_encoder
from search.regions_pacl import TEMPERATURE, compatibility
from trainer.region_measure import RegionSet, read_mask, read_region_set

AREA_MIN = 0.01
COMMON_MAX = 0.5  # of the photos
RESAMPLES = 4_000


def present(photos: RegionSet) -> NDArray[np.bool_]:
    """Tell which classes are in which photos; (photos, classes)."""
    masks = [read_mask(photo) for photo in photos.photos]
    return np.array([[(mask == number).mean() >= AREA_MIN for number in photos.ids] for mask in masks])


def precisions(scores: NDArray[np.float32], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Give the average precision of each class; both (photos, classes)."""
    ordered = np.take_along_axis(right, np.argsort(-scores, axis=0), axis=0)
    found = np.cumsum(ordered, axis=0) / np.arange(1, len(ordered) + 1)[:, None]
    return np.asarray((found * ordered).sum(axis=0) / ordered.sum(axis=0), np.float64)


def interval(gains: NDArray[np.float64]) -> tuple[float, float]:
    """Give the 95 % interval of a mean over classes, by bootstrap."""
    drawn = np.random.default_rng(0).integers(0, len(gains), (RESAMPLES, len(gains)))
    low, high = np.percentile(gains[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description="Measure search for classes in photos.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", action="append", help="may be given several times; default: builtin")
    arguments = parser.parse_args()
    photos = read_region_set(arguments.folder)
    right = present(photos)
    asked = right.any(axis=0) & (right.mean(axis=0) <= COMMON_MAX)
    images = [Image.open(photo.image).convert("RGB") for photo in photos.photos]
    print(machine_facts())
    print(f"{len(images)} photos, {asked.sum()} classes; mean average precision")
    for model in arguments.model or ["builtin"]:
        encoder, patches = load_encoder(model, device="cpu"), load_patch_encoder(model, device="cpu")
        texts = encoder.encode_texts(list(photos.names))
        whole = encoder.encode_images(images) @ texts.T
        temperature = patches.head.card.temperature if patches.head else TEMPERATURE
        grids = (patches.encode_patches([image])[0] for image in images)
        parts = np.stack(
            [compatibility(grid.reshape(1, -1, grid.shape[-1]), texts, temperature)[0] for grid in grids]
        )
        one, both = (precisions(scores[:, asked], right[:, asked]) for scores in (whole, whole + parts))
        low, high = interval(both - one)
        print(f"{model}: {one.mean():.3f}, with parts {both.mean():.3f} (gain {low:+.3f} to {high:+.3f})")


if __name__ == "__main__":
    main()
