"""Patches, read: the patch vectors that a catalog has, by content and encoder."""

from collections.abc import Sequence
from sqlite3 import Connection

from ..patch_grids import PackedGrid
from ..records import Ids
from .catalog import blanks, find_ids, portions

_GRIDS = """
SELECT content.sha256, patch_grid."rows", patch_grid."columns", patch_grid.cells
FROM patch_grid JOIN content ON content.id = patch_grid.content_id
WHERE patch_grid.encoder_id = ? AND patch_grid.recipe = ? AND content.sha256 IN
"""
_WITHOUT_GRIDS = """
SELECT content.id FROM content JOIN embedding ON embedding.content_id = content.id
WHERE embedding.encoder_id = ? AND content.orphaned_at IS NULL
AND content.id NOT IN (SELECT content_id FROM patch_grid WHERE encoder_id = ? AND recipe = ?)
ORDER BY content.id
"""
_COUNT_GRIDS = """
SELECT count(DISTINCT content.id), coalesce(sum(length(patch_grid.cells)), 0)
FROM patch_grid LEFT JOIN content ON content.id = patch_grid.content_id AND content.orphaned_at IS NULL
"""


def get_grids(
    connection: Connection, encoder_id: int, recipe: str, hashes: Sequence[bytes]
) -> dict[bytes, PackedGrid]:
    """Give the grids that were taken so, by the hash of the content."""
    found: dict[bytes, PackedGrid] = {}
    for portion in portions(hashes):
        rows = connection.execute(f"{_GRIDS} ({blanks(portion)})", (encoder_id, recipe, *portion))
        found.update((sha, PackedGrid(*grid)) for sha, *grid in rows)
    return found


def without_grids(connection: Connection, encoder_id: int, recipe: str) -> Ids:
    """Give the live contents that have a vector of an encoder and no grid that was taken so, in order."""
    return find_ids(connection, _WITHOUT_GRIDS, encoder_id, encoder_id, recipe)


def count_grids(connection: Connection) -> tuple[int, int]:
    """Count the live contents that have grids, and the bytes that all grids take."""
    count, size = connection.execute(_COUNT_GRIDS).fetchone()
    return int(count), int(size)
