"""Kept pairs: what a run learns from and is validated on, for whoever resumes it."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.store.files import replacing

from ..examples import Example, ImagePlace

Parts = tuple[tuple[Example, ...], tuple[Example, ...]]  # to learn from, to validate on


@dataclass(frozen=True, slots=True)
class Source:
    """What the pairs were chosen from, before anything was left out."""

    examples: Sequence[Example]
    held_out: Sequence[Example] | None  # None: a share of the examples is
    share: float
    seed: int

    def digest(self) -> str:
        """Tell it from any other; what the image files hold has no say."""
        digest = hashlib.sha256(repr((self.share, self.seed, self.held_out is None)).encode())
        for part in (self.examples, self.held_out or ()):
            digest.update(b"\0part")
            for example in part:
                digest.update(repr(example).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def write_pairs(file: Path, source: str, parts: Parts) -> None:
    """Write the pairs, a line for each after a first line that tells their source's digest."""
    with replacing(file) as out:
        out.write(_line({"source": source}))
        out.writelines(_line(_plain(example) | {"part": part}) for part, example in _told_apart(parts))


def read_pairs(file: Path, source: str) -> Parts | None:
    """Read pairs again; None when there are none, or when they were chosen from something else."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()
        if not lines or json.loads(lines[0]) != {"source": source}:
            return None
        told = [json.loads(line) for line in lines[1:]]
        train, validation = (
            tuple(_example(each) for each in told if each["part"] == part) for part in ("train", "validation")
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return train, validation


def _told_apart(parts: Parts) -> Iterator[tuple[str, Example]]:
    named: Iterable[tuple[str, tuple[Example, ...]]] = zip(("train", "validation"), parts, strict=True)
    return ((name, example) for name, part in named for example in part)


def _line(values: dict[str, Any]) -> bytes:
    return (json.dumps(values) + "\n").encode("ascii")  # names that are no UTF-8 stay as they are


def _plain(example: Example) -> dict[str, Any]:
    place = example.image
    return {
        "image": str(place.path),
        "captions": example.captions,
        **({"member": place.member, "offset": place.offset, "size": place.size} if place.member else {}),
        **({"label": example.label} if example.label is not None else {}),
        **({"photo": example.photo} if example.photo is not None else {}),
    }


def _example(told: dict[str, Any]) -> Example:
    place = ImagePlace(
        Path(told["image"]), told.get("member", ""), told.get("offset", 0), told.get("size", 0)
    )
    return Example(place, tuple(told["captions"]), told.get("label"), told.get("photo"))
