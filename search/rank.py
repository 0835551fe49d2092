"""Relevance: how far an answer stands above what unrelated queries get at the same image, from 0 to 1.

A cosine means nothing by itself: 0.28 is a fine match for one query and noise for the next, and some images
score high with whatever is asked. So the best image's score is taken less what unrelated texts score there
on average, in spreads of those scores: its *height*. indexer/background.py has measured the heights that the
best images of unrelated texts reach; their median is `top_mean`, their 16th percentile lies `top_std` below,
and we assume the 84th to lie as far above. Relevance 0.5 is put there: five of six unrelated queries find
nothing that stands as high. The other hits follow by their scores, so relevance falls as scores do. The best
image is that of the whole library: else the same image would have another relevance with every filter.

Measuring against the same image is what makes it work: over half of Flickr8k's dev photos and the shipped
built-in model (recall@10 .280), this told captions of photos from texts about other things with an AUC of
.94; the plain cosine got .92, counting from the query's own mean and spread over the library .47. Of the
captions 85 % were said to match, of the other texts 14 %: with a model as small as that, "nothing matches"
is a hint and no more (benchmarks/relevance.py measures it for any model).

An example image cannot be compared with texts, and its cosines bunch up below 1, where spreads say little. So
with examples in the query, each is exchanged for random images of the library (and each text for the mean of
the unrelated ones), and relevance is the chance that 20 such scores would all lie below the hit's.

A query that only takes away looks for nothing that could be found or missed: all its hits get 0.5, which
says neither.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.records import Vectors

from .query import MixedQuery

# The line between "here it is" and "nothing matches".
RELEVANCE_MIN = 0.5
SAMPLE_SIZE = 1024  # vectors; means and spreads over them move by 3 % at most
SAMPLE_SEED = 0
# An example is judged against the library's own images; fewer are no crowd, and then no claim is made.
CROWD_IMAGES_MIN = 20
RANDOM_IMAGES = 20  # puts relevance 0.5 at what 1 in 30 random pairs of images reaches
_PAIRS = (128, 1024)  # of the sample with the sample; settles that 1 in 30 to a few per cent


@dataclass(frozen=True, slots=True)
class Scale:
    """Turns the cosines of one answer into relevance."""

    baseline: float  # what unrelated queries score at the best image
    spread: float  # of their scores around that
    top_mean: float  # the height that unrelated queries' best images reach, in spreads
    top_std: float

    def relevance(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Map cosines (n,) to 0..1, rising with them."""
        heights = (np.asarray(scores, dtype=np.float64) - self.baseline) / self.spread
        above = (heights - self.top_mean) / self.top_std - 1.0
        return np.array([_normal_share_below(value) for value in above])


@dataclass(frozen=True, slots=True)
class ExampleScale:
    """Turns the cosines of an answer to examples into relevance."""

    mean: float  # of the query's scores over the library
    unrelated: NDArray[
        np.float32
    ]  # how far above their mean random images in the examples' place score, rising
    draws: int

    def relevance(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Map cosines (n,) to 0..1, rising with them."""
        below = np.searchsorted(self.unrelated, np.asarray(scores, dtype=np.float32) - self.mean)
        return np.asarray(((below + 1) / (len(self.unrelated) + 2)) ** self.draws, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class NoScale:
    """Gives the relevance of hits that nothing was looked for in: neither a match nor none."""

    def relevance(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give 0.5 for each of the cosines (n,)."""
        return np.full(len(scores), RELEVANCE_MIN)


AnyScale: TypeAlias = Scale | ExampleScale | NoScale


def measure_scale(
    mixed: MixedQuery, best: NDArray[np.float32], sample: Vectors, background: Mapping[str, Any] | None
) -> AnyScale:
    """Measure at the best image (dim,) of the whole library; sample is (n, dim) of it.

    background is what the indexer measured.
    """
    if not (mixed.shares > 0).any():
        return NoScale()
    known = background if has_background(background) else None
    if mixed.is_example.any():
        return _example_scale(mixed, sample, known)
    if known is None:
        return _crowd_scale(mixed, sample)
    share = float(mixed.shares.sum())
    return Scale(
        baseline=share * float(np.array(known["mean"], dtype=np.float32) @ best),
        spread=max(_text_spread(mixed, known), 1e-4),
        top_mean=float(known["top_mean"]),
        top_std=float(known["top_std"]),
    )


def has_background(background: Mapping[str, Any] | None) -> bool:
    """Tell whether the indexer has measured what texts are judged by; an early edition lacked the mean."""
    return background is not None and "mean" in background


def _text_spread(mixed: MixedQuery, known: Mapping[str, Any]) -> float:
    return float(np.linalg.norm(mixed.shares[~mixed.is_example])) * float(known["spread"])


def _example_scale(mixed: MixedQuery, sample: Vectors, known: Mapping[str, Any] | None) -> ExampleScale:
    """Score random images, in the examples' place, against others."""
    generator = np.random.default_rng(SAMPLE_SEED)
    order = generator.permutation(len(sample))
    queries, images = order[: _PAIRS[0]], order[: _PAIRS[1]]
    scores = float(mixed.shares[mixed.is_example].sum()) * (sample[queries] @ sample[images].T)
    if known is not None and not mixed.is_example.all():
        share = float(mixed.shares[~mixed.is_example].sum())
        scores += share * (sample[images] @ np.array(known["mean"], dtype=np.float32))
        scores += generator.normal(scale=_text_spread(mixed, known), size=scores.shape)
    others = queries[:, None] != images[None, :]
    mean = 0.0
    if not mixed.is_example.all():
        # The words decide how high a query scores at all; so each is counted from its mean over the library.
        mean = float((sample @ mixed.vector).mean())
        scores -= np.where(others, scores, 0).sum(axis=1, keepdims=True) / max(len(images) - 1, 1)
    return ExampleScale(mean, np.sort(scores[others]), min(RANDOM_IMAGES, len(sample)))


def _crowd_scale(mixed: MixedQuery, sample: Vectors) -> Scale:
    """Do with the query's own scores until the indexer has measured; the best of n at random is the line."""
    scores = sample @ mixed.vector
    top_mean = math.sqrt(2 * math.log(max(len(sample), 2)))
    return Scale(float(scores.mean()), max(float(scores.std()), 1e-4), top_mean, 0.4)


def _normal_share_below(value: float) -> float:
    return 0.5 * math.erfc(-value / math.sqrt(2))
