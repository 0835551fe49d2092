"""Crops lie within the picture, keep what they must, and are the same for the same seed."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from indexer.encoders.base import prepared_batch
from indexer.errors import PairsInvalid
from trainer.tuning.images import Crops, Images, crop_box

from .models import draw_pairs, tiny_trainee


@pytest.mark.parametrize("size", [(640, 480), (100, 900), (7, 5)])
@pytest.mark.parametrize("target", [None, (32, 32), (64, 32)])
def test_a_crop_lies_within_the_picture(size: tuple[int, int], target: tuple[int, int] | None) -> None:
    chance = np.random.default_rng(0)
    for _ in range(200):
        left, top, right, bottom = crop_box(size, target, 0.3, chance)
        assert 0 <= left < right <= size[0] + 1e-6
        assert 0 <= top < bottom <= size[1] + 1e-6


def test_a_crop_of_a_squashed_picture_keeps_its_share() -> None:
    chance = np.random.default_rng(0)
    boxes = np.array([crop_box((400, 300), None, 0.5, chance) for _ in range(300)])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / (400 * 300)
    assert areas.min() > 0.5 * 0.85  # where the stretch meets the picture's edge, a little more is lost
    assert areas.max() <= 1


def test_equal_seeds_give_equal_crops(tmp_path: Path) -> None:
    examples = draw_pairs(tmp_path)[:6]
    preprocessing = tiny_trainee().preprocessing
    crops = [Crops(np.array([4, 1]), (3, 0)), Crops(np.array([4, 1]), (3, 1))]
    with closing(Images(examples, preprocessing)) as one, closing(Images(examples, preprocessing)) as other:
        first = list(one.cropped(crops, least_area=0.5, flips=True))
        again = list(other.cropped(crops, least_area=0.5, flips=True))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[0], first[1])


def test_whole_images_are_prepared_as_index_prepares_them(tmp_path: Path) -> None:
    from PIL import Image

    examples = draw_pairs(tmp_path)[:5]
    preprocessing = tiny_trainee().preprocessing
    with closing(Images(examples, preprocessing)) as images:
        batches = np.concatenate(list(images.whole(2)))
    opened = [Image.open(example.image.path) for example in examples]
    assert np.array_equal(batches, prepared_batch(opened, preprocessing))


def test_an_image_that_is_damaged_meanwhile_stops_the_run_and_is_named(tmp_path: Path) -> None:
    (example, *_) = draw_pairs(tmp_path)
    path = example.image.path
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    crops = [Crops(np.array([0]), (3, 0))]
    with closing(Images([example], tiny_trainee().preprocessing)) as images:
        with pytest.raises(PairsInvalid, match=r"top\.png: damaged: .* put it back as it was"):
            list(images.whole(1))
        with pytest.raises(PairsInvalid, match="--resume"):
            list(images.cropped(crops, least_area=0.5, flips=False))
