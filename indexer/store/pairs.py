"""Pairs: what the search for duplicates stores in a catalog, read and written.

Contents never change, so what was found about two of them stays true: a later search compares only contents
that are new to it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, CursorResult, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from ..features import FEATURE, Features, pack, unpack
from ..records import Ids
from . import schema
from .catalog import ROWS_AT_ONCE, portions

PAIRS_AT_ONCE = 10_000

compared, content, local_feature = schema.compared, schema.content, schema.local_feature
not_duplicate, pair = schema.not_duplicate, schema.pair


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


def get_features(connection: Connection) -> tuple[Ids, Ids, Features]:
    """Give the marks of all live contents that have them: ids in order, how many each has, and all marks."""
    columns = (local_feature.c.content_id, func.length(local_feature.c.marks), local_feature.c.marks)
    live = content.c.orphaned_at.is_(None)

    def query(*wanted: ColumnElement[Any]) -> CursorResult[Any]:
        joined = select(*wanted).join(content, content.c.id == local_feature.c.content_id).where(live)
        return connection.execute(joined.order_by(local_feature.c.content_id))

    sizes = np.array(query(*columns[:2]).all(), np.int64).reshape(-1, 2)
    ends = np.cumsum(sizes[:, 1])
    packed = bytearray(int(ends[-1]) if len(ends) else 0)  # a million pictures have a gigabyte of them
    for end, (marks,) in zip(ends.tolist(), query(columns[2]).yield_per(ROWS_AT_ONCE), strict=True):
        packed[end - len(marks) : end] = marks
    return sizes[:, 0], sizes[:, 1] // FEATURE.itemsize, unpack(packed)


def without_features(connection: Connection) -> Ids:
    """Give the live contents that no marks were taken of, in order."""
    known = select(local_feature.c.content_id)
    query = select(content.c.id).where(content.c.orphaned_at.is_(None), content.c.id.not_in(known))
    return np.fromiter(connection.execute(query.order_by(content.c.id)).scalars(), np.int64)


def incomplete(connection: Connection, encoder_id: int) -> Ids:
    """Give the live contents without marks, or without a vector of this encoder, in order."""
    vectors = select(schema.embedding.c.content_id).where(schema.embedding.c.encoder_id == encoder_id)
    query = select(content.c.id).where(content.c.orphaned_at.is_(None), content.c.id.not_in(vectors))
    found = np.fromiter(connection.execute(query).scalars(), np.int64)
    return np.union1d(found, without_features(connection))


def put_features(connection: Connection, marks: Mapping[int, Features]) -> None:
    """Store the marks of contents."""
    rows = [{"content_id": id, "marks": pack(features)} for id, features in marks.items()]
    if rows:
        row = insert(local_feature)
        connection.execute(
            row.on_conflict_do_update(index_elements=["content_id"], set_={"marks": row.excluded.marks}),
            rows,
        )


def get_compared(connection: Connection, scope: str) -> Ids:
    """Give the contents that a search of this scope has seen, in order."""
    query = select(compared.c.content_id).where(compared.c.scope == scope)
    return np.fromiter(connection.execute(query.order_by(compared.c.content_id)).scalars(), np.int64)


def get_pairs(connection: Connection, scope: str) -> Iterator[StoredPair]:
    """Yield what searches of this scope have kept."""
    columns = [column for column in pair.c if column.key != "scope"]
    result = connection.execute(select(*columns).where(pair.c.scope == scope))
    while rows := result.fetchmany(ROWS_AT_ONCE):
        yield from (StoredPair(*row) for row in rows)
    result.close()


def put_pairs(connection: Connection, scope: str, pairs: Iterable[StoredPair]) -> None:
    """Keep pairs, or what is newly known of them; those of contents that are gone by now are left out."""
    row = insert(pair)
    changed = {name: row.excluded[name] for name in ("judged", "answer")}
    statement = row.on_conflict_do_update(index_elements=["scope", "first_id", "second_id"], set_=changed)
    remaining = iter(pairs)
    while some := list(islice(remaining, PAIRS_AT_ONCE)):
        here = _existing(connection, {id for pair in some for id in (pair.first, pair.second)})
        rows = [_pair_row(scope, pair) for pair in some if pair.first in here and pair.second in here]
        if rows:
            connection.execute(statement, rows)


def _pair_row(scope: str, pair: StoredPair) -> dict[str, Any]:
    return {
        "scope": scope,
        "first_id": pair.first,
        "second_id": pair.second,
        "hash_distance": pair.hash_distance,
        "turn": pair.turn,
        "cosine": pair.cosine,
        "judged": pair.judged,
        "answer": None if pair.answer is None else dict(pair.answer),
    }


def put_compared(connection: Connection, scope: str, ids: Collection[int]) -> None:
    """Note that a search of this scope has seen these contents."""
    here = _existing(connection, ids)
    rows = [{"scope": scope, "content_id": id} for id in sorted(here)]
    if rows:
        connection.execute(insert(compared).on_conflict_do_nothing(), rows)


def _existing(connection: Connection, ids: Collection[int]) -> set[int]:
    found: set[int] = set()
    for portion in portions([int(id) for id in ids]):
        found.update(connection.execute(select(content.c.id).where(content.c.id.in_(portion))).scalars())
    return found


def drop_other_scopes(connection: Connection, kept: str) -> None:
    """Delete what searches have kept whose scopes do not begin so: an older program's are of no use."""
    for table in (compared, pair):
        connection.execute(delete(table).where(~table.c.scope.startswith(kept, autoescape=True)))


def set_apart(connection: Connection, hashes: Sequence[bytes]) -> int:
    """Remember that no two of these contents are duplicates; count the pairs that are new."""
    rows = _apart_rows(hashes)
    if not rows:
        return 0
    return sum(
        connection.execute(insert(not_duplicate).on_conflict_do_nothing(), row).rowcount for row in rows
    )


def join_again(connection: Connection, hashes: Sequence[bytes]) -> int:
    """Take it back; count the pairs."""
    taken_back = 0
    for row in _apart_rows(hashes):
        statement = delete(not_duplicate).where(*(not_duplicate.c[name] == sha for name, sha in row.items()))
        taken_back += connection.execute(statement).rowcount
    return taken_back


def _apart_rows(hashes: Sequence[bytes]) -> list[dict[str, bytes]]:
    pairs = combinations(sorted(set(hashes)), 2)
    return [{"first_sha256": first, "second_sha256": second} for first, second in pairs]


def apart(connection: Connection) -> set[frozenset[bytes]]:
    """Give the pairs of contents that the user said are no duplicates."""
    return {frozenset(row) for row in connection.execute(select(not_duplicate))}
