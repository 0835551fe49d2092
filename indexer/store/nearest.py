"""Nearest: the closest vectors, exactly, from the FAISS file and what the catalog has since."""

import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection

import numpy as np
from numpy.typing import NDArray

from ..records import Ids, Vectors
from .catalog import (
    as_vectors,
    count_changed,
    count_vectors,
    dropped_since,
    find_vectors,
    get_generation,
    stream_vectors,
)
from .opening import connect_to_read
from .records import Neighbour, StoredEncoder
from .vectors import Base, IndexFile, IndexUnusable, MatrixBase, memory_index, open_index

FAISS_FROM_IMAGES = 10_000  # below, reading the catalog takes 50 ms and importing FAISS 100
_EXACT_UP_TO = 4096  # ids left by a filter: their vectors are read from the catalog
CATCH_UP_MAX = 20_000  # newer vectors held beside a base; with more of them a new base is made
_ROUNDING = 2e-5  # float32 sums of 1,000 products in another order differ by less


@dataclass(frozen=True, slots=True)
class _Since:
    """What came and went between a base and a generation."""

    generation: int
    changed: Ids  # what the base must not answer with
    ids: Ids
    vectors: Vectors


@dataclass(slots=True)
class _Held:
    base: Base
    name: str | None  # the recorded file this base is, or stands in for
    since: _Since


class NearestVectors:
    """Finds nearest vectors; keeps what it opened for the next query."""

    def __init__(self, library: Path, faiss_from: int) -> None:
        self._library = library
        self._faiss_from = faiss_from
        self._held: dict[int, _Held] = {}
        self._lock = threading.Lock()
        self.warnings: list[str] = []

    def find(
        self,
        connection: Connection,
        encoder: StoredEncoder,
        queries: Vectors,
        k: int,
        allowed: Ids | None,
        excluded: Ids,
        *,
        may_retry: bool,
    ) -> list[list[Neighbour]]:
        """Give the k nearest of each query, best first, then by id; only ids that may answer are looked at.

        The base proposes, with room for rounding; scores are those of the catalog's vectors. With
        `may_retry`, a file that a writer has just replaced raises IndexUnusable: look again in a new
        transaction.
        """
        if allowed is not None and len(allowed) <= _EXACT_UP_TO:
            ids, vectors = find_vectors(connection, encoder, np.setdiff1d(allowed, excluded))
            return [ranked(query, ids, vectors, k) for query in queries]
        held = self._current(connection, encoder, may_retry)
        return [self._find_one(connection, encoder, held, query, k, allowed, excluded) for query in queries]

    def _find_one(
        self,
        connection: Connection,
        encoder: StoredEncoder,
        held: _Held,
        query: NDArray[np.float32],
        k: int,
        allowed: Ids | None,
        excluded: Ids,
    ) -> list[Neighbour]:
        barred = np.concatenate((excluded, held.since.changed))  # union1d would import numpy.ma: 13 ms
        proposed = _proposals(held.base, query, k, allowed, barred)
        ids, vectors = find_vectors(connection, encoder, proposed)
        fresh = ~np.isin(held.since.ids, excluded)
        if allowed is not None:
            fresh &= np.isin(held.since.ids, allowed)
        ids = np.concatenate((ids, held.since.ids[fresh]))
        vectors = np.concatenate((vectors, held.since.vectors[fresh]))
        return ranked(query, ids, vectors, k)

    def _current(self, connection: Connection, encoder: StoredEncoder, may_retry: bool) -> _Held:
        generation = get_generation(connection)
        recorded = recorded_file(connection, encoder.id)
        name = recorded.name if recorded else None
        with self._lock:
            held = self._held.get(encoder.id)
            if held is None or held.base.generation > generation or (name is not None and held.name != name):
                held = self._open(connection, encoder, recorded, generation, may_retry)
            held = self._caught_up(connection, encoder, held, generation)
            self._held[encoder.id] = held
            return held

    def _open(
        self,
        connection: Connection,
        encoder: StoredEncoder,
        recorded: IndexFile | None,
        generation: int,
        may_retry: bool,
    ) -> _Held:
        name = recorded.name if recorded else None
        base: Base | None = None
        if recorded is not None and recorded.images >= self._faiss_from:
            try:
                base = open_index(self._library, recorded, encoder.card.dimension)
            except IndexUnusable as problem:
                superseded = problem.missing and recorded != recorded_file_now(self._library, encoder.id)
                if superseded and may_retry:
                    raise
                if not superseded:
                    self._warn(recorded.name, problem.reason)
        base = base or self._from_catalog(connection, encoder, generation)
        return _Held(base, name, _nothing_since(encoder))

    def _warn(self, name: str, reason: str) -> None:
        self.warnings.append(
            f"{name}: {reason}; searched the catalog instead. `sightline verify` writes it anew"
        )

    def _from_catalog(self, connection: Connection, encoder: StoredEncoder, generation: int) -> Base:
        rows = stream_vectors(connection, encoder)
        if count_vectors(connection, encoder.id) >= self._faiss_from:
            return memory_index(encoder.card.dimension, rows, generation)
        ids, vectors = _collected(list(rows), encoder)
        return MatrixBase(ids, vectors, generation)

    def _caught_up(
        self, connection: Connection, encoder: StoredEncoder, held: _Held, generation: int
    ) -> _Held:
        if held.base.generation == generation:
            return _Held(held.base, held.name, _nothing_since(encoder))
        if held.since.generation == generation:
            return held
        if count_changed(connection, encoder.id, held.base.generation) > CATCH_UP_MAX:
            base = self._from_catalog(connection, encoder, generation)
            return _Held(base, held.name, _nothing_since(encoder))
        ids, vectors = _collected(
            list(stream_vectors(connection, encoder, after_generation=held.base.generation)), encoder
        )
        gone = dropped_since(connection, encoder.id, held.base.generation)
        return _Held(held.base, held.name, _Since(generation, np.union1d(ids, gone), ids, vectors))


