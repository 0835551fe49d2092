"""Parts: the nearest images put in order anew, by how well parts of them match the words (PACL).

A small thing in a large picture hardly moves the picture's own vector; among its patches it stands out. The
score of a picture is its cosine as before plus PACL's compatibility (`regions_pacl`). docs/regions.md tells
what that gains with which model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.encoders.dense import PatchGrid
from indexer.errors import QueryInvalid
from indexer.records import Vectors

from .regions_pacl import TEMPERATURE, compatibility
from .results import SearchAnswer

AHEAD = 5  # times as many images as are wanted take part
AHEAD_MIN = 50


def images_ahead(limit: int) -> int:
    """Give how many images to search for when so many are wanted."""
    return max(AHEAD_MIN, AHEAD * limit)


def by_parts(
    answer: SearchAnswer,
    library: Path,
    *,
    limit: int,
    device: str = "auto",
    notify: Callable[[str], None] = lambda _line: None,
) -> SearchAnswer:
    """Order an answer by its hits' parts too, and keep the best; patch vectors come from the library.

    Raises QueryInvalid for a query without words, EncoderError when the model has other weights by now.
    """
    from indexer.encoders.dense_loading import load_patch_encoder
    from indexer.encoders.loading import load_text_encoder
    from indexer.patch_filling import patches_of

    if not answer.query.texts:
        raise QueryInvalid("parts of pictures are compared with words; the query has none")
    encoder = load_patch_encoder(answer.encoder, device=device, notify=notify)
    answer.check_weights(encoder.card.weights_hash)
    texts = load_text_encoder(encoder.card, notify=notify).encode_texts(
        [str(part.text) for part in answer.query.texts]
    )
    weights = [part.weight for part in answer.query.texts]
    contents = [bytes.fromhex(hit.content_hash) for hit in answer]
    grids = patches_of(library, encoder, contents, notify=notify)
    temperature = encoder.head.card.temperature if encoder.head else TEMPERATURE
    return ordered(answer, grids, texts, weights, temperature, limit=limit)


def ordered(
    answer: SearchAnswer,
    grids: Mapping[bytes, PatchGrid],
    texts: Vectors,
    weights: Sequence[float],
    temperature: float,
    *,
    limit: int,
) -> SearchAnswer:
    """Order hits by cosine plus compatibility; a picture that could not be read counts as the usual one."""
    found = [
        _parts(grids.get(bytes.fromhex(hit.content_hash)), texts, weights, temperature) for hit in answer
    ]
    known = [each for each in found if each is not None]
    usual = float(np.median(known)) if known else 0.0
    hits = [replace(hit, parts=parts) for hit, parts in zip(answer, found, strict=True)]
    hits.sort(key=lambda hit: -(hit.score + (usual if hit.parts is None else hit.parts)))
    return replace(answer, hits=tuple(hits[:limit]))


def _parts(
    grid: PatchGrid | None, texts: Vectors, weights: Sequence[float], temperature: float
) -> float | None:
    if grid is None:
        return None
    patches = grid.reshape(1, -1, grid.shape[-1])
    scores: NDArray[np.float32] = compatibility(patches, texts, temperature)[0]
    signed = np.asarray(weights, np.float32)
    return float(signed @ scores / np.abs(signed).sum())
