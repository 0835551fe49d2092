"""Bootstrap: how far a figure would move if other images of the same kind had been drawn.

Percentile intervals of resampled images (Efron, Bootstrap Methods, Annals of Statistics 1979). The captions
of an image are drawn with it, for they rise and fall together; so images are the unit, not captions.
"""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

COVERED = 0.95  # of the resampled figures lie in the interval
RESAMPLES = 1000

Draws: TypeAlias = NDArray[np.uint16]  # (b, n), how often draw b took image n


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, with its 95 % interval."""

    value: float
    low: float
    high: float


class Statistic(Protocol):
    """A figure that can be computed of any draw of n images."""

    @property
    def images(self) -> int:
        """Give n."""
        ...

    def of(self, draws: Draws) -> NDArray[np.float64]:
        """Compute the figure of each of b draws; (b,)."""
        ...


@dataclass(frozen=True)
class Share:
    """A share of queries with a good outcome."""

    good: NDArray[np.int64]  # (n,), how many of an image's queries had one
    asked: NDArray[np.int64]  # (n,), how many queries an image has

    @property
    def images(self) -> int:
        """Give n."""
        return len(self.good)

    def of(self, draws: Draws) -> NDArray[np.float64]:
        """Compute the share of each draw."""
        counts = draws.astype(np.float32)  # matrix products of integers are slow; up to 2**24 these are exact
        good, asked = (np.float64(counts @ part.astype(np.float32)) for part in (self.good, self.asked))
        return np.asarray(good / np.maximum(asked, 1))


@dataclass(frozen=True)
class MedianRank:
    """The rank that half of the queries reach."""

    ranks: NDArray[np.int64]  # (m,), one a query
    owners: NDArray[np.int64]  # (m,), row of the image that each query belongs to
    images: int

    def of(self, draws: Draws) -> NDArray[np.float64]:
        """Compute the median of each draw; of an even number of queries, the mean of the middle two."""
        order = np.argsort(self.ranks, kind="stable")
        sorted_ranks, owners = self.ranks[order], self.owners[order]
        medians = np.empty(len(draws))
        for row, drawn in enumerate(draws):  # one by one: a block of all queries of all draws is large
            passed = np.cumsum(drawn[owners], dtype=np.int64)
            middle = np.searchsorted(passed, [(passed[-1] - 1) // 2, passed[-1] // 2], side="right")
            medians[row] = sorted_ranks[middle].mean()
        return medians


def share_of(good: NDArray[np.bool_], owners: NDArray[np.int64], images: int) -> Share:
    """Sum (m,) outcomes of queries up by the images that own them."""
    return Share(np.bincount(owners[good], minlength=images), np.bincount(owners, minlength=images))


def draw_images(images: int, *, seed: int) -> Draws:
    """Draw n of n images, with replacement, a thousand times; draws of one seed make models comparable."""
    chance = np.random.default_rng(seed)
    draws = np.empty((RESAMPLES, images), dtype=np.uint16)
    for row in draws:
        row[:] = np.bincount(chance.integers(0, images, images), minlength=images)
    return draws


@dataclass(frozen=True)
class Resampled:
    """A statistic of all images, and of each draw."""

    statistic: Statistic
    value: float
    figures: NDArray[np.float64]  # (draws,)

    @property
    def estimate(self) -> Estimate:
        """Give the figure and its interval.

        Where all outcomes are alike resampling sees no doubt, so a share of 0 or 1 gets the exact interval
        of n trials (Clopper and Pearson, Biometrika 1934).
        """
        if isinstance(self.statistic, Share) and self.value in (0.0, 1.0):
            return _exact(self.value, self.statistic.images)
        return Estimate(self.value, *_interval(self.figures))

    def change_to(self, other: "Resampled") -> Estimate:
        """Give other - self with its interval: the paired bootstrap, for draws of one seed."""
        return Estimate(other.value - self.value, *_interval(other.figures - self.figures))


def resample(statistic: Statistic, draws: Draws) -> Resampled:
    """Compute a statistic of all images, and of each draw."""
    whole = np.ones((1, statistic.images), dtype=np.uint16)
    return Resampled(statistic, float(statistic.of(whole)[0]), statistic.of(draws))


def _interval(figures: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(figures, [(1 - COVERED) / 2, (1 + COVERED) / 2])
    return float(low), float(high)


def _exact(value: float, trials: int) -> Estimate:
    reach = 1 - ((1 - COVERED) / 2) ** (1 / trials)
    return Estimate(value, 0.0, reach) if value == 0 else Estimate(value, 1 - reach, 1.0)
