"""The engine: a query to its answer, nearest images first, in one library."""

import dataclasses
import os
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.errors import EncoderMismatch, LibraryEmpty, SightlineError, VectorsMissing
from indexer.records import Vectors
from indexer.store.moments import local_time
from indexer.store.reader import LibraryReader
from indexer.store.records import Filters, Neighbour, StoredEncoder, StoredImage

from .encoding import Encoding, LoadEncoder, begin_encoding, load_for_query
from .places import place_of
from .query import MixedQuery, Query, mix
from .rank import (
    CROWD_IMAGES_MIN,
    RELEVANCE_MIN,
    SAMPLE_SEED,
    SAMPLE_SIZE,
    AnyScale,
    has_background,
    measure_scale,
)
from .results import Hit, SearchAnswer


def search(
    reader: LibraryReader,
    query: Query,
    *,
    filters: Filters | None = None,
    limit: int = 10,
    min_score: float | None = None,
    min_relevance: float | None = None,
    model: str | None = None,
    encoding: Encoding | None = None,
    load: LoadEncoder = load_for_query,
) -> SearchAnswer:
    """Find the images nearest to a query; the example images themselves, and copies of them, are left out.

    model chooses among the library's encoders (default: the one that searches use). encoding is one that
    was begun before the library was open; load gives an encoder for a card, for callers that keep one.
    Raises LibraryEmpty, EncoderMismatch, VectorsMissing, QueryInvalid, EncoderError.
    """
    began = time.perf_counter()
    with reader.snapshot():
        stored = choose_encoder(reader, model)
        if encoding is None or encoding.card != stored.card:
            encoding = begin_encoding(stored.card, query, load)
        files = reader.count_files()
        sample = _sample(reader, stored, query)
        wanted = filters or Filters()
        if wanted == Filters() or not query.examples:
            # Opens the vectors while the encoder loads; a filter may leave so few that they are not needed.
            reader.nearest(stored, _any_vector(stored.card.dimension), k=1)
        encoded = encoding.result.result()
        mixed = mix(encoded, sample)
        examples = [part.path for part in query.examples if part.path is not None]
        # What an example was when it was indexed goes too: tagging a photo changes its bytes.
        wanted = _leave_out(wanted, encoded.example_hashes | reader.hashes_at(examples))
        neighbours, wanted = _nearest_in_place(reader, stored, mixed, limit, wanted)
        hits: list[Hit] = []
        if neighbours:
            best = _best(reader, stored, mixed, neighbours, wanted)
            scale = measure_scale(mixed, best, sample, stored.background)
            hits = _hits(reader, neighbours, wanted, scale)[:limit]
    return SearchAnswer(
        query=query,
        hits=tuple(hit for hit in hits if _is_above(hit, min_score, min_relevance)),
        nothing_matches=_can_tell(stored, query) and not any(_is_relevant(hit) for hit in hits),
        images=stored.images,
        files=files,
        encoder=stored.card.name,
        weights_hash=stored.card.weights_hash,
        seconds=time.perf_counter() - began,
    )


def _can_tell(stored: StoredEncoder, query: Query) -> bool:
    """Tell whether a verdict can be given: on something that is looked for, in a crowd if by example."""
    if not any(part.weight > 0 for part in query.parts):
        return False
    return stored.images >= CROWD_IMAGES_MIN or not query.examples


def _nearest_in_place(
    reader: LibraryReader, stored: StoredEncoder, mixed: MixedQuery, limit: int, filters: Filters
) -> tuple[list[Neighbour], Filters]:
    """Find the nearest; when a folder seems to hold none, by the name the library knows it by."""
    neighbours = reader.nearest(stored, mixed.vector[None], k=limit, filters=filters)[0]
    if neighbours or filters.folder is None:
        return neighbours, filters
    placed = dataclasses.replace(filters, folder=place_of(reader, filters.folder))
    if placed == filters:
        return neighbours, filters
    return reader.nearest(stored, mixed.vector[None], k=limit, filters=placed)[0], placed


def _best(
    reader: LibraryReader,
    stored: StoredEncoder,
    mixed: MixedQuery,
    neighbours: list[Neighbour],
    filters: Filters,
) -> NDArray[np.float32]:
    """Give the vector of the whole library's best image, examples aside; relevance is measured at it.

    At the best of what a filter leaves, an image would get another relevance with every filter. Examples
    are judged without it.
    """
    unfiltered = Filters(exclude_contents=filters.exclude_contents)
    if filters != unfiltered and not mixed.is_example.any():
        neighbours = reader.nearest(stored, mixed.vector[None], k=1, filters=unfiltered)[0]
    vector: NDArray[np.float32] = reader.vectors_of(stored, [neighbours[0].content_id])[0]
    return vector


