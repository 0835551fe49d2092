import time
from contextlib import closing
from pathlib import Path

from indexer.store.library import open_for_writing, open_library
from indexer.store.opening import connect_to_write
from indexer.store.wal import empty_log


def log_bytes(library: Path) -> int:
    log = library / "catalog.sqlite-wal"
    return log.stat().st_size if log.exists() else 0


def test_a_writer_leaves_an_empty_log_although_a_reader_stays(library: Path) -> None:
    with open_library(library) as reader:
        assert reader.status().images == 60
        with open_for_writing(library, create=False) as writer:
            writer.record_run({"indexed": 60})
        assert log_bytes(library) == 0
        assert reader.status().last_run == {"indexed": 60}


def test_a_writer_is_not_held_up_by_a_reader_within_a_snapshot(library: Path) -> None:
    with open_library(library) as reader, reader.snapshot():
        assert reader.status().images == 60
        with open_for_writing(library, create=False) as writer:
            writer.record_run({"indexed": 60})
            began = time.perf_counter()
        assert time.perf_counter() - began < 3


def test_a_log_that_a_reader_held_open_is_emptied_when_the_reader_closes(library: Path) -> None:
    with open_library(library) as reader:
        with reader.snapshot():
            assert reader.status().images == 60
            with open_for_writing(library, create=False) as writer:
                writer.record_run({"indexed": 60})
        assert log_bytes(library) > 0
    assert log_bytes(library) == 0
    with open_library(library) as reader:
        assert reader.status().last_run == {"indexed": 60}


def test_closing_a_reader_of_a_library_that_was_deleted_makes_none(library: Path) -> None:
    with open_library(library) as reader:
        with reader.snapshot():
            assert reader.status().images == 60
            with open_for_writing(library, create=False) as writer:
                writer.record_run({})
        (library / "catalog.sqlite").unlink()
    assert not (library / "catalog.sqlite").exists()


def test_a_writer_may_be_closed_twice(library: Path) -> None:
    writer = open_for_writing(library, create=False)
    writer.close()
    writer.close()


def test_a_writer_is_as_patient_after_emptying_the_log_as_before(library: Path) -> None:
    with closing(connect_to_write(library)) as connection:
        before = connection.execute("PRAGMA busy_timeout").fetchone()
        empty_log(connection)
        assert connection.execute("PRAGMA busy_timeout").fetchone() == before
