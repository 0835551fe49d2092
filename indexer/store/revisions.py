"""Revisions: which schema a catalog has, and which ones this program knows."""

from pathlib import Path
from sqlite3 import Connection

from ..errors import CatalogNewerThanProgram
from .failures import Malformed

REVISIONS = ("0001", "0002", "0003", "0004", "0005")  # of migrations/, oldest first; a test compares
HEAD = REVISIONS[-1]

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"


def revision_of(connection: Connection) -> str | None:
    """Give the schema revision of a catalog; None for an empty one."""
    tables = {name for (name,) in connection.execute(_TABLES)}
    if not tables:
        return None
    if "alembic_version" not in tables:
        raise Malformed("no catalog of sightline")
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def check_revision(revision: str | None, library: Path, known: tuple[str, ...]) -> None:
    """Raise CatalogNewerThanProgram for a revision this program does not know."""
    if revision is not None and revision not in known:
        raise CatalogNewerThanProgram(library, revision)
