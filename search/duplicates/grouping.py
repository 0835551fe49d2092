"""Grouping: pairs that are duplicates to groups, strictly for deleting and loosely for splitting data.

Chaining, where a is like b and b like c but a is not like c, has made one group of half a collection in
other tools. So a group to delete from is a star: every member is itself a duplicate of the one kept. For
keeping copies on one side of a split it is the other way round: there a chain must not be cut.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from heapq import heappop, heappush
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

KEEPERS_AT_ONCE = (
    64  # whose questions go together; some are asked in vain, but they can be answered in parallel
)


def stars(
    ranked: Sequence[Key],
    neighbours: Callable[[Key], Sequence[Key]],
    may_go: Callable[[Sequence[tuple[Key, Key]]], Sequence[bool]],
) -> dict[Key, list[Key]]:
    """Group around the best: keeper -> members, each given up for that keeper itself; none is in two groups.

    ranked: all items, the most worth keeping first; neighbours gives what an item may be a copy of. may_go
    answers for pairs (keeper, other) whether the other may be given up for the keeper, which need not hold
    the other way round. It is asked about neighbours only, and no more about what an earlier keeper has
    taken: of n copies of one picture that makes n questions instead of n * n / 2.
    """
    taken: set[Key] = set()
    groups: dict[Key, list[Key]] = {}
    queue = _Queue(ranked, neighbours)
    while keepers := queue.next_keepers():
        open_to = {
            keeper: [other for other in neighbours(keeper) if other not in taken and other not in groups]
            for keeper in keepers
        }
        questions = [(keeper, other) for keeper in keepers for other in open_to[keeper]]
        yes = {question for question, answer in zip(questions, may_go(questions), strict=True) if answer}
        for keeper in keepers:
            still_open = (other for other in open_to[keeper] if other not in taken and other not in groups)
            members = [other for other in still_open if (keeper, other) in yes]
            if members:
                taken.update(members)
                groups[keeper] = members
                queue.leave(members)
    return groups


class _Queue(Generic[Key]):
    """Items that wait for their turn to keep others; each waits for all before it that may take it.

    It is known of each item how many it waits for, so that nothing is looked at anew each time: a million
    items take seconds.
    """

    def __init__(self, ranked: Sequence[Key], neighbours: Callable[[Key], Sequence[Key]]) -> None:
        self._ranked = ranked
        self._neighbours = neighbours
        self._place = {item: place for place, item in enumerate(ranked)}
        self._waiting = set(ranked)
        self._waits_for = Counter(other for item in ranked for other in self._behind(item))
        self._ready = [place for place, item in enumerate(ranked) if item not in self._waits_for]  # a heap
        self._left: list[Key] = []  # whose neighbours have not been told yet

    def next_keepers(self) -> list[Key]:
        """Give the best that wait for nobody, at most KEEPERS_AT_ONCE."""
        for item in self._left:
            self._let_go(item)
        self._left = []
        keepers: list[Key] = []
        while self._ready and len(keepers) < KEEPERS_AT_ONCE:
            item = self._ranked[heappop(self._ready)]
            if item in self._waiting:
                keepers.append(item)
        self.leave(keepers)
        return keepers

    def leave(self, items: Iterable[Key]) -> None:
        """Let items wait no more: they had their turn, or were taken."""
        for item in items:
            if item in self._waiting:
                self._waiting.remove(item)
                self._left.append(item)

    def _let_go(self, item: Key) -> None:
        for other in self._behind(item):
            self._waits_for[other] -= 1
            if not self._waits_for[other]:
                heappush(self._ready, self._place[other])

    def _behind(self, item: Key) -> Iterator[Key]:
        """Yield the neighbours that are ranked behind an item, each once."""
        place = self._place[item]
        return (other for other in set(self._neighbours(item)) if self._place.get(other, -1) > place)


class Joined(Generic[Key]):
    """Items in groups that grow together (union-find); to begin with each is alone."""

    def __init__(self, items: Iterable[Key] = ()) -> None:
        self._leader: dict[Key, Key] = {item: item for item in items}

    def join(self, one: Key, other: Key) -> None:
        """Put the groups of two items together."""
        self._leader[self._find(one)] = self._find(other)

    def are_together(self, one: Key, other: Key) -> bool:
        """Tell whether any chain joins the two."""
        return self._find(one) == self._find(other)

    def groups(self) -> list[list[Key]]:
        """Give all groups."""
        found: dict[Key, list[Key]] = defaultdict(list)
        for item in self._leader:
            found[self._find(item)].append(item)
        return list(found.values())

    def _find(self, item: Key) -> Key:
        leader = self._leader
        leader.setdefault(item, item)
        while leader[item] != item:
            leader[item] = leader[leader[item]]
            item = leader[item]
        return item


def components(pairs: Iterable[tuple[Key, Key]]) -> list[list[Key]]:
    """Group everything that any chain of pairs joins."""
    joined: Joined[Key] = Joined()
    for one, other in pairs:
        joined.join(one, other)
    return joined.groups()
