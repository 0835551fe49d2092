import numpy as np
import pytest

from search.duplicates import hash_join as module
from search.duplicates.hash_join import Codes, near_rows

BITS = 128


def families(count: int, size: int, flips: int, seed: int = 0) -> np.ndarray:
    """Give codes in groups: each a few bits off a code that groups do not share."""
    chance = np.random.default_rng(seed)
    bits = np.repeat(chance.integers(0, 2, (count, BITS), dtype=np.uint8), size, axis=0)
    for row in bits:
        row[chance.choice(BITS, chance.integers(0, flips + 1), replace=False)] ^= 1
    return np.packbits(bits, axis=1)[chance.permutation(len(bits))]


def codes(packed: np.ndarray, owner: np.ndarray | None = None, **options) -> Codes:
    owner = np.arange(len(packed), dtype=np.int32) if owner is None else owner.astype(np.int32)
    options = {"distance_max": 10, "first_until": len(packed), **options}
    return Codes(np.ascontiguousarray(packed).view(np.uint64), owner, **options)


def joined(given: Codes) -> set[tuple[int, int]]:
    return {
        pair
        for first, second in near_rows(given)
        for pair in zip(first.tolist(), second.tolist(), strict=True)
    }


def exact(packed: np.ndarray, distance_max: int) -> dict[tuple[int, int], int]:
    differing = np.bitwise_count(packed[:, None] ^ packed[None]).sum(axis=2)
    rows = np.argwhere(np.triu(differing <= distance_max, 1))
    return {(int(a), int(b)): int(differing[a, b]) for a, b in rows}


def test_what_differs_in_few_bits_is_found_and_nothing_else() -> None:
    packed = families(300, 5, 6)
    wanted = exact(packed, 10)
    found = joined(codes(packed))
    assert found <= wanted.keys()
    assert len(found) >= 0.99 * len(wanted) > 2000
    assert {pair for pair, bits in wanted.items() if bits <= 6} <= found


def test_a_crowd_is_given_out_in_small_pieces_that_hold_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    given = codes(families(20, 40, 4), np.arange(800) // 5)
    wanted = joined(given)
    monkeypatch.setattr(module, "PIECE_PAIRS", 200)
    pieces = list(near_rows(given))
    assert len(pieces) > 10
    assert max(len(first) for first, _ in pieces) < len(wanted) / 10
    assert sum(len(first) for first, _ in pieces) == len(wanted)
    assert joined(given) == wanted


def test_pairs_of_one_owner_are_left_out() -> None:
    packed = families(100, 4, 4)
    owner = np.arange(len(packed)) // 40
    found = joined(codes(packed, owner))
    assert found
    assert all(owner[a] != owner[b] for a, b in found)


def test_only_pairs_with_an_asking_row_are_given() -> None:
    packed = families(100, 4, 4)
    asking = np.zeros(len(packed), np.bool_)
    asking[[3, 77]] = True
    assert joined(codes(packed, asking=asking)) == {
        pair for pair in joined(codes(packed)) if {3, 77} & set(pair)
    }


def test_rows_behind_the_first_ones_do_not_meet_each_other() -> None:
    packed = families(100, 4, 4)
    found = joined(codes(packed, first_until=200))
    assert found == {(a, b) for a, b in joined(codes(packed)) if a < 200}
    assert any(b >= 200 for _, b in found)


@pytest.mark.parametrize("packed", [np.empty((0, 16), np.uint8), np.ones((1, 16), np.uint8)])
def test_nothing_and_one_row_have_no_pairs(packed: np.ndarray) -> None:
    assert joined(codes(packed)) == set()


def test_in_a_crowd_of_equal_codes_each_finds_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAIRS_MIN", 0)
    packed = np.ones((5000, 16), np.uint8)
    found = joined(codes(packed))
    assert 5000 <= len(found) <= 5000 * (module.PAIRS_PER_ROW + 1)
    assert {row for pair in found for row in pair} == set(range(5000))


def test_equal_codes_meet_although_a_crowd_of_near_ones_is_between_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WINDOW", 1)
    bits = np.zeros((2 * BITS, BITS), np.uint8)  # each code a bit or two from the others, and there twice
    bits[np.arange(2 * BITS), np.tile(np.arange(BITS), 2)] = 1
    found = joined(codes(np.packbits(bits, axis=1)))
    assert {(row, row + BITS) for row in range(BITS)} <= found


def test_pairs_that_went_to_disk_come_back_once_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = families(300, 5, 6)
    owner = np.arange(len(packed)) // 3
    in_memory = joined(codes(packed, owner))
    monkeypatch.setattr(module, "IN_MEMORY_MAX", 500)
    monkeypatch.setattr(module, "PIECE_ROWS", 100)
    pieces = list(near_rows(codes(packed, owner)))
    firsts = np.concatenate([first for first, _ in pieces])
    assert len(pieces) > 10
    assert (np.diff(firsts) >= 0).all()
    assert len(firsts) == len(in_memory)
    assert joined(codes(packed, owner)) == in_memory


def test_an_owner_is_never_cut_in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE_ROWS", 7)
    packed = families(100, 4, 4)
    owner = np.arange(len(packed)) // 10
    seen = [set(owner[first].tolist()) for first, _ in near_rows(codes(packed, owner))]
    assert len(seen) > 5
    assert sum(map(len, seen)) == len(set.union(*seen))
