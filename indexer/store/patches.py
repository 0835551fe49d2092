"""Patches: patch vectors in a catalog, by content and encoder, read and written."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.sqlite import insert

from ..patch_grids import PackedGrid
from ..records import Ids
from . import schema
from .catalog import portions

content, embedding, patch_grid = schema.content, schema.embedding, schema.patch_grid


def get_grids(
    connection: Connection, encoder_id: int, recipe: str, hashes: Sequence[bytes]
) -> dict[bytes, PackedGrid]:
    """Give the grids that were taken so, by the hash of the content."""
    found: dict[bytes, PackedGrid] = {}
    columns = (content.c.sha256, patch_grid.c.rows, patch_grid.c.columns, patch_grid.c.cells)
    for portion in portions(hashes):
        query = select(*columns).join(content, content.c.id == patch_grid.c.content_id)
        query = query.where(patch_grid.c.encoder_id == encoder_id, patch_grid.c.recipe == recipe)
        for row in connection.execute(query.where(content.c.sha256.in_(portion))):
            found[row.sha256] = PackedGrid(row.rows, row.columns, row.cells)
    return found


def without_grids(connection: Connection, encoder_id: int, recipe: str) -> Ids:
    """Give the live contents that have a vector of an encoder and no grid that was taken so, in order."""
    taken = select(patch_grid.c.content_id).where(
        patch_grid.c.encoder_id == encoder_id, patch_grid.c.recipe == recipe
    )
    query = select(content.c.id).join(embedding, embedding.c.content_id == content.c.id)
    query = query.where(embedding.c.encoder_id == encoder_id, content.c.orphaned_at.is_(None))
    ids = connection.execute(query.where(content.c.id.not_in(taken)).order_by(content.c.id)).scalars()
    return np.fromiter(ids, np.int64)


def ids_of(connection: Connection, hashes: Iterable[bytes]) -> list[int]:
    """Give the contents with these hashes."""
    ids: list[int] = []
    for portion in portions(list(hashes)):
        ids += connection.execute(select(content.c.id).where(content.c.sha256.in_(portion))).scalars()
    return ids


def put_grids(connection: Connection, encoder_id: int, recipe: str, grids: Mapping[int, PackedGrid]) -> None:
    """Store the grids of contents, in place of those that were taken otherwise."""
    rows: list[dict[str, Any]] = [
        {
            "encoder_id": encoder_id,
            "content_id": id,
            "recipe": recipe,
            "rows": grid.rows,
            "columns": grid.columns,
            "cells": grid.cells,
        }
        for id, grid in grids.items()
    ]
    if rows:
        row = insert(patch_grid)
        changed = {name: row.excluded[name] for name in ("recipe", "rows", "columns", "cells")}
        connection.execute(
            row.on_conflict_do_update(index_elements=["encoder_id", "content_id"], set_=changed), rows
        )


def count_grids(connection: Connection) -> tuple[int, int]:
    """Count the grids, and the bytes they take."""
    query = select(func.count(), func.coalesce(func.sum(func.length(patch_grid.c.cells)), 0))
    row = connection.execute(query.select_from(patch_grid)).one()
    return int(row[0]), int(row[1])
