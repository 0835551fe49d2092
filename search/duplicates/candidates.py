"""Candidates: pairs of images that may be copies, from hashes and vectors, without looking at pixels.

Never all pairs in memory: each goes through a FAISS index, block by block. `asking` is which rows are
compared with all: only the new ones, when the others have been compared with each other before.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.records import Vectors

HASH_BITS = 256
HASH_QUALITY_SURE = 50  # PDQ's own advice: below, a hash says little
# A photo that was blurred or is very small falls below. Three quarters of PDQ's customary distance and a look
# at the pixels make up for it: no such pair is among 102,106 real pictures, and 98 of 98 among 17,427 of a
# test set are of one photo.
HASH_QUALITY_MIN = 30
UNSURE_DISTANCE_MAX = 24  # of 256 bits
# Of 256 bits. PDQ's customary limit is 31, for those who do not look at the pictures; between 32 and 47 lie
# edited and very small copies, those whose turned hash is worked out from the bits alone, and few strangers.
HASH_DISTANCE_MAX = 47
HASH_NEIGHBOURS_MAX = 100  # per image and turn
EQUAL_NEIGHBOURS = 100  # per image, to each side
MULTI_HASH_FROM = 300_000  # images; below, looking at all hashes is as quick
HASH_PARTS = 11  # of 23 bits: among a million hashes five times as quick as 16 of 16, and six times as all
HASH_PART_FLIPS = 2  # in one part at least no more bits differ, up to 32 bits in all, and mostly up to 47
BLOCK = 1024  # queries at once
NEIGHBOURS = 64  # per image
CROWD_RANKS = slice(40, 65)  # of the neighbours: strangers, since few pictures have so many copies
CROWD_RATIO = 0.3  # of distances, for copies: marks find most, and a false candidate costs a look
SCENE_CROWD_RATIO = 0.57  # for the same scene; about one false candidate an image
ASKING_SLACK = 1.3  # by which the other's crowd may make up for what a row's own lacks
VECTOR_PROBES = 16
# Vectors; above, lists find 99.98 % of the pairs in a quarter of the time (docs/decisions.md).
FLAT_UNTIL = 50_000
CROWD_FROM_IMAGES = 500
SMALL_NEIGHBOURS = 8  # per image, in libraries smaller than that

Hashes = NDArray[np.uint8]  # (n, 32), PDQ's 256 bits
Asking = NDArray[np.int64] | None  # rows; None: all
Told = Callable[[int, int], None]  # how much is done, of how much


@dataclass(frozen=True, slots=True)
class Turn:
    """One of the eight ways a picture can lie: mirrored (or not) first, then quarters to the left."""

    mirrored: bool
    quarters: int


TURNS = tuple(Turn(mirrored, quarters) for mirrored in (False, True) for quarters in range(4))


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs worth a look at their pixels, as rows of what was asked about or as contents; first < second."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    hash_distance: NDArray[np.int16]  # bits; -1 where the hashes did not propose the pair
    turn: NDArray[np.int8]  # index into TURNS that brings the second's hash nearest to the first's
    cosine: NDArray[np.float32]  # nan where the vectors did not
    # How far apart the vectors are, 1 being as far as from strangers near them; nan where that is not known.
    nearness: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.first)

    def chosen(self, rows: NDArray[np.bool_] | slice) -> "Candidates":
        """Give some of them."""
        return Candidates(*(getattr(self, name)[rows] for name in Candidates.__slots__))

    def row_of(self, first: int, second: int) -> int:
        """Look a pair up in what is in order, as `merged` gives it; raises KeyError."""
        begin, end = np.searchsorted(self.first, [first, first + 1])
        row = int(begin + np.searchsorted(self.second[begin:end], second))
        if row == end or self.second[row] != second:
            raise KeyError((first, second))
        return row


def equal_pairs(hashes: Hashes, *, asking: Asking = None) -> Iterator[Candidates]:
    """Yield the pairs of rows with the same hash; of very many equal ones each with those next to it."""
    order = np.lexsort(hashes.T[::-1])
    same = (hashes[order[1:]] == hashes[order[:-1]]).all(axis=1)
    run = np.cumsum(np.r_[True, ~same]) if len(order) else np.empty(0, np.int64)
    for step in range(1, min(EQUAL_NEIGHBOURS, len(order) - 1) + 1):
        nth = np.flatnonzero(run[step:] == run[:-step])
        if not len(nth):
            return
        one, other = order[nth], order[nth + step]
        if asking is not None:
            wanted = np.isin(one, asking) | np.isin(other, asking)
            one, other = one[wanted], other[wanted]
        yield unmeasured(np.minimum(one, other), np.maximum(one, other))


def hash_pairs(
    hashes: Hashes,
    quality: NDArray[np.int64],
    *,
    turned: bool,
    asking: Asking = None,
    told: Told = lambda *_: None,
) -> Iterator[Candidates]:
    """Yield the pairs of rows whose PDQ hashes are near.

    turned: also when one is mirrored or turned by quarters. Hashes of very low quality take no part.
    """
    rows = np.flatnonzero(quality >= HASH_QUALITY_MIN)
    if len(rows) < 2:
        return
    index = _binary_index(hashes[rows])
    queried = rows if asking is None else np.intersect1d(rows, asking)
    turns = TURNS if turned else TURNS[:1]
    for turn_number, turn in enumerate(turns):
        for start in range(0, len(queried), BLOCK):
            block = queried[start : start + BLOCK]
            queries = hashes[block] if turn == TURNS[0] else turn_hashes(hashes[block], turn)
            lims, distances, found = index.range_search(queries, HASH_DISTANCE_MAX + 1)  # FAISS means "below"
            asked = np.repeat(np.arange(len(block)), np.diff(lims.astype(np.int64)))
            asked, other = block[asked], rows[found]
            sure = np.minimum(quality[asked], quality[other]) >= HASH_QUALITY_SURE
            said = np.flatnonzero(sure | (distances <= UNSURE_DISTANCE_MAX))
            near = said[nearest_of_each(asked[said], distances[said], HASH_NEIGHBOURS_MAX)]
            yield _hash_candidates(asked[near], other[near], distances[near], turn_number)
            told(turn_number * len(queried) + start + len(block), len(turns) * len(queried))


def nearest_of_each(asked: NDArray[np.int64], distances: NDArray[np.float32], most: int) -> NDArray[np.int64]:
    """Give the rows of the nearest few of each that asked; (n,) numbers in rising order, their distances.

    Ten thousand frames of a camera that stands still would make fifty million pairs.
    """
    if len(asked) <= most:
        return np.arange(len(asked))
    order = np.lexsort((distances, asked))
    starts = np.searchsorted(asked[order], asked[order])
    return np.asarray(order[np.arange(len(order)) - starts < most], np.int64)


def _binary_index(hashes: Hashes) -> Any:
    import faiss

    index: Any = faiss.IndexBinaryFlat(HASH_BITS)
    if len(hashes) >= MULTI_HASH_FROM:
        index = faiss.IndexBinaryMultiHash(HASH_BITS, HASH_PARTS, HASH_BITS // HASH_PARTS)
        index.nflip = HASH_PART_FLIPS
    index.add(np.ascontiguousarray(hashes))
    return index


def _hash_candidates(
    asking: NDArray[np.int64], found: NDArray[np.int64], distances: NDArray[np.float32], turn: int
) -> Candidates:
    pair = asking != found
    first, second = np.minimum(asking, found)[pair], np.maximum(asking, found)[pair]
    # A turn found from the second's side is its inverse from the first's; only rotations differ from theirs.
    inverse = np.where(asking[pair] < found[pair], _inverse(turn), turn)
    return replace(
        unmeasured(first, second),
        hash_distance=distances[pair].astype(np.int16),
        turn=inverse.astype(np.int8),
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


def unmeasured(first: NDArray[np.int64], second: NDArray[np.int64]) -> Candidates:
    """Make candidates of pairs of which no more is known."""
    count = len(first)
    none, turn = np.full(count, -1, np.int16), np.zeros(count, np.int8)
    unknown = np.full(count, np.nan, np.float32)
    return Candidates(first, second, none, turn, unknown, unknown)


def vector_pairs(
    vectors: Vectors, *, ratio: float = CROWD_RATIO, asking: Asking = None, told: Told = lambda *_: None
) -> Iterator[Candidates]:
    """Yield the pairs of rows that are much nearer to each other than either is to its own crowd.

    A cosine means little by itself: motorcycles on white ground are all near to one another. So the distance
    1 - cosine is compared with that of both rows to strangers near them (score normalisation, which the image
    similarity challenge has found to help most: Douze et al. 2021, arXiv 2106.09672); as a ratio it is the
    same for every encoder. A small library has no crowds: there every row's nearest few are looked at.
    """
    if len(vectors) < 2:
        return
    vectors = np.ascontiguousarray(vectors, np.float32)
    index = _vector_index(vectors)
    queried = np.arange(len(vectors)) if asking is None else asking
    if len(vectors) < CROWD_FROM_IMAGES:
        for rows in _blocks(queried):
            yield _ordered(rows, *_nearest(index, vectors[rows], SMALL_NEIGHBOURS + 1))
        return
    crowds = np.full(len(vectors), np.nan, np.float32)
    kept = []
    for nth, rows in enumerate(_blocks(queried)):
        kept.append(_nearer_than_crowd(index, vectors, rows, crowds, ratio))
        told(nth * BLOCK + len(rows), len(queried))
    unknown = [np.unique(part.second[np.isnan(crowds[part.second])]) for part in kept]
    for rows in _blocks(np.unique(np.concatenate([np.empty(0, np.int64), *unknown]))):
        crowds[rows] = _crowd(_nearest(index, vectors[rows], NEIGHBOURS + 1)[0])
    for part in kept:
        nearness = (1 - part.cosine) / np.sqrt(crowds[part.first] * crowds[part.second])
        near = nearness <= ratio
        found = _ordered(part.first[near, None], part.cosine[near, None], part.second[near, None])
        yield replace(found, nearness=nearness[near].astype(np.float32))


def _blocks(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    return (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))


def _nearer_than_crowd(
    index: Any, vectors: Vectors, rows: NDArray[np.int64], crowds: NDArray[np.float32], ratio: float
) -> Candidates:
    """Note the crowds of these rows; give what is near by them alone, from asking (first) to found (second).

    The bar on both crowds is passed from the side of the larger one, give or take.
    """
    scores, found = _nearest(index, vectors[rows], NEIGHBOURS + 1)
    crowds[rows] = _crowd(scores)
    near = (1 - scores <= ASKING_SLACK * ratio * crowds[rows, None]) & (found != rows[:, None]) & (found >= 0)
    asked, nth = np.nonzero(near)
    part = unmeasured(rows[asked], found[asked, nth])
    return replace(part, cosine=scores[asked, nth])


def _crowd(scores: Vectors) -> NDArray[np.float32]:
    """Give the distance 1 - cosine to strangers near a row, from its sorted neighbours' cosines."""
    return np.asarray(np.maximum(1 - scores[:, CROWD_RANKS].mean(axis=1), 1e-6), np.float32)


