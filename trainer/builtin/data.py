"""The built-in model's data: what it learns from, and what it is measured on."""

import json
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .pairs import PairSet, hold_out, read_captioned, read_labelled

HELD_OUT_PER_CLASS = 5  # of tiny-imagenet's 200 per class: 1,000 photos that are never trained on
# Pixels of captioned images in memory: crops of it come near 96, so that scaling leaves no moiré.
SOURCE_SIZE = 112
COARSE_SIZE = 80  # the same where pictures are shown at 64 px at most
DEV_SIZE = 96  # the shipped model's

# Folder names that are no English for what is in them.
CALTECH_NAMES = {
    "BACKGROUND_Google": (),
    "Faces": ("face", "person's face"),
    "Faces_easy": ("face", "person's face"),
    "Leopards": ("leopard",),
    "Motorbikes": ("motorcycle", "motorbike"),
    "airplanes": ("airplane", "plane"),
    "car_side": ("car", "side of a car"),
    "cougar_body": ("cougar",),
    "cougar_face": ("cougar", "face of a cougar"),
    "crocodile_head": ("crocodile", "head of a crocodile"),
    "flamingo_head": ("flamingo", "head of a flamingo"),
    "gerenuk": ("gerenuk", "antelope"),
    "inline_skate": ("inline skate", "roller skate"),
    "minaret": ("minaret", "tower"),
    "pagoda": ("pagoda", "temple"),
    "water_lilly": ("water lily", "flower"),
}


@dataclass(frozen=True)
class Data:
    """What the model learns from, and what it is measured on."""

    captioned: PairSet
    objects: PairSet  # Caltech101
    classes: PairSet  # tiny-imagenet
    dev: PairSet  # Flickr8k dev: never trained on
    held_out: PairSet  # the last of each tiny-imagenet class: never trained on

    @property
    def learned_from(self) -> list[PairSet]:
        """The sets in the order of a batch."""
        return [self.captioned, self.objects, self.classes]

    def coarse(self) -> "Data":
        """Give the same for rounds that show no picture larger than 64 px."""
        captioned, objects = (
            replace(pairs, pixels=at_side(pairs.pixels, COARSE_SIZE))
            for pairs in (self.captioned, self.objects)
        )
        return replace(self, captioned=captioned, objects=objects)


def read_data(folder: Path, held_out_per_class: int = HELD_OUT_PER_CLASS) -> Data:
    """Read the shards into memory, about one gigabyte."""
    names = json.loads((folder / "labelled/tiny-imagenet-classes.json").read_text())
    synonyms = {wnid: _synonyms(text) for wnid, text in names.items()}
    tiny = read_labelled(folder / "labelled/tiny-imagenet-train.tar", synonyms, 64)
    classes, held_out = hold_out(tiny, held_out_per_class)
    return Data(
        captioned=read_captioned(folder / "pairs/flickr8k-train.tar", SOURCE_SIZE),
        objects=read_labelled(folder / "labelled/caltech101-train.tar", _caltech_names(folder), SOURCE_SIZE),
        classes=classes,
        dev=read_captioned(folder / "pairs/flickr8k-dev.tar", DEV_SIZE),
        held_out=held_out,
    )


def at_side(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Scale (n, h, w, 3) pixels to a square of this side, as the product does."""
    if pixels.shape[1:3] == (side, side):
        return pixels
    scaled = (Image.fromarray(each).resize((side, side), Image.Resampling.BICUBIC) for each in pixels)
    return np.stack([np.asarray(image) for image in scaled])


def _synonyms(text: str) -> tuple[str, ...]:
    """Take the first two names of a WordNet entry: later ones are mostly Latin."""
    return tuple(name.strip() for name in text.split(","))[:2]


def _caltech_names(folder: Path) -> dict[str, tuple[str, ...]]:
    with tarfile.open(folder / "labelled/caltech101-train.tar") as archive:
        found = {member.name.split("/")[0] for member in archive if member.isfile()}
    names = {name: CALTECH_NAMES.get(name, (name.replace("_", " ").lower(),)) for name in found}
    return {name: synonyms for name, synonyms in names.items() if synonyms}
