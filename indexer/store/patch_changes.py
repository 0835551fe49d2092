"""Patches, written: the patch vectors of contents."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects.sqlite import insert

from ..patch_grids import PackedGrid
from .catalog import existing_ids
from .engines import driver_of
from .schema import patch_grid


def put_grids(connection: Connection, encoder_id: int, recipe: str, grids: Mapping[int, PackedGrid]) -> None:
    """Store the grids of contents, in place of those that were taken otherwise.

    Those of contents that are gone by now are left out.
    """
    here = existing_ids(driver_of(connection), grids)
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
        if id in here
    ]
    if rows:
        row = insert(patch_grid)
        changed = {name: row.excluded[name] for name in ("recipe", "rows", "columns", "cells")}
        connection.execute(
            row.on_conflict_do_update(index_elements=["encoder_id", "content_id"], set_=changed), rows
        )
