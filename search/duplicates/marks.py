"""Marks: pairs of images of which one shows part of the other, found by their local features alone.

Each mark of a picture votes for the pictures of its nearest marks; votes count together when they agree on
how the one is turned and scaled in the other (weak geometric consistency: Jégou, Douze, Schmid 2008, Hamming
embedding and weak geometric consistency, ECCV). What has been done around the common part does not matter.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.features import CODE_BITS, SIZE_STEPS, Features, mirrored

from .candidates import Asking, Candidates, nearest_of_each, unmeasured

NEIGHBOURS = 32  # per mark
DISTANCES_MAX = ((1_000_000, 14), (3_000_000, 12))  # up to so many marks: bits of 128 that may differ
DISTANCE_MAX_BEYOND = 10  # chance finds more neighbours the more there are
VOTES_MIN = 5  # marks that agree (benchmarks/duplicates_quality.py --candidates-only tells what it lets by)
ANGLE_BINS = 12  # of 30 degrees, twice, half a bin apart
SCALE_BINS = 32  # of a doubling
EXACT_UNTIL = 50_000  # marks; above, only the nearest lists of an inverted file are searched
PROBES = 4  # of those lists
TRAINING_MARKS_MAX = 200_000
SAMPLED = 256  # of so many marks one
CROWD = 100  # neighbours on average
IMAGES_AT_ONCE = 512


def mark_pairs(
    counts: NDArray[np.int64], marks: Features, *, turned: bool, asking: Asking = None
) -> Iterator[Candidates]:
    """Yield the pairs of rows of which one shows part of the other.

    counts: how many of the marks each row has, in their order. Turned pictures need no search of their own;
    mirrored ones do, and are looked for when `turned`.
    """
    if len(marks) < 2:
        return
    owner = np.repeat(np.arange(len(counts)), counts)
    ends = np.cumsum(counts)
    index = _index(np.ascontiguousarray(marks["code"]))
    search = _Search(index, marks, owner, len(counts), _distance_max(len(marks)))
    queried = np.arange(len(counts)) if asking is None else asking
    for start in range(0, len(queried), IMAGES_AT_ONCE):
        images = queried[start : start + IMAGES_AT_ONCE]
        rows = np.concatenate([np.arange(ends[image] - counts[image], ends[image]) for image in images])
        for seen in (marks[rows], mirrored(marks[rows])) if turned else (marks[rows],):
            if len(rows):
                yield search.candidates(seen, owner[rows])


def _distance_max(marks: int) -> int:
    return next((bits for until, bits in DISTANCES_MAX if marks <= until), DISTANCE_MAX_BEYOND)


def _index(codes: NDArray[np.uint8]) -> Any:
    import faiss

    flat: Any = faiss.IndexBinaryFlat(CODE_BITS)
    if len(codes) <= EXACT_UNTIL:
        flat.add(codes)
        return flat
    lists = int(2 * np.sqrt(len(codes)))
    index: Any = faiss.IndexBinaryIVF(flat, CODE_BITS, lists)
    index.cp.niter = 5
    index.cp.min_points_per_centroid = 1  # fewer are enough here, and FAISS would print a warning
    sample = min(len(codes), 40 * lists, TRAINING_MARKS_MAX)
    index.train(codes[np.sort(np.random.default_rng(0).choice(len(codes), sample, replace=False))])
    index.add(codes)
    index.nprobe = PROBES
    index.own_fields = False
    index.referenced = flat  # FAISS does not keep what Python lets go
    return index


@dataclass(frozen=True)
class _Search:
    """All marks, and what finds those near to given ones."""

    index: Any
    marks: Features
    owner: NDArray[np.int64]  # the image of each mark
    images: int
    distance_max: int

    def candidates(self, seen: Features, seen_in: NDArray[np.int64]) -> Candidates:
        """Let the marks seen in some images vote for the images of their neighbours."""
        mine, theirs, distances = self._near(np.ascontiguousarray(seen["code"]))
        other = np.flatnonzero(seen_in[mine] != self.owner[theirs])
        other = other[nearest_of_each(mine[other], distances[other], NEIGHBOURS)]
        mine, theirs = mine[other], theirs[other]
        pairs = seen_in[mine] * self.images + self.owner[theirs]
        voted, votes = _count_votes(pairs, seen[mine], self.marks[theirs])
        one, two = np.divmod(voted[votes >= VOTES_MIN], self.images)
        return unmeasured(np.minimum(one, two), np.maximum(one, two))

    def _near(
        self, codes: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Give the rows of codes and of marks that are near each other, and by how many bits.

        All that are near are had sooner than the nearest few; but where a mark is on each of 100,000
        screenshots, they would fill the memory; a sample tells.
        """
        below = self.distance_max + 1
        lims, _, _ = self.index.range_search(np.ascontiguousarray(codes[::SAMPLED]), below)
        if lims[-1] <= CROWD * (len(lims) - 1):
            lims, distances, found = self.index.range_search(codes, below)
            return np.repeat(np.arange(len(codes)), np.diff(lims.astype(np.int64))), found, distances
        distances, found = self.index.search(codes, min(NEIGHBOURS, len(self.marks)))
        row, nth = np.nonzero((distances < below) & (found >= 0))
        return row, found[row, nth], distances[row, nth]


def _count_votes(
    pairs: NDArray[np.int64], seen: Features, found: Features
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the pairs voted for, each once, and the most votes of each that agree; one vote for each place.

    pairs: (n,) the pair of images of each two marks, as a number.
    """
    turn = (seen["angle"] - found["angle"]).astype(np.int64)  # uint8 wraps as angles do
    scale = np.rint((seen["size"].astype(np.int64) - found["size"]) / SIZE_STEPS).astype(np.int64)
    place = seen["x"].astype(np.int64) * 256 + seen["y"]
    known, number = np.unique(pairs, return_inverse=True)
    bins = [
        (turn + shift) % 256 * ANGLE_BINS // 256 + nth * ANGLE_BINS
        for nth, shift in enumerate((0, 128 // ANGLE_BINS))
    ]
    keys = np.concatenate(
        [(number * 2 * ANGLE_BINS + angle) * SCALE_BINS + scale + SCALE_BINS // 2 for angle in bins]
    )
    ballots = np.unique(keys * 65_536 + np.tile(place, 2)) // 65_536
    agreeing, votes = np.unique(ballots, return_counts=True)
    most = np.zeros(len(known), np.int64)
    np.maximum.at(most, agreeing // (2 * ANGLE_BINS * SCALE_BINS), votes)
    return known, most
