import numpy as np
import pytest
import torch

from trainer.builtin.batches import Share, augment, batches
from trainer.builtin.mixing import Mixture, mix
from trainer.builtin.pairs import PairSet


def plain(count: int, size: int = 24) -> torch.Tensor:
    """Give pictures of one value each: 0, 1, 2, ..."""
    return torch.arange(count, dtype=torch.float32)[:, None, None, None].expand(count, 3, size, size)


def test_as_much_of_a_picture_is_its_own_as_is_told() -> None:
    pixels, mixture = mix(plain(200), 0.6, np.random.default_rng(1))
    own, partner = torch.arange(200.0), mixture.partner.float()
    expected = mixture.own[:, 0] * own + (1 - mixture.own[:, 0]) * partner
    torch.testing.assert_close(pixels.mean(dim=(1, 2, 3)), expected, atol=1e-3, rtol=1e-4)
    assert 0.5 < (mixture.own < 1).float().mean() < 0.7


def test_some_have_a_box_of_the_other_and_some_a_veil_of_it() -> None:
    pixels, mixture = mix(plain(200), 1.0, np.random.default_rng(1))
    values = [len(torch.unique(picture)) for picture, own in zip(pixels, mixture.own, strict=True) if own < 1]
    assert set(values) == {1, 2}
    assert 0.2 < values.count(1) / len(values) < 0.45


def test_pictures_that_are_not_mixed_stay_as_they_are() -> None:
    pixels, mixture = mix(plain(50), 0.0, np.random.default_rng(1))
    assert torch.equal(pixels, plain(50))
    rows = torch.rand(50, 7)
    torch.testing.assert_close(mixture.targets(rows), rows)


def test_targets_are_mixed_as_the_pictures_are_and_keep_their_sum() -> None:
    mixture = Mixture(torch.tensor([1, 0, 2]), torch.tensor([[0.75], [0.5], [1.0]]))
    rows = torch.tensor([[4.0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]])
    expected = torch.tensor([[3.0, 0.5, 0.5, 0], [1, 0.5, 0.5, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(mixture.targets(rows), expected)


@pytest.fixture
def pairs() -> PairSet:
    pixels = np.random.default_rng(2).integers(0, 256, (20, 40, 40, 3), dtype=np.uint8)
    return PairSet(pixels, np.arange(20), tuple((f"picture {n}",) for n in range(20)), are_names=False)


def test_mixed_batches_are_the_same_after_a_stop(pairs: PairSet) -> None:
    options = {"size": lambda _: 32, "seed": 3, "mixed": 0.6}
    stream = batches(lambda _: [Share(pairs, 8, 0)], **options)
    next(stream)
    second, resumed = next(stream), next(batches(lambda _: [Share(pairs, 8, 0)], first_step=1, **options))
    assert torch.equal(second.pixels, resumed.pixels)
    assert torch.equal(second.mixture.own, resumed.mixture.own)


def test_harder_pictures_stay_within_reach_of_plain_ones(pairs: PairSet) -> None:
    """Turned, tinted and blurred, but still pictures: of the right shape, finite, and about as bright."""
    harder = augment(pairs.pixels, 32, 0.3, np.random.default_rng(4), harder=True)
    assert harder.shape == (20, 3, 32, 32)
    assert harder.abs().max() < 3
    assert not torch.allclose(harder, augment(pairs.pixels, 32, 0.3, np.random.default_rng(4)))
