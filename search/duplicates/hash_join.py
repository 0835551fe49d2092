"""Hash join: all pairs of codes that differ in few bits, by sorting them instead of searching for each.

Codes that differ in few bits are equal in many a choice of their bits (bit sampling: Indyk and Motwani 1998,
Approximate nearest neighbors, STOC). For each of 32 choices the codes are sorted by the chosen bits, and
those next to each other are compared in full; before that, by all bits, for the equal ones. Forty-eight
million codes take minutes, where an index of lists that is asked for each of them takes an hour.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from indexer.workers import usable_cores

CODE_WORDS = 2  # of 64 bits
CHOICES = 32  # of bits, each other ones
BITS_BEYOND = 4  # more than would tell chance codes apart: those of real pictures crowd
WINDOW = 64  # each is compared with so many that follow it, at most
PAIRS_PER_ROW = 2  # found by one choice on average at most, where there are very many rows
PAIRS_MIN = 20_000_000  # found by one choice: so many are no crowd yet
ROWS_AT_ONCE = 1 << 18  # the codes of so many stay in the cache of a processor
PIECE_ROWS = 1 << 17
# Given out at once at most, but for one owner's: who takes them needs 100 bytes for each.
PIECE_PAIRS = 4_000_000
IN_MEMORY_MAX = 16_000_000  # pairs of 8 bytes; beyond, they go to temporary files

Words = NDArray[np.uint64]  # (n, CODE_WORDS)
Keys = NDArray[np.uint64]  # pairs: the smaller row in the upper half, the larger in the lower
Rows = NDArray[np.int64]

_LOWER = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
# Odd numbers without a pattern: multiplying by them spreads the chosen bits over the upper half.
_SPREAD = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)


@dataclass(frozen=True, slots=True)
class Codes:
    """What is joined."""

    words: Words
    owner: NDArray[np.int32]  # (n,) pairs of one owner are not wanted; rising up to `first_until`
    distance_max: int  # bits
    first_until: int  # rows from here on are paired with rows before it only, not with each other
    asking: NDArray[np.bool_] | None = None  # (n,) pairs without any of these are not wanted; None: all


def near_rows(
    codes: Codes, *, told: Callable[[int, int], None] = lambda *_: None
) -> Iterator[tuple[Rows, Rows]]:
    """Yield the pairs of rows found, each once, first < second, in the order of the first.

    All pairs whose first has one owner are in one piece. Pairs that differ in few bits are found nearly all,
    those at the bar mostly; in a crowd of equal codes each finds some of the others.
    """
    if len(codes.words) < 2:
        return
    with _Gathered() as gathered:
        with ThreadPoolExecutor(max_workers=usable_cores()) as pool:
            for nth, order in enumerate(_orders(codes, pool)):
                starts = range(0, len(order), ROWS_AT_ONCE)
                for found in pool.map(partial(_near_in_order, codes, order, equal=nth == 0), starts):
                    gathered.add(found)
                told(nth, CHOICES)
        yield from _pieces(gathered, codes)


def _orders(codes: Codes, pool: ThreadPoolExecutor) -> Iterator[Keys]:
    """Give the rows as each choice of bits sorts them; the next are sorted while the last are compared."""
    sorting: Future[Keys] | None = None
    for mask in _choices(len(codes.words)):
        ready, sorting = sorting, pool.submit(_sorted_by, codes, mask)
        if ready is not None:
            yield ready.result()
    if sorting is not None:
        yield sorting.result()


def _choices(rows: int) -> Words:
    """Choose all bits, and then some of them, the same ones each time; (1 + CHOICES, CODE_WORDS) masks."""
    chance = np.random.default_rng(0)
    bits = min(64 * CODE_WORDS, int(np.ceil(np.log2(rows))) + BITS_BEYOND)
    chosen = np.zeros((1 + CHOICES, 64 * CODE_WORDS), np.uint8)
    chosen[0] = 1
    for mask in chosen[1:]:
        mask[chance.permutation(len(mask))[:bits]] = 1
    return np.asarray(np.packbits(chosen, axis=1).view(np.uint64))


def _sorted_by(codes: Codes, mask: NDArray[np.uint64]) -> Keys:
    """Give a hash of the chosen bits (upper half) and the row (lower half) of each, in order."""
    hashes: Keys = (codes.words[:, 0] & mask[0]) * _SPREAD[0]
    hashes ^= hashes >> _HALF
    hashes += (codes.words[:, 1] & mask[1]) * _SPREAD[1]
    hashes ^= hashes >> _HALF
    hashes *= _SPREAD[0]
    hashes &= ~_LOWER
    hashes |= np.arange(len(hashes), dtype=np.uint64)
    if codes.asking is not None:
        hashes = hashes[_may_meet(hashes, codes.asking)]
    hashes.sort()
    return hashes


def _may_meet(hashes: Keys, asking: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which rows have the chosen bits of an asking one, or seem to."""
    bits = np.uint64(26)
    wanted = np.zeros(1 << int(bits), np.bool_)
    wanted[hashes[asking] >> (np.uint64(64) - bits)] = True
    return np.asarray(wanted[hashes >> (np.uint64(64) - bits)], np.bool_)


