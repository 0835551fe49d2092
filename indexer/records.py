"""Records: what the stages hand to one another, each named by what has happened to it."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .features import Features

Pixels: TypeAlias = NDArray[np.uint8]  # (height, width, 3), RGB
Vectors: TypeAlias = NDArray[np.float32]  # (n, dim), each row has length one
Ids: TypeAlias = NDArray[np.int64]  # (n,)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that may be an image, as the folder listing tells of it."""

    root: Path  # absolute
    relative: str  # below root, with forward slashes; bytes that are no UTF-8 as surrogates (os.fsdecode)
    size: int  # bytes
    mtime_ns: int

    @property
    def path(self) -> Path:
        """Give the absolute path."""
        return self.root / self.relative


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What we learn of an image while its file is open."""

    content_hash: bytes  # sha256 of the file's bytes, 32 bytes
    width: int  # upright, in pixels
    height: int
    format: str  # Pillow's name: "JPEG", "PNG", ...
    taken_at: datetime | None  # the camera's clock, without a zone
    camera: str | None  # "Maker Model"
    latitude: float | None  # degrees, north positive
    longitude: float | None  # degrees, east positive
    perceptual_hash: bytes | None  # PDQ, 256 bits as 32 bytes
    perceptual_quality: int | None  # PDQ's own 0 to 100; below 50 the hash says little
    features: Features | None = field(default=None, compare=False)  # marks to find parts of it by
    pixel_hash: bytes | None = None  # of all upright pixels, 32 bytes; None where they came reduced


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An upright RGB image at the size its encoder wants."""

    file: FoundFile
    facts: ImageFacts
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image and its unit vector, ready to be stored."""

    file: FoundFile
    facts: ImageFacts
    vector: NDArray[np.float32]  # (dim,), length one


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that gave no image, and why, in words a person understands."""

    file: FoundFile
    reason: str
    again: bool = False  # it may be none of the file's fault: what is known of the file stays


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A folder that could not be listed, or a file or link that could not be read, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """What one indexing run did, in files."""

    indexed: int  # new in the library: embedded now, or a copy of what is
    unchanged: int
    moved: int  # moved, renamed or come back: kept its vector
    removed: int
    skipped: int  # all files without a vector, those known from before too
    seconds: float
    skipped_reasons: tuple[tuple[str, int], ...]  # reason, files; the most frequent first
    unreadable: tuple[Unreadable, ...]
    interrupted: bool
    encoder_seconds: float  # of `seconds` the encoder was busy


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How an upright RGB image becomes an encoder's input; the fields are open_clip's."""

    height: int
    width: int
    resize_mode: Literal["shortest", "longest", "squash"]
    interpolation: Literal["bicubic", "bilinear"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    fill: int  # padding of "longest", 0 to 255


@dataclass(frozen=True, slots=True)
class EncoderCard:
    """Who made a vector. Two vectors may be compared when `same_space` says so."""

    name: str  # as given to load_encoder
    weights_hash: str  # of the network, hexadecimal (encoders/names.py)
    preprocessing: Preprocessing
    dimension: int
    precision: str  # "float32", "float16" or "bfloat16": the arithmetic, not the storage

    def same_space(self, other: "EncoderCard") -> bool:
        """Tell whether vectors of both may be compared; runtimes and precisions agree to cosine 0.999."""
        return (self.weights_hash, self.preprocessing, self.dimension) == (
            other.weights_hash,
            other.preprocessing,
            other.dimension,
        )
