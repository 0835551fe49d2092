"""Proposing: a library's candidates; each search lets go of what it read before the next one begins."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from indexer.records import Ids
from indexer.store.reader import LibraryReader

from .candidates import (
    CROWD_RATIO,
    SCENE_CROWD_RATIO,
    Candidates,
    Told,
    equal_pairs,
    hash_pairs,
    vector_pairs,
)
from .feature_pairs import feature_pairs, may_share
from .records import Level
from .spool import gather

BY_VECTORS = "comparing vectors"
Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much


def find_candidates(
    reader: LibraryReader,
    level: Level,
    *,
    turned: bool = False,
    doubtful: bool = False,
    asking: Ids | None = None,
    progress: Progress = lambda *_: None,
) -> Candidates:
    """Give the pairs of contents worth a look, in order; raises DiskFull.

    turned: mirrored and rotated copies too; doubtful: also what near vectors alone speak for; asking: the
    contents that are compared with all; None: all.
    """
    doubtful = doubtful or level is Level.SIMILAR

    def proposed() -> Iterator[Candidates]:
        searches: dict[str, Callable[[Told], Iterator[Candidates]]] = {
            "comparing hashes": lambda told: _by_hashes(reader, turned, asking, told),
            "comparing pixels": lambda _: _by_pixels(reader, asking),
            "comparing marks": lambda told: _by_marks(reader, turned, asking, told),
            BY_VECTORS: lambda told: _by_vectors(reader, level, asking, told),
        }
        for what, search in searches.items():
            progress(what, 0, 0)
            for part in search(partial(progress, what)):
                alone = what == BY_VECTORS and not doubtful
                yield _sharing_marks(reader, part, turned) if alone else part

    return gather(proposed())


def _by_hashes(reader: LibraryReader, turned: bool, asking: Ids | None, told: Told) -> Iterator[Candidates]:
    ids, hashes, quality = reader.fingerprints()
    for part in hash_pairs(hashes, quality, turned=turned, asking=_rows_in(ids, asking), told=told):
        yield _named(part, ids)


def _by_pixels(reader: LibraryReader, asking: Ids | None) -> Iterator[Candidates]:
    ids, hashes = reader.pixel_hashes()
    for part in equal_pairs(hashes, asking=_rows_in(ids, asking)):
        yield _named(part, ids)


def _by_marks(reader: LibraryReader, turned: bool, asking: Ids | None, told: Told) -> Iterator[Candidates]:
    ids, counts, marks = reader.local_features()
    for part in feature_pairs(counts, marks, turned=turned, asking=_rows_in(ids, asking), told=told):
        yield _named(part, ids)


def _by_vectors(reader: LibraryReader, level: Level, asking: Ids | None, told: Told) -> Iterator[Candidates]:
    ids, vectors = reader.embeddings(reader.default_encoder())
    ratio = SCENE_CROWD_RATIO if level is Level.SIMILAR else CROWD_RATIO
    for part in vector_pairs(vectors, ratio=ratio, asking=_rows_in(ids, asking), told=told):
        yield _named(part, ids)


def _sharing_marks(reader: LibraryReader, part: Candidates, turned: bool) -> Candidates:
    """Leave out pairs that marks say are no copies: a look at the pictures costs a thousand times as much."""
    marks = reader.features_of(np.unique(np.concatenate([part.first, part.second])).tolist())
    pairs = zip(part.first.tolist(), part.second.tolist(), strict=True)
    shared = (
        a not in marks or b not in marks or may_share(marks[a], marks[b], turned=turned) for a, b in pairs
    )
    return part.chosen(np.fromiter(shared, np.bool_, len(part)))


def _rows_in(ids: Ids, wanted: Ids | None) -> Ids | None:
    """Give the rows of those of the wanted ids that are among these sorted ones; None stands for all."""
    return None if wanted is None else np.searchsorted(ids, wanted[np.isin(wanted, ids)])


def _named(part: Candidates, ids: Ids) -> Candidates:
    """Name the contents of candidates that are rows of these."""
    return replace(part, first=ids[part.first], second=ids[part.second])
