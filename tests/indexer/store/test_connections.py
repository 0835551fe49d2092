import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from indexer.errors import LibraryMissing
from indexer.store import connections
from indexer.store.connections import ReadingConnections
from indexer.store.library import open_for_writing, open_library
from indexer.store.opening import Snapshot

from .making import by_numpy, encode, make_file, make_library, make_query

COUNT = "SELECT count(*) FROM content"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    """All connections that were opened to read."""
    made: list[sqlite3.Connection] = []
    connect = connections.connect_to_read

    def connect_and_note(library: Path) -> sqlite3.Connection:
        made.append(connect(library))
        return made[-1]

    monkeypatch.setattr(connections, "connect_to_read", connect_and_note)
    return made


@pytest.fixture
def pool(library: Path) -> Iterator[ReadingConnections]:
    pool = ReadingConnections(library)
    yield pool
    pool.close()


def is_open(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


def add_one(library: Path, name: str = "new") -> None:
    with open_for_writing(library, create=False) as writer:
        image = encode(make_file(library.parent, f"{name}.jpg"), name)
        writer.commit(writer.default_encoder(), [], [image], [])


def test_one_connection_answers_one_question_after_another(
    pool: ReadingConnections, opened: list[sqlite3.Connection]
) -> None:
    for _ in range(3):
        with pool.transaction() as connection:
            assert connection.execute(COUNT).fetchone() == (60,)
    assert len(opened) == 1


def test_two_transactions_at_once_each_see_their_own_commit(pool: ReadingConnections, library: Path) -> None:
    with pool.transaction() as before:
        assert before.execute(COUNT).fetchone() == (60,)
        add_one(library)
        with pool.transaction() as after:
            assert after.execute(COUNT).fetchone() == (61,)
        assert before.execute(COUNT).fetchone() == (60,)


def test_an_answer_read_in_part_does_not_hold_on_to_the_old_commit(
    pool: ReadingConnections, library: Path
) -> None:
    cursors = []
    with pytest.raises(ZeroDivisionError), pool.transaction() as connection:
        cursors.append(connection.execute("SELECT id FROM content"))
        assert cursors[0].fetchone() == (1,)
        raise ZeroDivisionError
    add_one(library)
    with pool.transaction() as connection:
        assert connection.execute(COUNT).fetchone() == (61,)


def test_only_a_few_idle_connections_are_kept(
    pool: ReadingConnections, opened: list[sqlite3.Connection]
) -> None:
    with ThreadPoolExecutor(12) as threads:
        lent = [pool.transaction() for _ in range(12)]
        list(threads.map(lambda some: some.__enter__(), lent))
        assert all(map(is_open, opened))
        list(threads.map(lambda some: some.__exit__(None, None, None), lent))
    assert len(opened) == 12
    assert sum(map(is_open, opened)) == 5


def test_no_connection_outlives_closing(pool: ReadingConnections, opened: list[sqlite3.Connection]) -> None:
    with pool.transaction():
        with pool.transaction():
            pass
        pool.close()
        assert sum(map(is_open, opened)) == 1
    assert not any(map(is_open, opened))


def test_many_threads_read_while_a_writer_writes(library: Path) -> None:
    with open_library(library) as reader:
        encoder = reader.default_encoder()
        query = make_query()

        def ask(_: int) -> bool:
            with reader.snapshot():
                return reader.nearest(encoder, query, k=5)[0] == by_numpy(reader, encoder, query[0], 5)

        with ThreadPoolExecutor(8) as threads:
            answers = [threads.submit(ask, number) for number in range(60)]
            for number in range(10):
                add_one(library, f"new {number}")
            assert all(answer.result() for answer in answers)
        assert reader.default_encoder().images == 70


def test_a_connection_that_sees_no_later_commit_is_not_kept(
    pool: ReadingConnections, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_rest = f"{library.as_uri()}/catalog.sqlite?mode=ro&immutable=1"
    opened = sqlite3.connect(at_rest, uri=True, isolation_level=None, factory=Snapshot)
    monkeypatch.setattr(connections, "connect_to_read", lambda _: opened)
    with pool.transaction() as connection:
        assert connection.execute(COUNT).fetchone() == (60,)
    assert not is_open(opened)


def test_a_library_that_is_gone_answers_no_more(pool: ReadingConnections, library: Path) -> None:
    with pool.transaction():
        pass
    library.rename(library.with_name("elsewhere"))
    with pytest.raises(LibraryMissing), pool.transaction():
        pass


def test_a_library_that_was_made_anew_answers_at_once(
    pool: ReadingConnections, opened: list[sqlite3.Connection], library: Path
) -> None:
    with pool.transaction():  # idle when the library goes
        pass
    with pool.transaction():  # lent when the library goes
        library.rename(library.with_name("elsewhere"))
        make_library(library.parent, count=7)
    with pool.transaction() as connection:
        assert connection.execute(COUNT).fetchone() == (7,)
    assert not is_open(opened[0])
