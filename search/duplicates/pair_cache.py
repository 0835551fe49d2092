"""The pair cache: what earlier searches for duplicates found, kept in the library between runs.

A search of a million pictures takes hours, so what it finds is kept as it goes on: the candidates when all
are found, and every minute what was looked at since. `compared` are contents whose candidates are all kept;
which of these were judged is kept with each.
"""

from collections.abc import Collection, Iterator
from dataclasses import asdict
from time import monotonic, sleep
from typing import Any

import numpy as np

from indexer.errors import LibraryBusy, LibraryReadOnly, SightlineError
from indexer.records import Ids
from indexer.store.library import open_for_writing
from indexer.store.pairs import StoredPair
from indexer.store.reader import LibraryReader

from .candidates import Candidates, merged
from .judging import Pair, pair_at
from .records import DuplicatePair, Evidence, Level
from .spool import blocks, gather

SCOPES = "12: "  # begins the scopes of this program; count up when candidates or judgement change
RECALLED_AT_ONCE = 100_000
KEPT_EACH_SECONDS = 60.0
KEPT_EACH_SECONDS_MAX = 600.0
KEEPING_SHARE_MAX = 0.05  # of the time, up to there: meanwhile nobody else can write
TRIED_AGAIN_SECONDS = 0.2


class PairCache:
    """The candidates of one scope, and what became of those that were looked at."""

    def __init__(self, reader: LibraryReader, scope: str) -> None:
        self._reader = reader
        self._scope = scope
        self._compared: Ids = np.empty(0, np.int64)  # what need not be compared again, not kept yet
        self._answered: set[frozenset[int]] = set()  # what the library knows the answer about
        self._noted: set[frozenset[int]] = set()  # what it shall know from this search, and does not yet
        self._added = merged([])  # found in this search, and not kept yet
        self._due = monotonic() + KEPT_EACH_SECONDS
        self._problem: SightlineError | None = None  # why what is new was not kept at the last trial
        self.new: Ids = np.empty(0, np.int64)  # contents that no search of this scope has compared
        self.pairs = merged([])  # of contents
        self.judged: dict[frozenset[int], DuplicatePair | None] = {}

    def recall(self, live: Collection[int]) -> None:
        """Read what the library keeps about these contents."""
        compared = self._reader.compared(self._scope)
        self.new = np.setdiff1d(np.fromiter(live, np.int64, len(live)), compared, assume_unique=True)
        self.pairs = gather(self._recalled())

    def _recalled(self) -> Iterator[Candidates]:
        some: list[StoredPair] = []
        for pair in self._reader.pairs(self._scope):
            if pair.judged:
                key = frozenset((pair.first, pair.second))
                self.judged[key] = None if pair.answer is None else _pair_of(pair)
                self._answered.add(key)
            some.append(pair)
            if len(some) == RECALLED_AT_ONCE:
                yield _candidates(some)
                some = []
        yield _candidates(some)

    def add(self, pairs: Candidates, *, incomplete: Ids) -> None:
        """Add the candidates among what is new, and between it and the rest.

        incomplete: contents that lacked something to be compared by; they are new again next time.
        """
        self._added = pairs
        if len(self.pairs):
            pairs = gather(block for table in (self.pairs, pairs) for block in blocks(table))
        self.pairs = pairs
        self._compared = np.setdiff1d(self.new, incomplete, assume_unique=True)

    def note(self, pair: Pair, found: DuplicatePair | None, *, readable: bool) -> None:
        """Take down what a pair is; what could not be read is not kept beyond this search."""
        self.judged[pair.key] = found
        if readable:
            self._noted.add(pair.key)

    def keep_when_due(self) -> None:
        """Write what is new into the library if that was done last a while ago."""
        if monotonic() >= self._due:
            self.keep()

    def keep(self, *, patience_seconds: float = 0.0) -> None:
        """Write what is new into the library; a library that cannot be written goes without.

        patience_seconds: how long to try while another program writes; `not_kept` tells how it ended.
        """
        began = tried = monotonic()
        self._problem = self._write()
        while isinstance(self._problem, LibraryBusy) and monotonic() < began + patience_seconds:
            sleep(TRIED_AGAIN_SECONDS)
            tried = monotonic()
            self._problem = self._write()
        now = monotonic()
        pause = min(KEPT_EACH_SECONDS_MAX, (now - tried) / KEEPING_SHARE_MAX)
        self._due = now + max(KEPT_EACH_SECONDS, pause)

    @property
    def not_kept(self) -> str:
        """Say in words why the next search has to find something again; empty where it has not, or never."""
        if self._problem is None or isinstance(self._problem, LibraryReadOnly):
            return ""
        return f"not all that was compared is kept for the next search: {self._problem}"

    def _write(self) -> SightlineError | None:
        """Write what is new; give the error that was in the way: the answer does not depend on it."""
        if not len(self._added) and not len(self._compared) and not self._noted:
            return None
        try:
            with open_for_writing(self._reader.path, create=False) as writer:
                writer.forget_scopes_but(SCOPES)
                writer.remember_pairs(self._scope, self._changed(), compared=self._compared.tolist())
        except SightlineError as problem:
            return problem
        self._answered |= self._noted
        self._noted = set()
        self._added, self._compared = merged([]), np.empty(0, np.int64)
        return None

    def _changed(self) -> Iterator[StoredPair]:
        """Yield the new candidates, and those that were judged in this search."""
        found = (pair_at(self._added, row) for row in range(len(self._added)))
        known = self._answered | self._noted
        yield from (self._stored(pair) for pair in found if pair.key not in known)
        for key in self._noted:
            first, second = sorted(key)
            yield self._stored(pair_at(self.pairs, self.pairs.row_of(first, second)))

    def _stored(self, pair: Pair) -> StoredPair:
        found = self.judged.get(pair.key)
        return StoredPair(
            pair.first,
            pair.second,
            pair.hash_distance,
            pair.turn,
            pair.cosine,
            judged=pair.key in self._noted,
            answer=None if found is None else _answer(found),
            nearness=pair.nearness,
        )


def _candidates(stored: list[StoredPair]) -> Candidates:
    """Put stored pairs in order; the catalog need not give them so."""
    columns = (
        np.array([pair.first for pair in stored], np.int64),
        np.array([pair.second for pair in stored], np.int64),
        np.array([-1 if pair.hash_distance is None else pair.hash_distance for pair in stored], np.int16),
        np.array([pair.turn for pair in stored], np.int8),
        np.array([np.nan if pair.cosine is None else pair.cosine for pair in stored], np.float32),
        np.array([np.nan if pair.nearness is None else pair.nearness for pair in stored], np.float32),
    )
    return Candidates(*columns)


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
