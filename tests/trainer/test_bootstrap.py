import numpy as np
import pytest

from trainer.bootstrap import MedianRank, Resampled, Share, draw_images, resample, share_of


def share(good: np.ndarray) -> Share:
    return Share(good.astype(np.int64), np.ones(len(good), dtype=np.int64))


def test_interval_of_a_share_is_that_of_the_normal_approximation() -> None:
    good = np.arange(1000) % 4 == 0
    found = resample(share(good), draw_images(1000, seed=1)).estimate
    spread = 1.96 * (0.25 * 0.75 / 1000) ** 0.5
    assert found.value == 0.25
    assert (found.low, found.high) == pytest.approx((0.25 - spread, 0.25 + spread), abs=0.005)


def test_captions_that_fail_together_widen_the_interval() -> None:
    of_image = np.arange(200) % 2
    together = Share(5 * of_image, np.full(200, 5))
    apart = Share(np.random.default_rng(0).binomial(5, 0.5, 200), np.full(200, 5))
    draws = draw_images(200, seed=0)
    widths = [part.high - part.low for part in (resample(each, draws).estimate for each in (together, apart))]
    assert widths[0] > 1.8 * widths[1]  # by the root of five


def test_half_the_images_drawn_again_cover_the_truth_nineteen_times_of_twenty() -> None:
    chance = np.random.default_rng(3)
    draws = draw_images(150, seed=0)
    intervals = [resample(share(chance.random(150) < 0.3), draws).estimate for _ in range(200)]
    assert 0.9 < np.mean([one.low <= 0.3 <= one.high for one in intervals]) <= 0.99


def test_pairing_finds_a_difference_that_two_intervals_hide() -> None:
    good = np.random.default_rng(0).random(400) < 0.5
    better = good.copy()
    better[np.flatnonzero(~good)[:20]] = True  # right wherever the first is, and twenty times more
    draws = draw_images(400, seed=0)
    first, second = resample(share(good), draws), resample(share(better), draws)
    assert first.estimate.high > second.estimate.low
    change = first.change_to(second)
    assert change.value == pytest.approx(0.05)
    assert 0 < change.low < 0.05 < change.high


def test_equal_models_differ_by_nothing() -> None:
    good = np.arange(100) % 3 == 0
    draws = draw_images(100, seed=0)
    change = resample(share(good), draws).change_to(resample(share(good.copy()), draws))
    assert (change.value, change.low, change.high) == (0.0, 0.0, 0.0)


def test_the_interval_leaves_out_a_fortieth_of_the_draws_at_each_end() -> None:
    one, other = (Resampled(share(np.ones(1)), 0.5, sign * np.arange(1001) / 1000) for sign in (1, -1))
    intervals = [(found.low, found.high) for found in (one.estimate, other.change_to(one))]
    assert intervals == [pytest.approx((0.025, 0.975)), pytest.approx((0.05, 1.95))]


def test_none_right_of_ten_still_leaves_doubt() -> None:
    found = resample(share(np.zeros(10)), draw_images(10, seed=0)).estimate
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(0.3085, abs=1e-4)  # 1 - 0.025 ** (1 / 10), Clopper and Pearson


def test_all_right_of_ten_still_leaves_doubt() -> None:
    found = resample(share(np.ones(10)), draw_images(10, seed=0)).estimate
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.6915, abs=1e-4)  # 0.025 ** (1 / 10), Clopper and Pearson


@pytest.mark.parametrize("images", [40, 41])
def test_median_rank_is_numpys_median_of_each_draw(images: int) -> None:
    chance = np.random.default_rng(0)
    ranks, owners = chance.integers(1, 90, images * 3), np.repeat(np.arange(images), 3)
    draws = draw_images(images, seed=2)[:25]
    found = MedianRank(ranks, owners, images).of(draws)
    expected = [np.median(np.repeat(ranks, drawn[owners])) for drawn in draws]
    np.testing.assert_allclose(found, expected)


def test_outcomes_are_summed_by_image() -> None:
    found = share_of(np.array([True, False, True, True]), np.array([0, 0, 2, 2]), 3)
    assert (found.good.tolist(), found.asked.tolist()) == ([1, 0, 2], [2, 0, 2])


def test_a_seed_gives_the_same_draws_and_another_one_others() -> None:
    assert np.array_equal(draw_images(30, seed=4), draw_images(30, seed=4))
    assert not np.array_equal(draw_images(30, seed=4), draw_images(30, seed=5))
    assert (draw_images(30, seed=4).sum(axis=1) == 30).all()
