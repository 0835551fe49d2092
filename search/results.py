"""Results: what a search answers with."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, overload

from indexer.errors import EncoderError

from .query import Query


@dataclass(frozen=True, slots=True)
class Hit:
    """One image file of an answer."""

    path: Path  # absolute
    score: float  # cosine between query and image, -1 to 1; its usual height depends on the encoder
    relevance: float  # 0 to 1; from 0.5 on it stands above what unrelated queries get in this library
    width: int  # upright, in pixels
    height: int
    format: str  # Pillow's name: "JPEG", "PNG", ...
    taken_at: datetime | None  # the camera's clock, without a zone
    modified_at: datetime  # the file's, local time
    camera: str | None
    latitude: float | None  # degrees, north positive
    longitude: float | None  # degrees, east positive
    size: int  # bytes
    content_hash: str  # sha256 of the file's bytes, hexadecimal; copies share it
    parts: float | None = None  # PACL's compatibility of the words with parts of it, where that was asked for

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for JSON: paths as strings, times as ISO 8601."""
        return {
            "path": str(self.path),
            "score": round(self.score, 6),
            "relevance": round(self.relevance, 4),
            "width": self.width,
            "height": self.height,
            "format": self.format,
            "taken_at": self.taken_at.isoformat() if self.taken_at else None,
            "modified_at": self.modified_at.isoformat(timespec="seconds"),
            "camera": self.camera,
            "latitude": self.latitude,
            "longitude": self.longitude,
            "size": self.size,
            "sha256": self.content_hash,
            **({} if self.parts is None else {"parts": round(self.parts, 6)}),
        }


@dataclass(frozen=True, slots=True)
class SearchAnswer(Sequence[Hit]):
    """The hits of a search, best first, and what they amount to; use it as a sequence of hits."""

    query: Query
    hits: tuple[Hit, ...]
    nothing_matches: bool  # no hit stands above what unrelated queries get: the hits are the least far
    images: int  # in the library, for the encoder that answered; copies are one image
    files: int  # in the library; hits are files too
    encoder: str  # its name
    weights_hash: str  # its weights
    seconds: float

    def check_weights(self, weights_hash: str) -> None:
        """Refuse a model that is loaded now and is not the one that answered; raises EncoderError."""
        if weights_hash != self.weights_hash:
            raise EncoderError(
                f"{self.encoder} has other weights now than when this library was indexed; index it anew "
                f"with: sightline index --model {shlex.quote(self.encoder)}"
            )

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[index]
