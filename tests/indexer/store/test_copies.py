"""Catalogs that are read from a copy: on read-only disks, as a crash or another machine left them."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from indexer.errors import DiskFull, LibraryBusy, LibraryError
from indexer.store import copies
from indexer.store.library import open_for_writing, open_library
from indexer.store.lock import WriterLock
from indexer.store.peek import peek_card
from indexer.store.writer import LibraryWriter

from .making import encode, make_card, make_file, make_query
from .test_disk import fill, read_only, small_disk
from .test_migrate import know_one_revision_more

__all__ = ["small_disk"]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@dataclass
class Share:
    """A library on a disk that others write and we may not, and no shared memory with them."""

    writer: LibraryWriter
    disk: Path
    library: Path  # the same, as we see it

    def commit(self, name: str) -> None:
        """Let the others add an image; it lies in the WAL only."""
        add_one(self.writer, name)
        for file in ("catalog.sqlite", "catalog.sqlite-wal"):
            shutil.copy(self.writer.path / file, self.disk / file)


@pytest.fixture
def share(library: Path, tmp_path: Path) -> Iterator[Share]:
    disk = tmp_path / "disk"
    (disk / ".sightline").mkdir(parents=True)
    with open_for_writing(library, create=False) as writer, read_only(disk, tmp_path) as seen:
        share = Share(writer, disk / ".sightline", seen)
        share.commit("first")
        yield share


def add_one(writer: LibraryWriter, name: str) -> None:
    image = encode(make_file(writer.path.parent, f"{name}.jpg"), name)
    writer.commit(writer.default_encoder(), [], [image], [])


def copies_in(folder: Path) -> list[Path]:
    return list(folder.glob("*/catalog.sqlite"))


def test_one_search_makes_one_copy(share: Share, temporary: Path):
    assert peek_card(share.library) == make_card()
    made = copies_in(temporary)
    with open_library(share.library) as reader, reader.snapshot():
        reader.nearest(reader.default_encoder(), make_query(), k=3)
        assert reader.status().images == 61
    assert copies_in(temporary) == made
    assert len(made) == 1


def test_what_is_committed_meanwhile_is_seen_by_the_next_question(share: Share, temporary: Path):
    with open_library(share.library) as reader:
        assert reader.status().images == 61
        share.commit("later")
        assert reader.status().images == 62


def test_a_copy_that_is_out_of_date_is_removed(share: Share, temporary: Path):
    with open_library(share.library) as reader:
        reader.status()
        share.commit("later")
        reader.status()
    assert len(copies_in(temporary)) == 1


def test_a_copy_that_was_tidied_away_is_made_again(share: Share, temporary: Path):
    with open_library(share.library) as reader:
        reader.status()
        [made] = copies_in(temporary)
        made.unlink()
        assert reader.status().images == 61


def test_a_change_that_leaves_the_size_is_seen_by_the_next_question(share: Share, temporary: Path):
    with open_library(share.library) as reader:
        reader.status()
        made = copies_in(temporary)
        os.utime(share.disk / "catalog.sqlite-wal", ns=(1, 1))
        reader.status()
    assert copies_in(temporary) != made


def test_a_copy_holds_what_a_writer_moves_out_of_the_log_meanwhile(
    share: Share, temporary: Path, monkeypatch: pytest.MonkeyPatch
):
    copy = shutil.copyfile

    def copy_while_the_writer_ends(source: Path, target: Path) -> None:
        copy(source, target)
        if source.name.endswith("-wal"):
            share.writer.forget(share.writer.path.parent / "first.jpg")
            share.writer.close()
            copy(share.writer.path / "catalog.sqlite", share.disk / "catalog.sqlite")
            (share.disk / source.name).unlink()

    monkeypatch.setattr(shutil, "copyfile", copy_while_the_writer_ends)
    with copies.copy_of(share.library / "catalog.sqlite") as made:
        assert b"first.jpg" not in made.read_bytes()


def test_a_copy_that_could_not_be_made_leaves_nothing(
    share: Share, temporary: Path, monkeypatch: pytest.MonkeyPatch
):
    def break_off(source: Path, target: Path) -> None:
        target.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfile", break_off)
    with pytest.raises(KeyboardInterrupt):
        peek_card(share.library)
    assert list(temporary.iterdir()) == []


def test_without_a_folder_for_temporary_files_the_remedy_is_told(
    share: Share, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "away"))
    with pytest.raises(LibraryError, match="TMPDIR"):
        open_library(share.library)


@pytest.mark.parametrize("room", ["none", "less than the catalog"])
def test_a_full_temporary_folder_is_named(
    share: Share, small_disk: Path, monkeypatch: pytest.MonkeyPatch, room: str
):
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    fill(small_disk / "ballast")
    if room != "none":
        os.truncate(small_disk / "ballast", (small_disk / "ballast").stat().st_size - 20_000)
    with pytest.raises(DiskFull) as caught:
        open_library(share.library)
    assert caught.value.path == small_disk


def test_no_copy_outlives_its_process(share: Share, temporary: Path):
    script = (
        "import sys, pathlib, indexer.store.peek as peek; print(peek.peek_card(pathlib.Path(sys.argv[1])))"
    )
    environment = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(share.library)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "made-up" in done.stdout
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process cannot be forked here")
def test_a_forked_process_leaves_the_copy_to_the_one_that_made_it(share: Share, temporary: Path):
    script = (
        "import os, sys, pathlib, indexer.store.peek as peek; peek.peek_card(pathlib.Path(sys.argv[1]))\n"
        "if child := os.fork(): os.waitpid(child, 0); print(*pathlib.Path(sys.argv[2]).iterdir())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(share.library), str(temporary)],
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "sightline-copy-" in done.stdout


def test_the_copy_of_a_process_that_was_killed_is_removed(
    share: Share, temporary: Path, monkeypatch: pytest.MonkeyPatch
):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, running = (temporary / f"sightline-copy-{process}-x" for process in (ended.pid, os.getpid()))
    for folder in (left, running):
        folder.mkdir()
    monkeypatch.setattr(copies, "_folders", [])
    peek_card(share.library)
    assert not left.exists()
    assert running.exists()


def test_a_catalog_that_is_written_all_the_time_is_busy(
    share: Share, temporary: Path, monkeypatch: pytest.MonkeyPatch
):
    copy = shutil.copyfile

    def copy_slowly(source: Path, target: Path) -> None:
        copy(source, target)
        with (share.disk / "catalog.sqlite-wal").open("ab") as wal:
            wal.write(bytes(4096))

    monkeypatch.setattr(shutil, "copyfile", copy_slowly)
    with pytest.raises(LibraryBusy, match="goes on writing"), open_library(share.library) as reader:
        reader.status()


# Older libraries


@pytest.fixture
def older(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library at rest of an older program: ours, for one that knows one revision more."""
    know_one_revision_more(tmp_path / "later", monkeypatch)
    for leftover in library.glob("catalog.sqlite-*"):
        leftover.unlink()
    return library


