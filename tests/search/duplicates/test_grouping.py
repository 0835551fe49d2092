import random
from collections.abc import Callable, Hashable, Mapping, Sequence

import pytest

from search.duplicates.grouping import KEEPERS_AT_ONCE, Joined, components, stars


def starred(ranked: Sequence[Hashable], partners: Mapping[Hashable, Sequence[Hashable]]) -> dict:
    def may_go(questions: Sequence[tuple[Hashable, Hashable]]) -> list[bool]:
        return [other in partners.get(keeper, ()) for keeper, other in questions]

    return stars(ranked, lambda item: partners.get(item, ()), may_go)


def test_a_chain_is_not_one_group_to_delete_from() -> None:
    frames = list(range(500))  # each a duplicate of its neighbours alone
    partners = {n: [m for m in (n - 1, n + 1) if 0 <= m < 500] for n in frames}
    groups = starred(frames, partners)
    assert all(set(members) <= set(partners[keeper]) for keeper, members in groups.items())
    assert max(len(members) for members in groups.values()) <= 2


def test_a_chain_is_one_group_where_it_must_not_be_cut() -> None:
    assert sorted(components((n, n + 1) for n in range(499))[0]) == list(range(500))


def test_items_that_nothing_joins_are_groups_of_their_own() -> None:
    joined = Joined("abc")
    joined.join("c", "a")
    assert sorted(map(sorted, joined.groups())) == [["a", "c"], ["b"]]
    assert not joined.are_together("a", "b")


def test_nothing_is_given_up_twice_and_nothing_kept_is_given_up() -> None:
    groups = starred("abcd", {"a": "bc", "b": "acd", "c": "abd", "d": "bc"})
    assert groups == {"a": ["b", "c"]}


def test_what_the_best_does_not_cover_may_keep_its_own() -> None:
    groups = starred(["crop", "whole", "part"], {"whole": ["crop", "part"]})
    assert groups == {"whole": ["crop", "part"]}


def test_separate_pairs_stay_apart() -> None:
    assert sorted(map(sorted, components([(1, 2), (3, 4)]))) == [[1, 2], [3, 4]]


def test_copies_that_have_found_their_group_are_asked_about_no_more() -> None:
    asked: list[tuple[int, int]] = []

    def may_go(questions: Sequence[tuple[int, int]]) -> list[bool]:
        asked.extend(questions)
        return [True] * len(questions)

    copies = list(range(200))
    groups = stars(copies, lambda one: [other for other in copies if other != one], may_go)
    assert groups == {0: copies[1:]}
    assert len(asked) == 199


Neighbours = Callable[[int], Sequence[int]]
MayGo = Callable[[Sequence[tuple[int, int]]], Sequence[bool]]


def stars_by_looking_at_all(ranked: Sequence[int], neighbours: Neighbours, may_go: MayGo) -> dict:
    """Group as `stars` does, looking each time at all that are left; the time grows with their square."""
    taken: set[int] = set()
    groups: dict[int, list[int]] = {}

    def open_to(keeper: int) -> list[int]:
        return [other for other in neighbours(keeper) if other not in taken and other not in groups]

    waiting = list(ranked)
    while waiting:
        keepers: list[int] = []
        left: list[int] = []
        near: set[int] = set()
        for item in (each for each in waiting if each not in taken):
            full = len(keepers) == KEEPERS_AT_ONCE
            (left if full or item in near else keepers).append(item)
            near.update(neighbours(item))
        waiting = left
        questions = [(keeper, other) for keeper in keepers for other in open_to(keeper)]
        yes = {question for question, answer in zip(questions, may_go(questions), strict=True) if answer}
        for keeper in keepers:
            if members := [other for other in open_to(keeper) if (keeper, other) in yes]:
                taken.update(members)
                groups[keeper] = members
    return groups


@pytest.mark.parametrize("seed", range(60))
def test_any_graph_is_grouped_and_asked_about_as_by_looking_at_all(seed: int) -> None:
    chance = random.Random(seed)
    count, links = chance.choice([(3, 3), (40, 60), (300, 200), (300, 3000), (1000, 800)])
    partners: dict[int, list[int]] = {n: [] for n in range(count)}
    for _ in range(links):
        one, other = chance.randrange(count), chance.randrange(count + 2)  # some that are not ranked
        partners[one].append(other)
        if seed % 3 and other in partners:  # else one-sided
            partners[other].append(one)
    wrong = chance.random()
    ranked = chance.sample(range(count), count)
    answers = {}
    for group in (stars, stars_by_looking_at_all):
        asked: list[list[tuple[int, int]]] = []

        def may_go(questions: Sequence[tuple[int, int]], asked: list = asked) -> list[bool]:
            if questions:
                asked.append(list(questions))
            return [random.Random(str(question)).random() > wrong for question in questions]

        answers[group] = (group(ranked, partners.__getitem__, may_go), asked)
    assert answers[stars] == answers[stars_by_looking_at_all]


def test_the_work_grows_with_the_number_of_items_and_no_faster() -> None:
    asked = 0

    def partner(item: int) -> list[int]:
        nonlocal asked
        asked += 1
        return [item ^ 1]

    stars(range(20_000), partner, lambda questions: [False] * len(questions))
    assert asked <= 3 * 20_000
