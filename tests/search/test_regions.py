import numpy as np
import pytest
from PIL import Image

from indexer.errors import QueryInvalid
from search.regions import NONE, Regions, boxes_of, find_regions
from search.regions_texts import SENTENCES, checked_texts, is_noun, text_vectors

DIMENSION = 64


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


def test_nothing_that_matches_gives_no_box():
    assert boxes_of(np.full((10, 10), 0.4, np.float32)) == []


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
