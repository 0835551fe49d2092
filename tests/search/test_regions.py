from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.errors import QueryInvalid
from search.regions import BOX_AREA_MIN, NONE, PRESENT_MIN, Regions, boxes_of, find_regions, matching
from search.regions_texts import (
    EVERYDAY_NOUNS,
    SENTENCES,
    chance_texts,
    checked_texts,
    everyday_phrases,
    is_noun,
    text_vectors,
)

DIMENSION = 64
REAL = Path(__file__).parents[3] / "shared" / "data" / "regions"


def unit(*shape: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def regions(values: np.ndarray, heights: np.ndarray | None = None) -> Regions:
    values = np.asarray(values, np.float32)
    names = tuple(f"text {number}" for number in range(len(values)))
    heights = np.asarray(values if heights is None else heights, np.float32)
    return Regions(names, 8 * values.shape[2], 8 * values.shape[1], values, heights)


def test_a_cell_that_is_the_text_stands_out_and_the_others_do_not():
    patches, texts = unit(6, 8, DIMENSION), unit(1, DIMENSION, seed=1)
    patches[2, 5] = texts[0]
    values, _ = find_regions(patches, texts, unit(60, DIMENSION, seed=2))
    assert values[0, 2, 5] > 0.99
    assert np.unravel_index(values[0].argmax(), (6, 8)) == (2, 5)


def test_texts_that_have_nothing_to_do_with_the_picture_stay_below_the_line():
    patches, texts = unit(6, 8, DIMENSION), unit(400, DIMENSION, seed=1)
    values, _ = find_regions(patches, texts, unit(100, DIMENSION, seed=2))
    said_to_be_there = (values.max(axis=(1, 2)) >= 0.5).mean()
    # One in six if the best cells lay evenly around their median; of random numbers more lie above it.
    assert 0.05 < said_to_be_there < 0.4


def test_a_text_is_judged_the_same_whatever_is_asked_beside_it():
    patches, texts, chance = unit(4, 4, DIMENSION), unit(3, DIMENSION, seed=1), unit(50, DIMENSION, seed=2)
    alone, _ = find_regions(patches, texts[1:2], chance)
    together, _ = find_regions(patches, texts, chance)
    assert np.allclose(alone[0], together[1], atol=1e-6)


def test_a_picture_that_scores_high_with_everything_is_no_match():
    chance, texts = unit(80, DIMENSION, seed=2), unit(1, DIMENSION, seed=1)
    before, _ = find_regions(unit(5, 5, DIMENSION), texts, chance)
    towards_all = unit(5, 5, DIMENSION) + 3 * np.ones(DIMENSION, np.float32)
    shift = np.ones(DIMENSION, np.float32)
    after, _ = find_regions(towards_all, texts + shift, chance + shift)
    assert abs(float(after.max()) - float(before.max())) < 0.6
    assert after.max() < 0.95


def test_maps_have_the_pictures_size_and_stay_within_0_and_1():
    found = regions(np.random.default_rng(0).random((3, 4, 5)))
    maps = found.maps()
    assert (maps.shape, maps.dtype) == ((3, 32, 40), np.float32)
    assert maps.min() >= 0
    assert maps.max() <= 1


def test_presence_is_the_highest_value():
    assert regions([[[0.1, 0.7]], [[0.2, 0.3]]]).presence == pytest.approx([0.7, 0.3])


def test_places_where_no_text_matches_are_none_of_these():
    labels = regions([[[0.9, 0.1]], [[0.1, 0.1]]]).labels()
    assert labels[:, 0].tolist() == [0] * 8
    assert labels[:, -1].tolist() == [NONE] * 8


def test_texts_compete_by_how_far_they_stand_above_their_own_mean():
    values = [[[0.9, 0.9, 0.9]], [[0.1, 0.1, 0.9]]]
    heights = [[[3.0, 3.0, 3.0]], [[0.0, 0.0, 2.5]]]
    labels = regions(values, heights).labels(size=(3, 1))
    assert labels.tolist() == [[0, 0, 1]]


def test_boxes_are_the_connected_parts_highest_first():
    values = np.zeros((20, 30), np.float32)
    values[2:6, 3:8] = 0.6
    values[10:15, 20:30] = 0.9
    first, second = boxes_of(values)
    assert (first.left, first.top, first.right, first.bottom) == (20, 10, 30, 15)
    assert (second.left, second.top, second.right, second.bottom) == (3, 2, 8, 6)
    assert (first.score, second.score) == pytest.approx((0.9, 0.6))


def test_crumbs_get_no_box_beside_what_is_larger():
    values = np.zeros((100, 100), np.float32)
    values[10:50, 10:50] = 0.8
    values[90, 90] = 0.9
    assert len(boxes_of(values)) == 1


def crumbs(*sides: int) -> np.ndarray:
    """A map of 400 x 400 with a square of each side: below 18 it is a crumb."""
    values = np.zeros((400, 400), np.float32)
    for number, side in enumerate(sides):
        values[:side, 40 * number : 40 * number + side] = 0.8
    return values


def test_the_largest_of_several_crumbs_gets_a_box():
    (box,) = boxes_of(crumbs(5, 9))
    assert (box.left, box.right) == (40, 49)


@pytest.mark.parametrize("sides", [(5, 9), (5, 30), (20, 30), (7, 7), (5,), ()])
def test_the_mask_holds_what_the_boxes_are_around(sides: tuple[int, ...]):
    values = crumbs(*sides)
    boxed = np.zeros(values.shape, bool)
    for box in boxes_of(values):
        boxed[box.top : box.bottom, box.left : box.right] = True
    assert np.array_equal(matching(values), boxed)


def test_a_text_that_is_present_has_a_box_and_a_mask_however_many_crumbs_match():
    grid = np.zeros((1, 40, 40), np.float32)
    grid[0, 5, 5] = grid[0, 30, 30] = 0.6
    found = regions(grid)
    assert found.matches(0).mean() < BOX_AREA_MIN
    assert (found.present[0], bool(found.boxes(0)), found.matches(0).any()) == (True, True, True)


def test_a_text_is_present_in_boxes_and_labels_too_where_its_map_stays_below_its_best_cell():
    grid = np.zeros((1, 4, 4), np.float32)
    grid[0, 1, 1] = 0.502
    found = regions(grid)
    assert found.map_of(0).max() < PRESENT_MIN <= found.presence[0]
    assert (len(found.boxes(0)), (found.labels() == 0).any()) == (1, True)


def test_a_text_that_is_not_present_matches_nowhere():
    found = regions([[[0.49999, 0.1]]])
    assert (found.boxes(0), found.matches(0).any(), found.present[0]) == ([], False, False)


def test_crumbs_are_left_out_of_the_labels_as_of_the_boxes():
    grid = np.zeros((1, 40, 40), np.float32)
    grid[0, 5:20, 5:20] = 0.9
    grid[0, 30, 30] = 0.6
    labels = regions(grid).labels()
    assert (labels[40:160, 40:160] == 0).any()
    assert (labels[200:, 200:] == NONE).all()


def test_nothing_that_matches_gives_no_box():
    assert boxes_of(np.full((10, 10), 0.4, np.float32)) == []


def test_nothing_is_enlarged_for_a_text_that_is_not_present(monkeypatch: pytest.MonkeyPatch):
    found = regions([[[0.49, 0.1]], [[0.2, 0.1]]])
    monkeypatch.setattr("search.regions.enlarged", lambda *_: 1 / 0)
    assert (found.boxes(0), found.matches(0).any(), found.parts(1)) == ([], False, None)
    assert (found.labels() == NONE).all()
    assert found.matches(0, size=(7, 5)).shape == (5, 7)


def test_a_text_that_another_stands_above_everywhere_is_outdone():
    values = [[[0.9, 0.1]], [[0.6, 0.1]], [[0.2, 0.1]]]
    heights = [[[4.0, 0.0]], [[2.0, 0.0]], [[0.0, 0.0]]]
    found = regions(values, heights)
    assert [found.is_outdone(text) for text in range(3)] == [False, True, False]
    assert not regions(values[1:], heights[1:]).is_outdone(0)


@pytest.mark.parametrize("texts", [[], [""], ["dog", "  "]])
def test_no_text_or_an_empty_one_is_refused(texts: list[str]):
    with pytest.raises(QueryInvalid, match=r"empty|nothing to look for"):
        checked_texts(texts)


@pytest.mark.parametrize(
    ("text", "noun"),
    [("dog", True), ("red umbrella", True), ("a dog", False), ("a dog on the beach", False)],
)
def test_nouns_and_phrases_are_told_apart(text: str, noun: bool):
    assert is_noun(text) is noun


class Recorder:
    """An encoder of random vectors that notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        self.asked += texts
        return unit(len(texts), DIMENSION, seed=len(self.asked))


def test_a_noun_is_asked_for_in_sentences_and_a_phrase_as_it_is():
    encoder = Recorder()
    vectors = text_vectors(encoder, ["dog", "a dog on {} beach"])  # type: ignore[arg-type]
    assert encoder.asked == [sentence.format("dog") for sentence in SENTENCES] + ["a dog on {} beach"]
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors.shape == (2, DIMENSION)


class Kept(Recorder):
    """Such an encoder with a cache folder of its own."""

    class card:
        name = "no model"
        weights_hash = "of no model"
        precision = "float32"
        dimension = DIMENSION


def test_phrases_are_judged_by_everyday_phrases_and_nouns_by_nouns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path))
    encoder = Kept()
    chance_texts(encoder)  # type: ignore[arg-type]
    phrases = encoder.asked[len(SENTENCES) * len(EVERYDAY_NOUNS) :]
    assert tuple(phrases) == everyday_phrases()


def test_no_everyday_phrase_is_taken_for_a_noun():
    assert [phrase for phrase in everyday_phrases() if is_noun(phrase)] == []


def test_chance_texts_are_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path))
    first = chance_texts(Kept())  # type: ignore[arg-type]
    again = Kept()
    assert np.array_equal(chance_texts(again).phrases, first.phrases)  # type: ignore[arg-type]
    assert again.asked == []


@pytest.mark.skipif(not REAL.is_dir(), reason="the region photos are not here")
def test_of_absent_things_phrases_are_claimed_about_as_rarely_as_nouns():
    from search.regions import load_highlighter
    from trainer.region_measure import read_mask, read_region_set

    photos = read_region_set(REAL)
    highlighter = load_highlighter("builtin", device="cpu")
    texts = [f"a photo of a {name}" for name in photos.names]
    claimed = []
    for photo in photos.photos[1:20:2]:
        found = highlighter.find(Image.open(photo.image), texts)
        claimed += found.present[~np.isin(photos.ids, read_mask(photo))].tolist()
    assert 0.05 < np.mean(claimed) < 0.2


def test_the_built_in_model_finds_the_half_of_a_picture_with_the_cat():
    skimage_data = pytest.importorskip("skimage.data")
    from search.regions import load_highlighter

    cat = Image.fromarray(skimage_data.chelsea()).resize((300, 300))
    picture = Image.new("RGB", (600, 300), (90, 140, 60))
    picture.paste(cat, (300, 0))
    found = load_highlighter("builtin", device="cpu").find(picture, ["cat"])
    values = found.map_of(0)
    assert (values.shape, found.texts) == ((300, 600), ("cat",))
    assert values[:, 300:].mean() > values[:, :300].mean()
