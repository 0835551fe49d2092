import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from indexer.features import Features, local_features
from search.duplicates import feature_pairs as module
from search.duplicates.feature_pairs import SHARED_FROM, feature_pairs, may_share

from .photos import NAMES, cropped, labelled, photo


def framed(image: Image.Image) -> Image.Image:
    screen = Image.new("RGB", (image.width * 2, image.height * 2), (230, 230, 230))
    ImageDraw.Draw(screen).rectangle((0, 0, screen.width, 30), fill=(40, 40, 60))
    screen.paste(image, (image.width // 3, image.height // 2))
    return screen


EDITS = {
    "crop": lambda image: cropped(image, 0.6),
    "label": labelled,
    "frame": framed,
    "tilt": lambda image: image.rotate(5),
    "quarter": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "small": lambda image: image.resize((image.width // 3, image.height // 3)),
}


def taken(images: list[Image.Image]) -> tuple[np.ndarray, Features]:
    found = [local_features(image) for image in images]
    return np.array([len(each) for each in found]), np.concatenate(found)


def pairs(counts: np.ndarray, marks: Features, **options) -> set[tuple[int, int]]:
    parts = feature_pairs(counts, marks, **{"turned": False, **options})
    return {pair for part in parts for pair in zip(part.first.tolist(), part.second.tolist(), strict=True)}


@pytest.fixture(scope="module")
def originals() -> list[Image.Image]:
    return [photo(name) for name in NAMES]


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_paired_with_its_original_and_nothing_else(
    edit: str, originals: list[Image.Image]
) -> None:
    counts, marks = taken([*originals, EDITS[edit](photo("coffee"))])
    assert pairs(counts, marks) == {(NAMES.index("coffee"), len(NAMES))}


def test_a_mirrored_picture_is_found_when_turned_ones_are_asked_for(originals: list[Image.Image]) -> None:
    counts, marks = taken([*originals, ImageOps.mirror(photo("rocket"))])
    assert pairs(counts, marks) == set()
    assert pairs(counts, marks, turned=True) == {(NAMES.index("rocket"), len(NAMES))}


def test_only_the_asking_rows_are_compared(originals: list[Image.Image]) -> None:
    counts, marks = taken([*originals, labelled(photo("coffee")), labelled(photo("rocket"))])
    assert pairs(counts, marks, asking=np.array([len(NAMES)])) == {(NAMES.index("coffee"), len(NAMES))}


def test_images_without_marks_have_no_pairs() -> None:
    counts, marks = taken([Image.new("RGB", (90, 90))] * 3)
    assert pairs(counts, marks) == set()


def test_marks_that_agree_on_no_turn_do_not_add_up(originals: list[Image.Image]) -> None:
    marks = local_features(photo("coffee"))[:24]
    shuffled = marks.copy()
    shuffled["angle"] = np.random.default_rng(1).integers(0, 256, len(marks))
    shuffled["size"] = np.random.default_rng(2).integers(60, 250, len(marks))
    counts = np.array([len(marks), len(marks)])
    assert pairs(counts, np.concatenate([marks, marks])) == {(0, 1)}
    assert pairs(counts, np.concatenate([marks, shuffled])) == set()


def test_marks_that_very_many_pictures_share_end_soon_and_pair_some_of_them() -> None:
    """Each of 300 screenshots with one frame: all pairs would be 44,850."""
    marks = local_features(photo("coffee"))
    found = pairs(np.full(300, len(marks)), np.tile(marks, 300))
    assert 300 <= len(found) <= 300 * module.NEIGHBOURS


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_shares_marks_with_its_original(edit: str) -> None:
    image = photo("coffee")
    assert may_share(local_features(image), local_features(EDITS[edit](image)), turned=False)


def test_different_pictures_share_too_few_marks(originals: list[Image.Image]) -> None:
    rich = [found for image in originals if len(found := local_features(image)) >= SHARED_FROM]
    assert len(rich) >= 4
    assert not any(may_share(rich[0], other, turned=True) for other in rich[1:])


def test_a_mirrored_picture_shares_marks_only_when_turned_ones_are_asked_for() -> None:
    one, other = (local_features(image) for image in (photo("rocket"), ImageOps.mirror(photo("rocket"))))
    assert may_share(one, other, turned=True)
    assert not may_share(one, other, turned=False)


def test_pictures_of_few_marks_may_share_what_was_not_taken_down(originals: list[Image.Image]) -> None:
    few = local_features(originals[0])[: SHARED_FROM - 1]
    assert may_share(few, local_features(originals[1]), turned=False)
