"""Grouping: pairs that are duplicates to groups, strictly for deleting and loosely for splitting data.

Chaining, where a is like b and b like c but a is not like c, has made one group of half a collection in
other tools. So a group to delete from is a star: every member is itself a duplicate of the one kept. For
keeping copies on one side of a split it is the other way round: there a chain must not be cut.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
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

    def open_to(keeper: Key) -> list[Key]:
        return [other for other in neighbours(keeper) if other not in taken and other not in groups]

    waiting = list(ranked)
    while waiting:
        keepers, waiting = _apart([item for item in waiting if item not in taken], neighbours)
        questions = [(keeper, other) for keeper in keepers for other in open_to(keeper)]
        yes = {question for question, answer in zip(questions, may_go(questions), strict=True) if answer}
        for keeper in keepers:
            members = [other for other in open_to(keeper) if (keeper, other) in yes]
            if members:
                taken.update(members)
                groups[keeper] = members
    return groups


def _apart(waiting: Sequence[Key], neighbours: Callable[[Key], Sequence[Key]]) -> tuple[list[Key], list[Key]]:
    """Split off up to KEEPERS_AT_ONCE of which none can take another, nor be taken by one before it."""
    chosen: list[Key] = []
    left: list[Key] = []
    near: set[Key] = set()
    for position, item in enumerate(waiting):
        if len(chosen) == KEEPERS_AT_ONCE:
            return chosen, left + list(waiting[position:])
        (left if item in near else chosen).append(item)
        near.update(neighbours(item))
    return chosen, left


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
