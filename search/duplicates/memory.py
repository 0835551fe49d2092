"""Memory: what earlier searches for duplicates found, kept in the library between runs."""

from collections.abc import Collection, Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from indexer.errors import DiskFull, LibraryBusy, LibraryReadOnly
from indexer.records import Ids
from indexer.store.library import LibraryReader, open_for_writing
from indexer.store.pairs import StoredPair

from .judging import Pair
from .records import DuplicatePair, Evidence, Level

SCOPES = "3: "  # begins the scopes of this program; count up when candidates or judgement change


class Memory:
    """The candidates of one scope, and what became of those that were looked at."""

    def __init__(self, reader: LibraryReader, scope: str) -> None:
        self._reader = reader
        self._scope = scope
        self._compared: Ids = np.empty(0, np.int64)  # what need not be compared again
        self._kept: dict[frozenset[int], bool] = {}  # what the library has, and whether judged
        self.new: Ids = np.empty(0, np.int64)  # contents that no search of this scope has compared
        self.pairs: dict[frozenset[int], Pair] = {}
        self._passing: set[frozenset[int]] = set()
        self.judged: dict[frozenset[int], DuplicatePair | None] = {}

    def recall(self, live: Collection[int]) -> None:
        """Read what the library keeps about these contents."""
        compared, stored = self._reader.compared(self._scope)
        self.new = np.setdiff1d(np.fromiter(live, np.int64, len(live)), compared, assume_unique=True)
        for pair in stored:
            key = frozenset((pair.first, pair.second))
            self._kept[key] = pair.judged
            self.pairs[key] = Pair(pair.first, pair.second, pair.hash_distance, pair.turn, pair.cosine)
            if pair.judged:
                self.judged[key] = None if pair.answer is None else _pair_of(pair)

    def add(self, pairs: Iterable[Pair], *, incomplete: Ids) -> None:
        """Add the candidates among what is new, and between it and the rest.

        incomplete: contents that lacked something to be compared by; they are new again next time.
        """
        for pair in pairs:
            self.pairs.setdefault(pair.key, pair)
        self._compared = np.setdiff1d(self.new, incomplete, assume_unique=True)

    def note(self, pair: Pair, found: DuplicatePair | None, *, readable: bool) -> None:
        """Take down what a pair is; what could not be read is not kept beyond this search."""
        self.judged[pair.key] = found
        if not readable:
            self._passing.add(pair.key)

    def keep(self) -> None:
        """Write what is new into the library; a library that cannot be written goes without."""
        changed = [pair for key, pair in self.pairs.items() if self._kept.get(key) != self._is_judged(key)]
        if not changed and not len(self._compared):
            return
        try:
            with open_for_writing(self._reader.path, create=False) as writer:
                writer.forget_scopes_but(SCOPES)
                writer.remember_pairs(
                    self._scope, map(self._stored, changed), compared=self._compared.tolist()
                )
        except (LibraryBusy, LibraryReadOnly, DiskFull):
            return  # the answer does not depend on it; the next search compares again

    def _is_judged(self, key: frozenset[int]) -> bool:
        return key in self.judged and key not in self._passing

    def _stored(self, pair: Pair) -> StoredPair:
        found = self.judged.get(pair.key)
        return StoredPair(
            pair.first,
            pair.second,
            pair.hash_distance,
            pair.turn,
            pair.cosine,
            judged=self._is_judged(pair.key),
            answer=None if found is None else _answer(found),
        )


def _answer(found: DuplicatePair) -> dict[str, Any]:
    sides = {"first": found.first_in_second, "second": found.second_in_first}
    return {
        "level": found.level.value,
        "confidence": found.confidence,
        **{side: asdict(evidence) for side, evidence in sides.items()},
    }


def _pair_of(stored: StoredPair) -> DuplicatePair:
    assert stored.answer is not None
    return DuplicatePair(
        stored.first,
        stored.second,
        Level(stored.answer["level"]),
        stored.answer["confidence"],
        Evidence(**stored.answer["first"]),
        Evidence(**stored.answer["second"]),
    )
