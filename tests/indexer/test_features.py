import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageOps

from indexer.features import FEATURE, FEATURES_MAX, Features, local_features, mirrored, pack, unpack

NAMES = ("astronaut", "chelsea", "coffee", "rocket")


def photo(name: str) -> Image.Image:
    return Image.fromarray(getattr(skimage.data, name)()).convert("RGB")


def share_found(wanted: Features, among: Features) -> float:
    """Give the share of marks that have one within 14 bits among the others."""
    distances = np.bitwise_count(wanted["code"][:, None] ^ among["code"][None]).sum(axis=2)
    return float((distances.min(axis=1) <= 14).mean())


@pytest.mark.parametrize("name", NAMES)
def test_a_photo_has_as_many_marks_as_are_kept(name: str) -> None:
    assert len(local_features(photo(name))) == FEATURES_MAX


def test_a_featureless_picture_has_none() -> None:
    assert len(local_features(Image.new("RGB", (300, 200), "grey"))) == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (3, 2)])
def test_the_smallest_and_thinnest_pictures_are_no_trouble(size: tuple[int, int]) -> None:
    assert local_features(Image.new("RGB", size, "white")).dtype == FEATURE


@pytest.mark.parametrize("name", NAMES)
def test_half_the_size_keeps_most_marks(name: str) -> None:
    image = photo(name)
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    assert share_found(local_features(image), local_features(half)) > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_a_quarter_turn_keeps_most_marks_and_turns_their_angles(name: str) -> None:
    image = photo(name)
    marks, turned = local_features(image), local_features(image.transpose(Image.Transpose.ROTATE_90))
    distances = np.bitwise_count(marks["code"][:, None] ^ turned["code"][None]).sum(axis=2)
    partner, same = distances.argmin(axis=1), distances.min(axis=1) <= 14
    assert same.mean() > 0.6
    quarter = (marks["angle"][same] - turned["angle"][partner[same]]).astype(int)
    assert abs(float(np.median(quarter)) - 64) <= 2


@pytest.mark.parametrize("name", NAMES)
def test_mirrored_marks_are_those_of_the_mirrored_picture(name: str) -> None:
    image = photo(name)
    worked_out, seen = mirrored(local_features(image)), local_features(ImageOps.mirror(image))
    assert share_found(worked_out, seen) > 0.6
    assert share_found(local_features(image), seen) < 0.3


def test_mirroring_twice_changes_nothing() -> None:
    marks = local_features(photo("coffee"))
    assert (mirrored(mirrored(marks)) == marks).all()


def test_different_photos_share_hardly_a_mark() -> None:
    assert share_found(local_features(photo("coffee")), local_features(photo("rocket"))) < 0.1


def test_marks_come_back_as_they_were_stored() -> None:
    marks = local_features(photo("astronaut"))
    assert len(pack(marks)) == 20 * len(marks)
    assert (unpack(pack(marks)) == marks).all()