def _ordered(asking: NDArray[np.int64], scores: Vectors, found: NDArray[np.int64]) -> Candidates:
    """Make pairs of the (n, k) rows found for (n,) or (n, 1) asking ones."""
    asked = asking.reshape(-1, 1).repeat(found.shape[1], axis=1)
    pair = (found != asked) & (found >= 0)
    first, second = np.minimum(asked, found)[pair], np.maximum(asked, found)[pair]
    return replace(unmeasured(first, second), cosine=scores[pair])


def _vector_index(vectors: Vectors) -> Any:
    return _on_gpu(_index_of(vectors))


def _on_gpu(index: Any) -> Any:
    """Move an index to the GPUs, when there are any that it fits on."""
    import faiss

    if not faiss.get_num_gpus():
        return index
    try:
        return faiss.index_cpu_to_all_gpus(index)
    except RuntimeError:  # the only kind FAISS raises: their memory is too small, or taken
        return index


def _index_of(vectors: Vectors) -> Any:
    import faiss

    flat: Any = faiss.IndexFlatIP(vectors.shape[1])
    if len(vectors) <= FLAT_UNTIL:
        flat.add(vectors)
        return flat
    lists = int(2 * np.sqrt(len(vectors)))
    index: Any = faiss.IndexIVFFlat(flat, vectors.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
    sample = np.random.default_rng(0).choice(len(vectors), min(len(vectors), 40 * lists), replace=False)
    index.train(vectors[np.sort(sample)])
    index.add(vectors)
    index.nprobe = VECTOR_PROBES
    return index


def _nearest(index: Any, vectors: Vectors, k: int) -> tuple[Vectors, NDArray[np.int64]]:
    """Give each vector's k nearest, itself among them: falling cosines, and rows, -1 where there are none."""
    scores, found = index.search(vectors, min(k, index.ntotal))
    return np.asarray(scores, np.float32), np.asarray(found, np.int64)


def merged(parts: Sequence[Candidates]) -> Candidates:
    """Join candidates, each pair once, with the nearest hash distance and the cosine that any part knows."""
    first = np.concatenate([np.empty(0, np.int64), *(part.first for part in parts)])
    second = np.concatenate([np.empty(0, np.int64), *(part.second for part in parts)])
    distance = np.concatenate([np.empty(0, np.int16), *(part.hash_distance for part in parts)])
    turn = np.concatenate([np.empty(0, np.int8), *(part.turn for part in parts)])
    cosine = np.concatenate([np.empty(0, np.float32), *(part.cosine for part in parts)])
    nearness = np.concatenate([np.empty(0, np.float32), *(part.nearness for part in parts)])
    if not len(first):
        return Candidates(first, second, distance, turn, cosine, nearness)
    order = np.lexsort((np.where(distance < 0, HASH_BITS, distance), second, first))
    first, second, cosine, nearness = first[order], second[order], cosine[order], nearness[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(first) != 0) | (np.diff(second) != 0)])
    return Candidates(
        first[starts],
        second[starts],
        distance[order][starts],
        turn[order][starts],
        np.asarray(np.fmax.reduceat(cosine, starts), np.float32),
        np.asarray(np.fmin.reduceat(nearness, starts), np.float32),
    )
