from collections.abc import Hashable, Mapping, Sequence

from search.duplicates.grouping import Joined, components, stars


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
