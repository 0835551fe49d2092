"""Pairs, written: what a search for duplicates leaves in a catalog for the next one."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations, islice
from typing import Any

from sqlalchemy import Connection, delete
from sqlalchemy.dialects.sqlite import insert

from ..features import Features, pack
from . import schema
from .catalog import existing_ids, live_among
from .engines import driver_of
from .pairs import StoredPair

PAIRS_AT_ONCE = 10_000

compared, local_feature = schema.compared, schema.local_feature
not_duplicate, pair = schema.not_duplicate, schema.pair


def put_features(connection: Connection, marks: Mapping[int, Features]) -> None:
    """Store the marks of contents; those of contents that are gone by now are left out."""
    here = existing_ids(driver_of(connection), marks)
    rows = [{"content_id": id, "marks": pack(features)} for id, features in marks.items() if id in here]
    if rows:
        row = insert(local_feature)
        connection.execute(
            row.on_conflict_do_update(index_elements=["content_id"], set_={"marks": row.excluded.marks}),
            rows,
        )


def put_pairs(connection: Connection, scope: str, pairs: Iterable[StoredPair]) -> None:
    """Keep pairs, or what is newly known of them; those of contents that are gone by now are left out."""
    row = insert(pair)
    changed = {name: row.excluded[name] for name in ("judged", "answer")}
    statement = row.on_conflict_do_update(index_elements=["scope", "first_id", "second_id"], set_=changed)
    remaining = iter(pairs)
    while some := list(islice(remaining, PAIRS_AT_ONCE)):
        ids = {id for pair in some for id in (pair.first, pair.second)}
        here = existing_ids(driver_of(connection), ids)
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
        "nearness": pair.nearness,
        "judged": pair.judged,
        "answer": None if pair.answer is None else dict(pair.answer),
    }


def put_compared(connection: Connection, scope: str, ids: Collection[int]) -> None:
    """Note that a search of this scope has seen these contents; not those that have left meanwhile."""
    here = live_among(driver_of(connection), ids)
    rows = [{"scope": scope, "content_id": id} for id in sorted(here)]
    if rows:
        connection.execute(insert(compared).on_conflict_do_nothing(), rows)


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
