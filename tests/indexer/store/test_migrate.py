import os
import re
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from indexer.errors import CatalogNewerThanProgram
from indexer.store import migrate, revisions, schema
from indexer.store.engines import engine_to_write
from indexer.store.files import catalog_file
from indexer.store.library import open_for_writing, open_library

from .making import by_numpy, make_query
from .test_disk import fill, small_disk

__all__ = ["small_disk"]

NEXT_REVISION = '''
"""A later revision, as tests imagine it."""
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0006", "0005", None, None

def upgrade() -> None:
    op.add_column("content", sa.Column("stars", sa.Integer()))
    {more}
'''


def later_scripts(folder: Path, more: str = "pass") -> Path:
    """Our migrations and one more."""
    shutil.copytree(migrate.scripts_folder(), folder)
    (folder / "versions" / "0006_stars.py").write_text(NEXT_REVISION.format(more=more))
    return folder


def know_one_revision_more(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this program be a later one, for which libraries of ours are older."""
    scripts = later_scripts(folder)
    monkeypatch.setattr(migrate, "scripts_folder", lambda: scripts)
    monkeypatch.setattr(revisions, "HEAD", "0006")
    monkeypatch.setattr(revisions, "REVISIONS", (*revisions.REVISIONS, "0006"))


def upgrade(library: Path, scripts: Path) -> None:
    engine = engine_to_write(library)
    with engine.connect() as connection:
        try:
            migrate.upgrade(connection, library, scripts=scripts, known=(*revisions.REVISIONS, "0006"))
        finally:
            connection.rollback()
    engine.dispose()


def ask(catalog: Path, question: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(catalog)) as connection:
        return connection.execute(question).fetchall()


def test_the_tables_are_those_the_migrations_make(library: Path) -> None:
    engine = engine_to_write(library)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()


def test_the_tables_have_the_same_sql_as_the_schema(library: Path, tmp_path: Path) -> None:
    """Names of constraints, checks and the like, which the comparison above does not look at."""
    engine = create_engine(f"sqlite:///{tmp_path / 'plain.sqlite'}")
    schema.metadata.create_all(engine)
    engine.dispose()
    question = (
        "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'alembic%' AND sql NOT NULL ORDER BY name"
    )
    plain, migrated = (
        {
            # A column that was added later stands on the last one's line.
            name: sorted(part.strip() for part in re.split("[\n,]", str(sql)) if part.strip(" )"))
            for name, sql in ask(file, question)
        }
        for file in (tmp_path / "plain.sqlite", catalog_file(library))
    )
    assert migrated == plain


def test_the_program_knows_all_revisions() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.scripts_folder()))
    written = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(written)) == revisions.REVISIONS


def test_an_upgrade_keeps_everything_and_leaves_a_copy_of_before(library: Path, tmp_path: Path) -> None:
    before = ask(catalog_file(library), "SELECT id, sha256 FROM content ORDER BY id")
    upgrade(library, later_scripts(tmp_path / "100% later"))
    assert ask(catalog_file(library), "SELECT version_num FROM alembic_version") == [("0006",)]
    assert ask(catalog_file(library), "SELECT id, sha256 FROM content ORDER BY id") == before
    [copy] = (library / "backups").iterdir()
    assert copy.name.startswith("catalog-0005-")
    assert ask(copy, "SELECT version_num FROM alembic_version") == [("0005",)]
    assert ask(copy, "SELECT id, sha256 FROM content ORDER BY id") == before


def test_a_backup_is_a_library_again(library: Path, tmp_path: Path) -> None:
    with open_library(library) as reader:
        expected = by_numpy(reader, reader.default_encoder(), make_query()[0], 9)
    upgrade(library, later_scripts(tmp_path / "later"))
    [copy] = (library / "backups").iterdir()
    (tmp_path / "restored").mkdir()
    shutil.copy(copy, catalog_file(tmp_path / "restored"))
    with open_library(tmp_path / "restored") as reader:
        assert reader.nearest(reader.default_encoder(), make_query(), k=9)[0] == expected


def test_a_backup_needs_no_log_beside_it(library: Path) -> None:
    copy = migrate.back_up(library, "0005")
    assert ask(copy, "PRAGMA journal_mode") == [("delete",)]


def test_a_backup_that_found_no_room_leaves_none_taken(library: Path, small_disk: Path) -> None:
    cramped = shutil.copytree(library, small_disk / ".sightline")
    fill(small_disk / "ballast")
    os.truncate(small_disk / "ballast", (small_disk / "ballast").stat().st_size - 40_000)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        migrate.back_up(cramped, "0005")
    assert list((cramped / "backups").iterdir()) == []


def test_a_failed_upgrade_leaves_the_catalog_as_it_was(library: Path, tmp_path: Path) -> None:
    before = ask(catalog_file(library), "SELECT sql FROM sqlite_master ORDER BY name")
    with pytest.raises(ZeroDivisionError):
        upgrade(library, later_scripts(tmp_path / "later", more="1 / 0"))
    assert ask(catalog_file(library), "SELECT sql FROM sqlite_master ORDER BY name") == before
    assert ask(catalog_file(library), "SELECT version_num FROM alembic_version") == [("0005",)]


def test_nothing_to_upgrade_makes_no_backup(library: Path) -> None:
    open_for_writing(library, create=False).close()
    assert not (library / "backups").exists()


def test_a_newer_catalog_is_refused_with_the_remedy(library: Path, tmp_path: Path) -> None:
    upgrade(library, later_scripts(tmp_path / "later"))
    for opening in (open_library, lambda path: open_for_writing(path, create=False)):
        with pytest.raises(CatalogNewerThanProgram, match=r"schema 0006.*install it again"):
            opening(library)
    assert ask(catalog_file(library), "SELECT count(*) FROM content") == [(60,)]


def test_an_older_catalog_is_upgraded_by_the_first_who_opens_it(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours is the older one for a program that knows one revision more."""
    know_one_revision_more(tmp_path / "later", monkeypatch)
    with open_library(library) as reader:
        assert reader.default_encoder().images == 60
    assert ask(catalog_file(library), "SELECT version_num FROM alembic_version") == [("0006",)]
    assert len(list((library / "backups").iterdir())) == 1


def test_reading_imports_neither_sqlalchemy_nor_alembic(library: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from indexer.store.library import open_library
from indexer.store.records import Filters
with open_library(Path({str(library)!r})) as reader:
    encoder = reader.default_encoder()
    [near] = reader.nearest(encoder, reader.sample_vectors(encoder, 1, 0), k=5, filters=Filters(min_width=9))
    assert len(reader.images([item.content_id for item in near])) == 5
    reader.status(), reader.skipped_files(), reader.fingerprints(), reader.pixel_hashes()
    reader.local_features(), reader.incomplete(encoder), reader.without_patches(encoder, "recipe")
    reader.compared("scope"), list(reader.pairs("scope")), reader.set_apart()
print(sorted({{"alembic", "sqlalchemy", "faiss", "torch"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_the_wheel_carries_the_migrations(tmp_path: Path) -> None:
    project = Path(__file__).parents[3]
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    packaged = tmp_path / "installed" / "indexer" / "migrations"
    assert sorted(path.name for path in (packaged / "versions").glob("*.py")) == [
        "0001_first_tables.py",
        "0002_duplicates.py",
        "0003_pixel_hash.py",
        "0004_patch_grids.py",
        "0005_nearness.py",
    ]
    script = f"""
from pathlib import Path
from indexer.store import migrate
from indexer.store.library import open_for_writing
assert migrate.scripts_folder() == Path({str(packaged)!r}), migrate.scripts_folder()
open_for_writing(Path("library"), create=True).close()
"""
    environment = {"PYTHONPATH": str(tmp_path / "installed"), "PATH": ""}
    subprocess.run([sys.executable, "-P", "-c", script], cwd=tmp_path, env=environment, check=True)
    assert ask(tmp_path / "library" / "catalog.sqlite", "SELECT version_num FROM alembic_version")
