"""Feature pairs: images of which one shows part of the other, found by their local features alone.

Each mark of a picture votes for the pictures of its nearest marks; votes count together when they agree on
how the one is turned and scaled in the other (weak geometric consistency: Jégou, Douze, Schmid 2008, Hamming
embedding and weak geometric consistency, ECCV). What has been done around the common part does not matter.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.features import SIZE_STEPS, Features, mirrored

from .candidates import Asking, Candidates, Told, nearest_of_each, unmeasured
from .hash_join import Codes, Rows, near_rows

NEIGHBOURS = 32  # per mark
DISTANCES_MAX = ((1_000_000, 14), (3_000_000, 12))  # up to so many marks: bits of 128 that may differ
DISTANCE_MAX_BEYOND = 10  # chance finds more neighbours the more there are
VOTES_MIN = 5  # marks that agree (benchmarks/duplicates_quality.py --candidates-only tells what it lets by)
ANGLE_BINS = 12  # of 30 degrees, twice, half a bin apart
SCALE_BINS = 32  # of a doubling
MIRRORED_AT_ONCE = 1_000_000
# What vectors alone propose is worth a look when so many marks are that near, where both have enough of them:
# of 23,478 such pairs of one photo 0.4 % have fewer, of 2,235 of two photos 71 % (docs/decisions.md).
SHARED_MIN = 4
SHARED_DISTANCE_MAX = 20  # bits of 128: between two pictures chance has little room
SHARED_FROM = 12  # marks
MIRRORED_SHARED = 2  # times as many: 853 of 944 mirrored pairs of that set, and none of 22,053 others


def feature_pairs(
    counts: NDArray[np.int64],
    marks: Features,
    *,
    turned: bool,
    asking: Asking = None,
    told: Told = lambda *_: None,
) -> Iterator[Candidates]:
    """Yield the pairs of rows of which one shows part of the other.

    counts: how many of the marks each row has, in their order. Turned pictures need no search of their own;
    mirrored ones do, and are looked for when `turned`. Raises OSError when the disk is full.
    """
    owner = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    voting = _Voting(marks, owner, len(counts))
    for first, second in near_rows(_codes(marks, owner, turned=turned, asking=asking), told=told):
        yield voting.candidates(first, second)


def may_share(first: Features, second: Features, *, turned: bool) -> bool:
    """Tell whether two pictures have marks in common, or too few to tell.

    turned: when the one is mirrored, too; else not where it has twice as many in common then.
    """
    if min(len(first), len(second)) < SHARED_FROM:
        return True
    straight = _shared(first, second)
    if turned:
        return straight >= SHARED_MIN or _shared(mirrored(first), second) >= SHARED_MIN
    return straight >= SHARED_MIN and _shared(mirrored(first), second) < MIRRORED_SHARED * straight


def _shared(first: Features, second: Features) -> int:
    one, other = (np.ascontiguousarray(marks["code"]).view(np.uint64).T for marks in (first, second))
    distances = np.bitwise_count(one[0][:, None] ^ other[0]) + np.bitwise_count(one[1][:, None] ^ other[1])
    return int((distances.min(axis=1) <= SHARED_DISTANCE_MAX).sum())


def _codes(marks: Features, owner: NDArray[np.int32], *, turned: bool, asking: Asking) -> Codes:
    """Give the codes to be joined: those of all marks, and behind them those of their mirror images."""
    parts = [np.ascontiguousarray(marks["code"])]
    if turned:
        parts += [
            np.ascontiguousarray(mirrored(marks[start : start + MIRRORED_AT_ONCE])["code"])
            for start in range(0, len(marks), MIRRORED_AT_ONCE)
        ]
    copies = 2 if turned else 1
    words = np.concatenate(parts).view(np.uint64)
    asks = None if asking is None else np.tile(np.isin(owner, asking), copies)
    if asks is not None and asks.all():
        asks = None  # a first search
    return Codes(words, np.tile(owner, copies), _distance_max(len(marks)), len(marks), asks)


def _distance_max(marks: int) -> int:
    return next((bits for until, bits in DISTANCES_MAX if marks <= until), DISTANCE_MAX_BEYOND)


@dataclass(frozen=True)
class _Voting:
    """All marks, and the pictures they are in."""

    marks: Features
    owner: NDArray[np.int32]
    images: int

    def candidates(self, first: Rows, second: Rows) -> Candidates:
        """Let marks that are near each other vote for their pictures; mirrored ones come behind all."""
        straight = second < len(self.marks)
        voted = [np.empty(0, np.int64)]
        if straight.any():
            voted.append(self._voted(self.marks[second[straight]], first[straight], second[straight]))
        if not straight.all():
            second = second[~straight] - len(self.marks)
            voted.append(self._voted(mirrored(self.marks[second]), first[~straight], second))
        one, two = np.divmod(np.concatenate(voted), self.images)
        return unmeasured(np.minimum(one, two), np.maximum(one, two))

    def _voted(self, seen: Features, first: Rows, second: Rows) -> Rows:
        """Give the pairs of pictures with enough votes, as numbers; seen: the second marks."""
        found = self.marks[first]
        pairs = self.owner[second].astype(np.int64) * self.images + self.owner[first]
        near = _often(pairs)
        if np.bincount(first[near] - first[0]).max(initial=0) > NEIGHBOURS:
            distances = np.bitwise_count(seen["code"][near] ^ found["code"][near]).sum(axis=1)
            near = near[nearest_of_each(first[near], distances.astype(np.float32), NEIGHBOURS)]
        voted, votes = _count_votes(pairs[near], seen[near], found[near])
        return voted[votes >= VOTES_MIN]


def _often(pairs: Rows) -> Rows:
    """Give the places of the pairs that are there often enough to be voted for; most are there by chance."""
    order = np.argsort(pairs)
    starts = np.flatnonzero(np.r_[True, np.diff(pairs[order]) != 0][: len(pairs)])
    times = np.diff(np.r_[starts, len(pairs)])
    return np.sort(order[np.repeat(times >= VOTES_MIN, times)])


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