def _sample(reader: LibraryReader, stored: StoredEncoder, query: Query) -> Vectors:
    """Give images of the library to mix the parts and judge examples by; one text needs none."""
    if len(query.parts) == 1 and not query.examples and has_background(stored.background):
        return np.empty((0, stored.card.dimension), np.float32)
    return reader.sample_vectors(stored, SAMPLE_SIZE, seed=SAMPLE_SEED)


def _any_vector(dimension: int) -> Vectors:
    """Give a vector that no two images are equally near to, as they all are to zero."""
    return np.cos(np.arange(1, dimension + 1, dtype=np.float32))[None]  # numpy.random takes 18 ms to import


def choose_encoder(reader: LibraryReader, model: str | None) -> StoredEncoder:
    """Give the library's encoder of that name, or its default one; raises when it has no vectors.

    One of the same weights goes by the name that was asked for, so that the patch head beside it is used.
    """
    return reader.default_encoder() if model is None else _named_encoder(reader, model)


def _named_encoder(reader: LibraryReader, model: str) -> StoredEncoder:
    from indexer.encoders.names import canonical  # a search that names no model does without

    encoders = reader.encoders()
    names = (model, canonical(model))  # a folder goes by its whole path in the library
    named = [stored for stored in encoders if stored.card.name in names] or _of_weights(encoders, model)
    if not named:
        raise EncoderMismatch(model, tuple(stored.card.name for stored in encoders))
    with_images = [stored for stored in named if stored.images]
    if with_images:  # the one that answers, else the newest: a checkpoint may have changed under its name
        current = reader.current_encoder()
        return next((each for each in with_images if current and each.id == current.id), with_images[-1])
    if any(stored.images for stored in encoders):
        raise VectorsMissing(model)
    raise LibraryEmpty(reader.path)


def _of_weights(encoders: Sequence[StoredEncoder], model: str) -> list[StoredEncoder]:
    """Give the encoders whose weights are those of files here, under the name of these."""
    from indexer.encoders.names import BUILTIN, canonical, resolve

    name = canonical(model)
    if name != BUILTIN and "@" not in name and not os.path.isdir(name):  # noqa: PTH112  (Path.is_dir may raise)
        return []  # published weights are not fetched to be compared
    try:
        files = resolve(name, lambda _line: None)
    except SightlineError:
        return []  # that the library was not indexed with it says more
    cards = [(stored, files.card(stored.card.precision)) for stored in encoders]
    return [
        dataclasses.replace(stored, card=card)
        for stored, card in cards
        if dataclasses.replace(stored.card, name=card.name) == card
    ]


def _is_above(hit: Hit, min_score: float | None, min_relevance: float | None) -> bool:
    return (min_score is None or hit.score >= min_score) and (
        min_relevance is None or hit.relevance >= min_relevance
    )


def _is_relevant(hit: Hit) -> bool:
    return hit.relevance >= RELEVANCE_MIN


def _leave_out(filters: Filters, hashes: frozenset[bytes]) -> Filters:
    return dataclasses.replace(filters, exclude_contents=filters.exclude_contents | hashes)


def _hits(reader: LibraryReader, neighbours: list[Neighbour], filters: Filters, scale: AnyScale) -> list[Hit]:
    """Look up the files of the nearest contents; copies of one content stand next to each other."""
    images = reader.images([neighbour.content_id for neighbour in neighbours], filters)
    scores: NDArray[np.float32] = np.array([neighbour.score for neighbour in neighbours], dtype=np.float32)
    relevance = scale.relevance(scores)
    return [
        _hit(image, neighbour.score, float(relevance[position]))
        for position, neighbour in enumerate(neighbours)
        for image in images.get(neighbour.content_id, ())
    ]


def _hit(image: StoredImage, score: float, relevance: float) -> Hit:
    return Hit(
        path=image.path,
        score=min(1.0, max(-1.0, float(score))),  # vectors are rounded, their lengths too
        relevance=relevance,
        width=image.width,
        height=image.height,
        format=image.format,
        taken_at=image.taken_at,
        modified_at=local_time(image.mtime_ns),
        camera=image.camera,
        latitude=image.latitude,
        longitude=image.longitude,
        size=image.size,
        content_hash=image.content_hash.hex(),
    )
