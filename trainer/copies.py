"""Copies: which images of a set are one photo, by their bytes or by how they look.

Near copies are proposed by their PDQ hashes, mirrored and turned ones too, and laid over each other whole;
the bar is the loose one of leaks (search/duplicates/judging.py), for here a doubtful pair costs next to
nothing. Parts of a photo are not looked for: `sightline leaks` does, and takes longer.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np

from indexer.opening import Undecodable
from search.duplicates.candidates import TURNS, Candidates, hash_pairs, merged
from search.duplicates.grouping import components
from search.duplicates.judging import LOOSE
from search.duplicates.matching import Sketch, match_whole
from search.duplicates.overlay import take_look, within

from .examples import ImagePlace, open_image
from .image_check import Progress, Seen

Rows = tuple[int, int]
LOOK_SIDE = 192  # pixels; more than pictures are laid over each other with
LOOKS_KEPT = 2_000  # about 150 MB
PAIRS_AT_ONCE = 256  # between two rounds of leaving out what is joined already


def exact_copies(seen: Sequence[Seen]) -> list[Rows]:
    """Give (first, copy) for each row whose bytes an earlier row has."""
    first: dict[bytes, int] = {}
    rows = [(first.setdefault(one.content_hash, row), row) for row, one in enumerate(seen)]
    return [(original, row) for original, row in rows if original != row]


def near_copies(
    places: Sequence[ImagePlace], seen: Sequence[Seen], *, progress: Progress = lambda *_: None
) -> list[Rows]:
    """Give pairs of rows that look the same and differ in their bytes, enough to join each photo's copies."""
    rows = np.array(sorted({one.content_hash: row for row, one in reversed([*enumerate(seen)])}.values()))
    if len(rows) < 2:
        return []
    hashes = np.array([np.frombuffer(seen[row].perceptual_hash, np.uint8) for row in rows])
    quality = np.array([seen[row].quality for row in rows], np.int64)
    candidates = merged(list(hash_pairs(hashes, quality, turned=True)))
    looks_same = _Overlays(places)
    found: list[Rows] = []
    for done, block in _blocks(candidates):
        joined = _leaders(found)
        for first, second, turn in block:
            one, other = int(rows[first]), int(rows[second])
            if joined.get(one, -1) != joined.get(other, -2) and looks_same(one, other, turn):
                found.append((one, other))
        progress("comparing likely copies", done, len(candidates))
    return found


def _blocks(candidates: Candidates) -> Iterator[tuple[int, list[tuple[int, int, int]]]]:
    """Give the candidates from the nearest on, and how many there were with each block."""
    order = np.argsort(candidates.hash_distance, kind="stable")
    for start in range(0, len(order), PAIRS_AT_ONCE):
        block = order[start : start + PAIRS_AT_ONCE]
        columns = (candidates.first[block], candidates.second[block], candidates.turn[block])
        yield start + len(block), [*zip(*(column.tolist() for column in columns), strict=True)]


def _leaders(pairs: Sequence[Rows]) -> dict[int, int]:
    """Give for each row that is in a group the first of the group."""
    return {row: min(group) for group in components(pairs) for row in group}


class _Overlays:
    """Lays images over each other; small copies of those seen last are kept."""

    def __init__(self, places: Sequence[ImagePlace]) -> None:
        self._places = places
        self._look: Callable[[int], Sketch | None] = lru_cache(LOOKS_KEPT)(self._take)

    def __call__(self, first: int, second: int, turn: int) -> bool:
        one, other = self._look(first), self._look(second)
        if one is None or other is None:
            return False
        way = TURNS[turn]
        return match_whole(one, other, way.quarters, mirrored=way.mirrored).agreement >= LOOSE.agreement

    def _take(self, row: int) -> Sketch | None:
        try:
            image = open_image(self._places[row], target=(LOOK_SIDE // 2, LOOK_SIDE // 2))
        except (Undecodable, OSError):  # it could be decoded a moment ago: the disk went away
            return None
        return Sketch(take_look(within(image, LOOK_SIDE)), may_be_mirrored=False)
