"""Pairs of the recipe: small images with their texts, read from tar shards and all kept in memory."""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class PairSet:
    """Images and their texts; images of one group are positives of all of the group's texts."""

    pixels: NDArray[np.uint8]  # (n, size, size, 3), RGB
    groups: NDArray[np.int64]  # (n,), index into texts
    texts: tuple[tuple[str, ...], ...]  # per group, each a full description of its images
    are_names: bool  # texts are bare names that want a template around them

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: NDArray[np.int64]) -> "PairSet":
        """Keep these images only; groups and texts stay as they are."""
        return PairSet(self.pixels[rows], self.groups[rows], self.texts, self.are_names)


def read_captioned(shard: Path, size: int) -> PairSet:
    """Read a webdataset shard of KEY.webp (or .jpg, .png) and KEY.json {"captions": [...]}.

    Each image is a group of its own. Images are squashed to size x size.
    """
    images: dict[str, NDArray[np.uint8]] = {}
    captions: dict[str, tuple[str, ...]] = {}
    for name, content in _members(shard):
        key, suffix = name.with_suffix("").as_posix(), name.suffix
        if suffix == ".json":
            captions[key] = tuple(json.loads(content)["captions"])
        else:
            images[key] = _squash(content, size)
    keys = sorted(images.keys() & captions.keys())
    pixels = np.stack([images[key] for key in keys])
    return PairSet(pixels, np.arange(len(keys)), tuple(captions[key] for key in keys), are_names=False)


def read_labelled(shard: Path, names: Mapping[str, Sequence[str]], size: int) -> PairSet:
    """Read a tar of FOLDER/IMAGE whose folders are classes; names gives each class its synonyms.

    Folders without a name are left out. Images are squashed to size x size.
    """
    folders = sorted(names)
    index_of = {folder: index for index, folder in enumerate(folders)}
    members = [(name, content) for name, content in _members(shard) if name.parent.name in index_of]
    members.sort(key=lambda member: member[0])
    pixels = np.stack([_squash(content, size) for _, content in members])
    groups = np.array([index_of[name.parent.name] for name, _ in members], dtype=np.int64)
    return PairSet(pixels, groups, tuple(tuple(names[folder]) for folder in folders), are_names=True)


def hold_out(pairs: PairSet, per_group: int) -> tuple[PairSet, PairSet]:
    """Split off the last `per_group` images of every group: (for training, held out)."""
    rank_from_end = np.zeros(len(pairs), dtype=np.int64)
    for group in np.unique(pairs.groups):
        rows = np.flatnonzero(pairs.groups == group)
        rank_from_end[rows] = np.arange(len(rows))[::-1]
    held = rank_from_end < per_group
    return pairs.take(np.flatnonzero(~held)), pairs.take(np.flatnonzero(held))


def _members(shard: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    with tarfile.open(shard) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                yield PurePosixPath(member.name), content.read()


def _squash(content: bytes, size: int) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))
