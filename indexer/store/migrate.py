"""Migrating: bring a catalog to today's schema, with a copy of the old one first."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from . import revisions
from .engines import driver_of
from .files import TEMPORARY_SUFFIX, backups_folder, catalog_file

_PACKAGED = Path(__file__).parents[1] / "migrations"  # in a wheel
_CHECKOUT = Path(__file__).parents[2] / "migrations"


def scripts_folder() -> Path:
    """Find the migrations, which a wheel carries inside the package and a checkout beside it."""
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


def upgrade(
    connection: Connection,
    library: Path,
    *,
    scripts: Path | None = None,
    known: tuple[str, ...] | None = None,
) -> None:
    """Run what migrations are missing in one transaction; call it under the writers' lock.

    An existing catalog is copied to `backups/` first.
    """
    known = known or revisions.REVISIONS
    revision = revisions.revision_of(driver_of(connection))
    revisions.check_revision(revision, library, known)
    if revision == known[-1]:
        return
    if revision is not None:
        back_up(library, revision)
    run_scripts(connection, scripts or scripts_folder())


def back_up(library: Path, revision: str) -> Path:
    """Copy the catalog, with what its WAL holds, to `backups/`; give the copy's path."""
    backups_folder(library).mkdir(exist_ok=True)
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    copy = backups_folder(library) / f"catalog-{revision}-{stamp}.sqlite"
    with closing(sqlite3.connect(catalog_file(library))) as source:
        _copy(source, copy)
    return copy


def _copy(source: sqlite3.Connection, copy: Path) -> None:
    beside = copy.with_name(f"{copy.name}{TEMPORARY_SUFFIX}")
    try:
        with closing(sqlite3.connect(beside)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, no WAL beside it
        beside.replace(copy)
    finally:
        beside.unlink(missing_ok=True)


def run_scripts(connection: Connection, scripts: Path) -> None:
    """Run what migrations are missing, and keep no copy of what was."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.commit()