@contextmanager
def written_by_another(library: Path) -> Iterator[None]:
    lock = WriterLock(library)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def check_stars(library: Path) -> None:
    """Ask for what only the later revision has."""
    with open_library(library) as reader:
        assert reader.nearest(reader.default_encoder(), make_query(), k=3)[0]
        with reader.reading() as connection:
            assert connection.execute("SELECT count(stars) FROM content").fetchone() == (0,)
        assert "made by an older sightline" in reader.warnings[0]


def test_an_older_library_on_a_read_only_disk_is_searched(
    older: Path, photos: Path, tmp_path: Path, temporary: Path
):
    with read_only(photos, tmp_path) as library:
        check_stars(library)


def test_an_older_library_is_searched_while_another_process_writes_it(
    older: Path, photos: Path, temporary: Path
):
    with written_by_another(older):
        check_stars(older)


def test_an_older_library_on_a_full_disk_is_searched(older: Path, small_disk: Path, temporary: Path):
    library = shutil.copytree(older, small_disk / ".sightline")
    fill(small_disk / "ballast")
    check_stars(library)


def test_one_process_upgrades_one_copy(older: Path, photos: Path, tmp_path: Path, temporary: Path):
    with read_only(photos, tmp_path) as library:
        check_stars(library)
        made = copies_in(temporary)
        check_stars(library)
    assert copies_in(temporary) == made
    assert len(made) == 1


def test_an_older_library_that_was_written_meanwhile_is_read_as_it_is_now(
    older: Path, photos: Path, tmp_path: Path, temporary: Path
):
    with read_only(photos, tmp_path) as library:
        check_stars(library)
        with closing(sqlite3.connect(older / "catalog.sqlite")) as connection, connection:
            connection.execute("UPDATE content SET orphaned_at = 1 WHERE id = 1")
        with open_library(library) as reader:
            assert reader.status().images == 59


def test_an_upgraded_copy_that_was_tidied_away_is_made_again(
    older: Path, photos: Path, tmp_path: Path, temporary: Path
):
    with read_only(photos, tmp_path) as library, open_library(library) as reader:
        [made] = copies_in(temporary)
        made.unlink()
        assert reader.status().images == 60


def test_an_older_library_that_may_be_written_again_is_read_in_its_place(older: Path, temporary: Path):
    with written_by_another(older):
        check_stars(older)
    with open_for_writing(older, create=False) as writer:
        add_one(writer, "new")
        assert writer.status().images == 61
    with open_library(older) as reader:
        assert reader.status().images == 61
        assert reader.warnings == ()
    assert copies_in(temporary) == []


def test_a_full_temporary_folder_is_named_for_an_older_library_too(
    older: Path, photos: Path, tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    fill(small_disk / "ballast")
    with read_only(photos, tmp_path) as library, pytest.raises(DiskFull) as caught:
        open_library(library)
    assert caught.value.path == small_disk
