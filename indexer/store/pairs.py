"""Pairs, read: what searches for duplicates have stored in a catalog.

Contents never change, so what was found about two of them stays true: a later search compares only contents
that are new to it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

import numpy as np

from ..features import FEATURE, Features, unpack
from ..records import Ids
from .catalog import blanks, find_ids, portions

_LIVE_MARKS = """
FROM local_feature JOIN content ON content.id = local_feature.content_id
WHERE content.orphaned_at IS NULL ORDER BY local_feature.content_id
"""
_WITHOUT_MARKS = """
SELECT id FROM content
WHERE orphaned_at IS NULL AND id NOT IN (SELECT content_id FROM local_feature) ORDER BY id
"""
_WITHOUT_VECTOR = """
SELECT id FROM content
WHERE orphaned_at IS NULL AND id NOT IN (SELECT content_id FROM embedding WHERE encoder_id = ?)
"""
_PAIRS = """
SELECT first_id, second_id, hash_distance, turn, cosine, nearness, judged, answer FROM pair WHERE scope = ?
"""


@dataclass(frozen=True, slots=True)
class StoredPair:
    """Two contents that were worth a look, and what came of it."""

    first: int  # content id; the smaller
    second: int
    hash_distance: int | None  # bits; None where the hashes did not propose the pair
    turn: int
    cosine: float | None  # None where the vectors did not
    judged: bool = False
    answer: Mapping[str, Any] | None = None  # plain JSON values; None when judged: no duplicates
    nearness: float | None = None  # of the vectors, 1 being as far apart as strangers; None where not known


def get_features(connection: Connection) -> tuple[Ids, Ids, Features]:
    """Give the marks of all live contents that have them: ids in order, how many each has, and all marks."""
    lengths = connection.execute(f"SELECT content_id, length(marks) {_LIVE_MARKS}").fetchall()
    sizes = np.array(lengths, np.int64).reshape(-1, 2)
    ends = np.cumsum(sizes[:, 1])
    packed = bytearray(int(ends[-1]) if len(ends) else 0)  # a million pictures have a gigabyte of them
    rows = connection.execute(f"SELECT marks {_LIVE_MARKS}")
    for end, (marks,) in zip(ends.tolist(), rows, strict=True):
        packed[end - len(marks) : end] = marks
    return sizes[:, 0], sizes[:, 1] // FEATURE.itemsize, unpack(packed)


def features_of(connection: Connection, contents: Sequence[int]) -> dict[int, Features]:
    """Give the marks of these contents; those that have none stored are left out."""
    found: dict[int, Features] = {}
    for portion in portions(contents):
        question = f"SELECT content_id, marks FROM local_feature WHERE content_id IN ({blanks(portion)})"
        found.update((content, unpack(marks)) for content, marks in connection.execute(question, portion))
    return found


def without_features(connection: Connection) -> Ids:
    """Give the live contents that no marks were taken of, in order."""
    return find_ids(connection, _WITHOUT_MARKS)


def incomplete(connection: Connection, encoder_id: int) -> Ids:
    """Give the live contents without marks, or without a vector of this encoder, in order."""
    return np.union1d(find_ids(connection, _WITHOUT_VECTOR, encoder_id), without_features(connection))


def get_compared(connection: Connection, scope: str) -> Ids:
    """Give the contents that a search of this scope has seen, in order."""
    return find_ids(connection, "SELECT content_id FROM compared WHERE scope = ? ORDER BY content_id", scope)


def get_pairs(connection: Connection, scope: str) -> Iterator[StoredPair]:
    """Yield what searches of this scope have kept."""
    for row in connection.execute(_PAIRS, (scope,)):
        first, second, distance, turn, cosine, nearness, judged, answer = row
        told = None if answer is None else json.loads(answer)
        yield StoredPair(first, second, distance, turn, cosine, bool(judged), told, nearness)


def apart(connection: Connection) -> set[frozenset[bytes]]:
    """Give the pairs of contents that the user said are no duplicates."""
    rows = connection.execute("SELECT first_sha256, second_sha256 FROM not_duplicate")
    return {frozenset(row) for row in rows}