def _near_in_order(codes: Codes, order: Keys, start: int, *, equal: bool) -> Keys:
    """Compare some of the sorted rows with those that follow them; equal: only equal codes, else only others.

    By a choice of bits equal codes may have a crowd between them; by all bits they have none.
    """
    part = order[start : start + ROWS_AT_ONCE + WINDOW]
    rows = (part & _LOWER).astype(np.int64)
    chosen = (part >> _HALF).astype(np.uint32)
    # Far quicker than picking rows of two: what is next to each other in memory is read in one go.
    left, right = np.ascontiguousarray(codes.words.take(rows, axis=0).T)
    most = max(PAIRS_PER_ROW * len(part), PAIRS_MIN * len(part) // len(order))
    found: list[Keys] = []
    alike = np.arange(min(ROWS_AT_ONCE, len(part)))
    for step in range(1, WINDOW + 1):
        alike = alike[: np.searchsorted(alike, len(part) - step)]
        alike = alike[chosen[step:].take(alike) == chosen.take(alike)]
        if not len(alike) or sum(map(len, found)) > most:
            break
        distance = np.bitwise_count(left[step:].take(alike) ^ left.take(alike))
        distance += np.bitwise_count(right[step:].take(alike) ^ right.take(alike))
        near = (distance <= codes.distance_max) & ((distance == 0) == equal)
        found.append(_wanted(codes, rows[alike[near]], rows[alike[near] + step]))
    return np.concatenate([np.empty(0, np.uint64), *found])


def _wanted(codes: Codes, one: Rows, other: Rows) -> Keys:
    first, second = np.minimum(one, other), np.maximum(one, other)
    wanted = (codes.owner[first] != codes.owner[second]) & (first < codes.first_until)
    if codes.asking is not None:
        wanted &= codes.asking[first] | codes.asking[second]
    first, second = first[wanted].astype(np.uint64), second[wanted].astype(np.uint64)
    return np.asarray(first << _HALF | second, np.uint64)


class _Gathered:
    """Pairs found so far: in memory, or as sorted runs in one temporary file when there are many."""

    def __init__(self) -> None:
        self._waiting: list[Keys] = []
        self._file: IO[bytes] | None = None
        self._ends: list[int] = []  # of the runs in the file, in pairs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, found: Keys) -> None:
        """Take some more, in any order."""
        self._waiting.append(found)
        if sum(map(len, self._waiting)) > IN_MEMORY_MAX:
            self._waiting = [_distinct(self._waiting)]  # many choices find the same pair
            if len(self._waiting[0]) > IN_MEMORY_MAX // 2:
                self._write(self._waiting.pop())

    def _write(self, run: Keys) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="sightline-marks-")  # noqa: SIM115  (closed by __exit__)
        self._file.write(run.tobytes())
        self._ends.append(sum(self._ends[-1:]) + len(run))

    def runs(self) -> list[Keys]:
        """Give all, each run in order."""
        if self._file is None:
            return [_distinct(self._waiting)]
        self._file.flush()
        whole = np.memmap(self._file, np.uint64, "r")
        return [*np.split(whole, self._ends[:-1]), _distinct(self._waiting)]


def _distinct(parts: Sequence[Keys]) -> Keys:
    """Join them in order, each once; sorting is several times as quick as np.unique, which hashes."""
    pairs = np.concatenate([np.empty(0, np.uint64), *parts])
    pairs.sort()
    return np.asarray(pairs[np.r_[True, pairs[1:] != pairs[:-1]][: len(pairs)]], np.uint64)


def _pieces(gathered: _Gathered, codes: Codes) -> Iterator[tuple[Rows, Rows]]:
    runs = gathered.runs()

    def found(start: int, end: int) -> list[Keys]:
        ends = (np.searchsorted(run, np.array([start, end], np.uint64) << _HALF) for run in runs)
        return [run[a:b] for run, (a, b) in zip(runs, ends, strict=True)]

    for start, end in _spans(codes, lambda start, end: sum(map(len, found(start, end)))):
        pairs = _distinct(found(start, end))
        if len(pairs):
            yield (pairs >> _HALF).astype(np.int64), (pairs & _LOWER).astype(np.int64)


def _spans(codes: Codes, pairs_in: Callable[[int, int], int]) -> Iterator[tuple[int, int]]:
    """Cut the first rows where an owner ends, into spans of so many rows and pairs at most."""
    owner = codes.owner[: codes.first_until]
    start = 0
    while start < len(owner):
        rows = PIECE_ROWS
        end = _end_of_owner(owner, start + rows)
        while rows > 1 and pairs_in(start, end) > PIECE_PAIRS:
            rows //= 2
            end = _end_of_owner(owner, start + rows)
        yield start, end
        start = end


def _end_of_owner(owner: NDArray[np.int32], row: int) -> int:
    """Give where the owner of the last row before this one ends."""
    return int(np.searchsorted(owner, owner[min(row, len(owner)) - 1], side="right"))
