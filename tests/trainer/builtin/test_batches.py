import numpy as np
import pytest
import torch

from trainer.builtin.batches import Share, augment, batches
from trainer.builtin.pairs import PairSet

NAMES = ("red", "green", "blue", "black")
COLOURS = ((220, 30, 30), (30, 200, 30), (30, 30, 220), (5, 5, 5))


@pytest.fixture(scope="module")
def colours() -> PairSet:
    pixels = np.array(COLOURS, dtype=np.uint8).repeat(5, axis=0)[:, None, None, :]
    groups = np.arange(4).repeat(5)
    return PairSet(
        pixels.repeat(8, axis=1).repeat(8, axis=2), groups, tuple((n,) for n in NAMES), are_names=True
    )


def test_the_same_step_draws_the_same_batch(colours: PairSet) -> None:
    share = Share(colours, 6, 1)
    stream = batches(lambda _: [share], size=lambda _: 8, seed=3)
    next(stream)
    second = next(stream)
    again = next(batches(lambda _: [share], size=lambda _: 8, seed=3, first_step=1))
    assert again.texts == second.texts
    torch.testing.assert_close(again.pixels, second.pixels)


def test_every_image_of_a_batch_has_a_text(colours: PairSet) -> None:
    batch = next(batches(lambda _: [Share(colours, 6, 1), Share(colours, 4, 0)], size=lambda _: 8, seed=3))
    assert set(batch.image_keys.tolist()) <= set(batch.text_keys.tolist())


def test_a_name_asked_for_several_times_is_worded_differently(colours: PairSet) -> None:
    batch = next(batches(lambda _: [Share(colours, 20, 0, texts_per_group=3)], size=lambda _: 8, seed=3))
    assert batch.text_keys.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert len(set(batch.texts)) == 12


def test_two_sources_never_share_a_key(colours: PairSet) -> None:
    batch = next(batches(lambda _: [Share(colours, 20, 0), Share(colours, 20, 0)], size=lambda _: 8, seed=3))
    assert set(batch.image_keys[:20].tolist()).isdisjoint(batch.image_keys[20:].tolist())


def test_augmented_pixels_keep_their_colour_roughly() -> None:
    pixels = np.full((4, 10, 10, 3), (220, 30, 30), dtype=np.uint8)
    augmented = augment(pixels, 6, 0.45, np.random.default_rng(0))
    assert augmented.shape == (4, 3, 6, 6)
    assert bool((augmented[:, 0] > augmented[:, 1]).all())
