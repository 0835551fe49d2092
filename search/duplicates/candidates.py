"""Candidates: pairs of images that may be copies, from hashes and vectors, without looking at pixels.

Never all pairs in memory: hashes go through a binary FAISS index, vectors through a flat one, block by block.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.records import Vectors

HASH_BITS = 256
HASH_QUALITY_MIN = 50  # PDQ's own advice: below, a hash says little
HASH_DISTANCE_MAX = 31  # of 256 bits, PDQ's customary limit
TURNED_DISTANCE_MAX = 47  # a turned hash is worked out from the bits alone, which costs a few
MULTI_HASH_FROM = 300_000  # images; below, looking at all hashes is as quick (measured: technique page, D)
BLOCK = 1024  # queries at once
NEIGHBOURS = 64  # per image
CROWD_RANKS = slice(40, 65)  # of the neighbours: strangers, since few pictures have so many copies
CROWD_RATIO = 0.57  # of distances; about one false candidate an image (benchmarks/duplicates_quality.py)
CROWD_FROM_IMAGES = 500
SMALL_NEIGHBOURS = 8  # per image, in libraries smaller than that

Hashes = NDArray[np.uint8]  # (n, 32), PDQ's 256 bits


@dataclass(frozen=True, slots=True)
class Turn:
    """One of the eight ways a picture can lie: mirrored (or not) first, then quarters to the left."""

    mirrored: bool
    quarters: int


TURNS = tuple(Turn(mirrored, quarters) for mirrored in (False, True) for quarters in range(4))


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs worth a look at their pixels, as rows of what was asked about; first < second in each."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    hash_distance: NDArray[np.int16]  # bits; -1 where the hashes did not propose the pair
    turn: NDArray[np.int8]  # index into TURNS that brings the second's hash nearest to the first's
    cosine: NDArray[np.float32]  # nan where the vectors did not

    def __len__(self) -> int:
        return len(self.first)


def hash_pairs(hashes: Hashes, quality: NDArray[np.int64], *, turned: bool) -> Iterator[Candidates]:
    """Yield the pairs of rows whose PDQ hashes are near.

    turned: also when one is mirrored or turned by quarters. Hashes of low quality take no part.
    """
    rows = np.flatnonzero(quality >= HASH_QUALITY_MIN)
    if len(rows) < 2:
        return
    index = _binary_index(hashes[rows])
    for turn_number, turn in enumerate(TURNS if turned else TURNS[:1]):
        limit = HASH_DISTANCE_MAX if turn == TURNS[0] else TURNED_DISTANCE_MAX
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            queries = hashes[block] if turn == TURNS[0] else turn_hashes(hashes[block], turn)
            lims, distances, found = index.range_search(queries, limit + 1)  # FAISS means "below"
            asking = np.repeat(block, np.diff(lims.astype(np.int64)))
            yield _hash_candidates(asking, rows[found], distances, turn_number)


def _binary_index(hashes: Hashes) -> Any:
    import faiss

    index: Any = faiss.IndexBinaryFlat(HASH_BITS)
    if len(hashes) >= MULTI_HASH_FROM:
        index = faiss.IndexBinaryMultiHash(HASH_BITS, 16, 16)
        index.nflip = HASH_DISTANCE_MAX // 16
    index.add(np.ascontiguousarray(hashes))
    return index


def _hash_candidates(
    asking: NDArray[np.int64], found: NDArray[np.int64], distances: NDArray[np.float32], turn: int
) -> Candidates:
    pair = asking != found
    first, second = np.minimum(asking, found)[pair], np.maximum(asking, found)[pair]
    # A turn found from the second's side is its inverse from the first's; only rotations differ from theirs.
    inverse = np.where(asking[pair] < found[pair], _inverse(turn), turn)
    count = len(first)
    return Candidates(
        first,
        second,
        distances[pair].astype(np.int16),
        inverse.astype(np.int8),
        np.full(count, np.nan, np.float32),
    )


def _inverse(turn: int) -> int:
    mirrored, quarters = TURNS[turn].mirrored, TURNS[turn].quarters
    return TURNS.index(Turn(mirrored, quarters if mirrored else -quarters % 4))


def turn_hashes(hashes: Hashes, turn: Turn) -> Hashes:
    """Work out the PDQ hashes of the mirrored or turned pictures, to a few bits, from theirs.

    A bit says whether a cosine wave has more than the median share, which is near zero: mirroring changes the
    sign of the waves with an odd number of half periods in that direction, transposing swaps directions.
    """
    bits = np.unpackbits(hashes, axis=1)[:, ::-1].reshape(-1, 16, 16)  # vertical, horizontal wave number
    if turn.mirrored:
        bits = bits ^ _odd_waves()[None, None, :]
    for _ in range(turn.quarters):  # a quarter to the left: transpose, then upside down
        bits = bits.transpose(0, 2, 1) ^ _odd_waves()[None, :, None]
    return np.packbits(bits.reshape(len(hashes), 256)[:, ::-1], axis=1)


@cache
def _odd_waves() -> NDArray[np.uint8]:
    return (np.arange(1, 17) % 2).astype(np.uint8)


def vector_pairs(vectors: Vectors) -> Iterator[Candidates]:
    """Yield the pairs of rows that are much nearer to each other than either is to its own crowd.

    A cosine means little by itself: motorcycles on white ground are all near to one another. So the distance
    1 - cosine is compared with that of both rows to strangers near them (score normalisation, which the image
    similarity challenge has found to help most: Douze et al. 2021, arXiv 2106.09672); as a ratio it is the
    same for every encoder. A small library has no crowds: there every row's nearest few are looked at.
    """
    if len(vectors) < 2:
        return
    small = len(vectors) < CROWD_FROM_IMAGES
    scores, found = _nearest(vectors, SMALL_NEIGHBOURS if small else NEIGHBOURS)
    crowd = None if small else np.sqrt(np.maximum(1 - scores[:, CROWD_RANKS].mean(axis=1), 1e-6))
    for start in range(0, len(vectors), BLOCK):
        rows = slice(start, start + BLOCK)
        asking = np.arange(len(vectors))[rows, None].repeat(found.shape[1], axis=1)
        pair = (found[rows] != asking) & (found[rows] >= 0)
        if crowd is not None:
            pair &= 1 - scores[rows] <= CROWD_RATIO * crowd[rows, None] * crowd[found[rows]]
        first, second = np.minimum(asking, found[rows])[pair], np.maximum(asking, found[rows])[pair]
        none = np.full(len(first), -1, np.int16)
        yield Candidates(first, second, none, np.zeros(len(first), np.int8), scores[rows][pair])


def _nearest(vectors: Vectors, k: int) -> tuple[Vectors, NDArray[np.int64]]:
    """Give each row's k nearest besides itself, nearest first: cosines and rows."""
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors, np.float32))
    k = min(k + 1, len(vectors))
    scores = np.empty((len(vectors), k), np.float32)
    found = np.empty((len(vectors), k), np.int64)
    for start in range(0, len(vectors), BLOCK):
        block = np.ascontiguousarray(vectors[start : start + BLOCK], np.float32)
        scores[start : start + BLOCK], found[start : start + BLOCK] = index.search(block, k)
    return scores, found


def merged(parts: Sequence[Candidates]) -> Candidates:
    """Join candidates, each pair once, with the nearest hash distance and the cosine that any part knows."""
    first = np.concatenate([np.empty(0, np.int64), *(part.first for part in parts)])
    second = np.concatenate([np.empty(0, np.int64), *(part.second for part in parts)])
    distance = np.concatenate([np.empty(0, np.int16), *(part.hash_distance for part in parts)])
    turn = np.concatenate([np.empty(0, np.int8), *(part.turn for part in parts)])
    cosine = np.concatenate([np.empty(0, np.float32), *(part.cosine for part in parts)])
    if not len(first):
        return Candidates(first, second, distance, turn, cosine)
    order = np.lexsort((np.where(distance < 0, HASH_BITS, distance), second, first))
    first, second, cosine = first[order], second[order], cosine[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(first) != 0) | (np.diff(second) != 0)])
    return Candidates(
        first[starts],
        second[starts],
        distance[order][starts],
        turn[order][starts],
        np.asarray(np.fmax.reduceat(cosine, starts), np.float32),
    )
