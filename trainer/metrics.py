"""Metrics: where the right answers rank among all answers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.errors import EncoderError
from indexer.records import Vectors

SCORES_MAX = 8_000_000  # cosines held at a time, 32 MB
# Equal vectors give cosines that differ in the last bits, by the place where they stand in a matrix.
SAME_COSINE = 3e-7


@dataclass(frozen=True)
class Links:
    """Which answers are right for which query: pairs of rows, sorted by query, each with one at least."""

    queries: NDArray[np.int64]  # (p,), rising; row of the query
    answers: NDArray[np.int64]  # (p,), row of an answer that is right for it

    @property
    def rights(self) -> NDArray[np.int64]:
        """Count the right answers of each query; (m,)."""
        return np.bincount(self.queries)

    @property
    def reversed(self) -> "Links":
        """Make the answers the queries."""
        order = np.argsort(self.answers, kind="stable")
        return Links(self.answers[order], self.queries[order])


@dataclass(frozen=True)
class Answers:
    """What came of asking each of m queries for the nearest answer."""

    ranks: NDArray[np.int64]  # (m,), of the best right answer; 1 is the first place
    nearest: NDArray[np.int64]  # (m,), row of the answer that came first


def link(rights: Sequence[Sequence[int]]) -> Links:
    """Make links from each query's list of right answers."""
    queries = np.repeat(np.arange(len(rights)), [len(right) for right in rights])
    return Links(queries, np.array([answer for right in rights for answer in right], dtype=np.int64))


def ask(queries: Vectors, answers: Vectors, links: Links) -> Answers:
    """Rank (n, dim) answers for each of (m, dim) queries by cosine, in blocks of bounded memory.

    The rank of a query is that of its best right answer among that one and all wrong ones: its other right
    answers are not in the way. Ties count against us: a wrong answer that scores as high comes before.
    Raises EncoderError for vectors that are no numbers.
    """
    check_numbers(queries)
    check_numbers(answers)
    return ask_scores(lambda rows: queries[rows] @ answers.T, len(queries), len(answers), links)


def check_numbers(vectors: Vectors) -> None:
    """Raise EncoderError for vectors that are no numbers: they would rank first everywhere."""
    if not np.isfinite(vectors).all():
        raise EncoderError("the model gives vectors that are no numbers (NaN); its weights are damaged")


def ask_scores(
    scores_of: Callable[[slice], NDArray[np.float32]], queries: int, answers: int, links: Links
) -> Answers:
    """Rank answers by scores of any kind, as `ask` does; scores_of: some queries -> (rows, answers)."""
    ranks = np.empty(queries, dtype=np.int64)
    nearest = np.empty(queries, dtype=np.int64)
    for rows in _blocks(queries, answers):
        ranks[rows], nearest[rows] = ranked(scores_of(rows), _within(links, rows))
    return Answers(ranks, nearest)


def chance(rights: NDArray[np.int64], answers: int) -> NDArray[np.float64]:
    """Give the share of queries that reach rank 1, 2, ... (answers,) when answers come in random order.

    Each of m queries has so many right answers, (m,). Of n answers, c of them right, the first k are all
    wrong in (n-c)(n-c-1).../n(n-1)... of the orders.
    """
    rights, queries = np.unique(rights, return_counts=True)
    drawn = np.arange(answers)
    reached = np.zeros(answers)
    for right, count in zip(rights.tolist(), queries.tolist(), strict=True):
        misses = np.cumprod(np.maximum(answers - right - drawn, 0) / (answers - drawn))
        reached += (1 - misses) * count / queries.sum()
    return reached


def _blocks(count: int, width: int) -> Iterator[slice]:
    step = max(1, SCORES_MAX // max(width, 1))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _within(links: Links, rows: slice) -> Links:
    first, last = np.searchsorted(links.queries, (rows.start, rows.stop))
    return Links(links.queries[first:last] - rows.start, links.answers[first:last])


def ranked(scores: NDArray[np.float32], links: Links) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rank answers by (m, n) scores, as `ask` does; the rank and the nearest answer of each query.

    The scores of right answers are overwritten.
    """
    nearest = scores.argmax(axis=1)
    best = np.full(len(scores), -np.inf, dtype=np.float32)
    np.maximum.at(best, links.queries, scores[links.queries, links.answers])
    scores[links.queries, links.answers] = -np.inf
    ranks = 1 + (scores >= best[:, None] - SAME_COSINE).sum(axis=1)
    return ranks, nearest
