from dataclasses import replace

import faiss
import numpy as np
import pytest
from PIL import Image, ImageOps

from indexer.fingerprint import perceptual_hash
from search.duplicates import candidates
from search.duplicates.candidates import (
    EQUAL_NEIGHBOURS,
    HASH_DISTANCE_MAX,
    HASH_NEIGHBOURS_MAX,
    TURNS,
    Candidates,
    Turn,
    equal_pairs,
    hash_pairs,
    merged,
    turn_hashes,
    unmeasured,
    vector_pairs,
)

from .photos import NAMES, photo


def pdq(image: Image.Image) -> np.ndarray:
    return np.frombuffer(perceptual_hash(image)[0], np.uint8)


def bits_apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.unpackbits(one ^ other).sum())


def turned(image: Image.Image, turn: Turn) -> Image.Image:
    image = ImageOps.mirror(image) if turn.mirrored else image
    return image.rotate(90 * turn.quarters, expand=True)


def unit(rows: int, seed: int, dimension: int = 32) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def pairs(found: Candidates) -> set[tuple[int, int]]:
    return set(zip(found.first.tolist(), found.second.tolist(), strict=True))


@pytest.mark.parametrize("turn", TURNS, ids=str)
@pytest.mark.parametrize("name", NAMES[:4])
def test_a_turned_hash_is_nearly_that_of_the_turned_picture(name: str, turn: Turn) -> None:
    image = photo(name)
    worked_out = turn_hashes(pdq(image)[None], turn)[0]
    assert bits_apart(worked_out, pdq(turned(image, turn))) <= 24


def hash_library() -> tuple[np.ndarray, np.ndarray]:
    """Give 600 hashes, pairs of which are 20 to 60 bits apart, and how far each is from each."""
    chance = np.random.default_rng(0)
    originals = chance.integers(0, 256, (300, 32), dtype=np.uint8)
    flips = np.zeros((300, 256), np.uint8)
    for row, count in enumerate(np.linspace(20, 60, 300).astype(int)):
        flips[row, chance.choice(256, count, replace=False)] = 1
    hashes = np.concatenate([originals, originals ^ np.packbits(flips, axis=1)])
    return hashes, np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(axis=2)


def within(apart: np.ndarray, most: int) -> set[tuple[int, int]]:
    return {(a, b) for a, b in np.argwhere(apart <= most).tolist() if a < b}


def test_of_very_many_hashes_all_up_to_32_bits_apart_are_found_and_most_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(candidates, "MULTI_HASH_FROM", 0)
    hashes, apart = hash_library()
    found = pairs(merged(list(hash_pairs(hashes, np.full(600, 100), turned=False))))
    assert within(apart, 32) <= found <= within(apart, HASH_DISTANCE_MAX)
    assert len(found) > 0.9 * len(within(apart, HASH_DISTANCE_MAX))


def test_equal_pairs_are_those_that_comparing_all_with_all_finds() -> None:
    hashes = np.random.default_rng(2).integers(0, 256, (9, 32), dtype=np.uint8)[
        [0, 1, 2, 1, 3, 1, 4, 4, 5, 6, 7, 8]
    ]
    assert pairs(merged(list(equal_pairs(hashes)))) == {(1, 3), (1, 5), (3, 5), (6, 7)}
    assert pairs(merged(list(equal_pairs(hashes, asking=np.array([5]))))) == {(1, 5), (3, 5)}


@pytest.mark.parametrize("count", [0, 1])
def test_one_image_or_none_has_no_equal(count: int) -> None:
    assert not list(equal_pairs(np.zeros((count, 32), np.uint8)))


def test_a_thousand_equal_images_make_no_half_a_million_pairs() -> None:
    found = merged(list(equal_pairs(np.zeros((1000, 32), np.uint8))))
    assert len(found) < 1000 * EQUAL_NEIGHBOURS
    assert len(np.unique(np.r_[found.first, found.second])) == 1000


def test_hash_pairs_are_those_that_comparing_all_with_all_finds() -> None:
    chance = np.random.default_rng(1)
    hashes = chance.integers(0, 256, (60, 32), dtype=np.uint8)
    hashes[30:] = hashes[:30]
    for row in range(30, 60):  # some near, some far
        flips = chance.choice(256, 2 * row - 50, replace=False)
        bits = np.unpackbits(hashes[row])
        bits[flips] ^= 1
        hashes[row] = np.packbits(bits)
    quality = np.full(60, 100)
    found = merged(list(hash_pairs(hashes, quality, turned=False)))
    every = [(i, j) for i in range(60) for j in range(i + 1, 60)]
    near = {(i, j) for i, j in every if bits_apart(hashes[i], hashes[j]) <= HASH_DISTANCE_MAX}
    assert pairs(found) == near
    assert 15 < len(near) < 25
    assert all(
        distance == bits_apart(hashes[i], hashes[j])
        for i, j, distance in zip(found.first, found.second, found.hash_distance, strict=True)
    )


def test_hashes_of_featureless_pictures_propose_nothing() -> None:
    hashes = np.zeros((3, 32), np.uint8)
    assert pairs(merged(list(hash_pairs(hashes, np.array([100, 29, 0]), turned=False)))) == set()


