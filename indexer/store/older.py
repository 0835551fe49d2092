"""Older catalogs: read from an upgraded copy where they cannot be upgraded in their place."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from . import copies, migrate
from .engines import engine_to_write
from .failures import explained
from .files import catalog_file
from .opening import connect_to_read
from .reader import LibraryReader


class ReaderOfCopy(LibraryReader):
    """Answers from a library's upgraded copy, as the library was when it was opened, and says so."""

    def __init__(self, path: Path, *, faiss_from: int) -> None:
        super().__init__(path, faiss_from=faiss_from)
        size = catalog_file(path).stat().st_size
        self._warning = (
            f"{path}: made by an older sightline and cannot be upgraded now, so its catalog "
            f"({size / 1e6:,.1f} MB) was copied to {tempfile.gettempdir()} and upgraded there, as every "
            "command will do until one may write the library"
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Tell of the copy, and what else was got around."""
        return self._warning, *super().warnings


def upgrade_copy(library: Path) -> None:
    """Have a library read from an upgraded copy; raise DiskFull when that finds no room."""
    catalog = catalog_file(library)
    with explained(library):
        copies.stand_in(catalog, lambda copy: _upgrade_to(copy, library))


def _upgrade_to(copy: Path, library: Path) -> None:
    # SQLite's own copying: another process may be writing.
    with closing(connect_to_read(library)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    engine = engine_to_write(copy.parent)
    try:
        with engine.connect() as connection:
            migrate.run_scripts(connection, migrate.scripts_folder())  # `upgrade` would copy it once more
    finally:
        engine.dispose()