def recorded_file(connection: Connection, encoder_id: int) -> IndexFile | None:
    """Give what the catalog records of an encoder's FAISS file."""
    question = "SELECT name, generation, images, byte_size, mtime_ns, sha256 FROM index_file"
    row = connection.execute(f"{question} WHERE encoder_id = ?", (encoder_id,)).fetchone()
    return None if row is None else IndexFile(*row)


def recorded_file_now(library: Path, encoder_id: int) -> IndexFile | None:
    """Give what is recorded at this moment, whatever a snapshot in use sees."""
    with closing(connect_to_read(library)) as connection:
        return recorded_file(connection, encoder_id)


def ranked(query: NDArray[np.float32], ids: Ids, vectors: Vectors, k: int) -> list[Neighbour]:
    """Rank by score, then id; a score is the float64 sum rounded to float32, hence the same on any path."""
    scores = exact_scores(query, vectors)
    order = np.lexsort((ids, -scores))[:k]
    return [Neighbour(int(ids[at]), float(scores[at])) for at in order]


def exact_scores(query: NDArray[np.float32], vectors: Vectors) -> NDArray[np.float32]:
    """Give the scalar products; in portions, since float64 takes twice the room."""
    wide = query.astype(np.float64)
    scores = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), 4096):
        scores[start : start + 4096] = vectors[start : start + 4096].astype(np.float64) @ wide
    return scores


def _proposals(base: Base, query: NDArray[np.float32], k: int, allowed: Ids | None, excluded: Ids) -> Ids:
    """Give ids that surely contain the k best: enough to pass the k-th score by more than rounding."""
    if base.images == 0 or k < 1:
        return np.empty(0, np.int64)
    margin = 2 * _ROUNDING * max(1.0, float(np.linalg.norm(query)))
    asked = k + 32
    while True:
        asked = min(asked, base.images)
        scores, ids = base.search(query[None], asked, allowed, excluded)
        enough = asked == base.images or ids[0, -1] < 0 or scores[0, -1] < scores[0, k - 1] - margin
        if enough:
            return np.asarray(ids[0][ids[0] >= 0])
        asked *= 4


def _collected(rows: list[tuple[Ids, bytes]], encoder: StoredEncoder) -> tuple[Ids, Vectors]:
    ids = np.concatenate([np.empty(0, np.int64), *(some for some, _ in rows)])
    return ids, as_vectors(b"".join(codes for _, codes in rows), encoder.card.dimension)


def _nothing_since(encoder: StoredEncoder) -> _Since:
    none = np.empty(0, np.int64)
    return _Since(-1, none, none, np.empty((0, encoder.card.dimension), np.float32))