@pytest.mark.parametrize(("bits", "proposed"), [(24, True), (25, False)])
def test_a_blurred_pictures_hash_must_lie_nearer(bits: int, proposed: bool) -> None:
    hashes = np.zeros((2, 32), np.uint8)
    hashes[1] = np.packbits(np.arange(256) < bits)
    found = merged(list(hash_pairs(hashes, np.array([100, 40]), turned=False)))
    assert pairs(found) == ({(0, 1)} if proposed else set())


@pytest.mark.parametrize("turn", TURNS[1:], ids=str)
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_turned_copy_is_proposed_with_the_turn_that_lays_it_over_the_first(
    turn: Turn, order: tuple[int, int]
) -> None:
    both = [photo("chelsea"), turned(photo("chelsea"), turn)]
    images = [both[order[0]], both[order[1]]]
    hashes = np.stack([pdq(image) for image in images])
    found = merged(list(hash_pairs(hashes, np.array([100, 100]), turned=True)))
    assert pairs(found) == {(0, 1)}
    laid = turned(images[1], TURNS[found.turn[0]])
    assert bits_apart(pdq(laid), pdq(images[0])) <= 31


def test_in_a_small_library_every_row_s_nearest_are_looked_at() -> None:
    vectors = unit(200, 3)
    scores = vectors @ vectors.T - 2 * np.eye(200)
    nearest = {tuple(sorted((i, int(j)))) for i in range(200) for j in np.argsort(-scores[i])[:8]}
    assert pairs(merged(list(vector_pairs(vectors)))) == nearest


def crowded() -> np.ndarray:
    """Give 3,000 rows: a dense crowd, the rest spread out, and of each kind 50 with a copy near by."""
    crowd = unit(1, 1) + 0.35 * unit(1500, 2)
    both = np.concatenate([crowd, unit(1400, 3)])
    copies = np.concatenate([both[:50], both[-50:]]) + 0.1 * unit(100, 4)
    vectors = np.concatenate([both, copies])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_copies_stand_out_of_a_crowd_and_crowds_propose_little() -> None:
    vectors = crowded()
    found = pairs(merged(list(vector_pairs(vectors))))
    true = {(row, 2900 + row) for row in range(50)} | {(2850 + row, 2950 + row) for row in range(50)}
    plain = np.triu(vectors @ vectors.T >= 0.8, 1).sum()
    assert len(true & found) >= 95
    assert len(found) < 3000 < plain / 10


def test_nearness_is_the_distance_as_a_share_of_that_to_the_crowds() -> None:
    vectors = crowded()
    apart = np.sort(1 - vectors @ vectors.T, axis=1)
    crowd = apart[:, 40:65].mean(axis=1)  # of itself and its 64 nearest
    found = merged(list(vector_pairs(vectors)))
    cosine = (vectors[found.first] * vectors[found.second]).sum(axis=1)
    expected = (1 - cosine) / np.sqrt(crowd[found.first] * crowd[found.second])
    np.testing.assert_allclose(found.nearness, expected, rtol=1e-3)


def test_very_many_vectors_are_searched_in_lists_and_copies_are_found_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors = crowded()
    exact = pairs(merged(list(vector_pairs(vectors))))
    monkeypatch.setattr(candidates, "FLAT_UNTIL", 1000)
    found = pairs(merged(list(vector_pairs(vectors))))
    true = {(row, 2900 + row) for row in range(50)} | {(2850 + row, 2950 + row) for row in range(50)}
    assert len(true & found) >= 0.95 * len(true & exact)
    assert len(found) < 1.5 * len(exact)


@pytest.mark.skipif(not faiss.get_num_gpus(), reason="no GPU that FAISS can use here")
@pytest.mark.parametrize("flat_until", [10_000, 1000], ids=["all", "lists"])
def test_a_gpu_proposes_what_the_processor_does(flat_until: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "FLAT_UNTIL", flat_until)
    on_gpu = pairs(merged(list(vector_pairs(crowded()))))
    monkeypatch.setattr(candidates, "_on_gpu", lambda index: index)
    on_processor = pairs(merged(list(vector_pairs(crowded()))))
    assert len(on_gpu ^ on_processor) <= 0.01 * len(on_processor)


def test_a_pair_proposed_twice_counts_once_with_all_that_is_known_of_it() -> None:
    def part(distance: int, cosine: float, nearness: float) -> Candidates:
        return replace(
            unmeasured(np.array([3]), np.array([7])),
            hash_distance=np.array([distance], np.int16),
            cosine=np.array([cosine], np.float32),
            nearness=np.array([nearness], np.float32),
        )

    found = merged([part(-1, 0.75, 0.5), part(12, np.nan, np.nan), part(20, np.nan, np.nan)])
    assert pairs(found) == {(3, 7)}
    assert (found.hash_distance[0], found.cosine[0], found.nearness[0]) == (12, 0.75, 0.5)


def test_nothing_proposed_is_no_pair() -> None:
    assert len(merged([])) == 0


def test_a_crowd_of_equal_hashes_makes_no_square_of_pairs() -> None:
    hashes = np.tile(np.random.default_rng(1).integers(0, 256, 32, dtype=np.uint8), (1500, 1))
    found = merged(list(hash_pairs(hashes, np.full(1500, 100), turned=False)))
    assert 1500 <= len(found) <= 1500 * HASH_NEIGHBOURS_MAX
