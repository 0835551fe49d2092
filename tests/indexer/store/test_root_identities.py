from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from indexer.store.engines import engine_to_write
from indexer.store.root_identities import get_identities, note_identities, take_identities

from .making import make_library

ROOT = 1


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Connection]:
    engine = engine_to_write(make_library(tmp_path, 1))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def test_what_was_noted_of_a_root_is_known(catalog: Connection) -> None:
    note_identities(catalog, {ROOT: (7, 2**63)})
    assert get_identities(catalog) == {ROOT: (7, 2**63)}


def test_what_was_taken_is_not_known_any_more(catalog: Connection) -> None:
    note_identities(catalog, {ROOT: (7, 100)})
    assert take_identities(catalog, {ROOT}) == {ROOT: (7, 100)}
    assert get_identities(catalog) == {}


def test_a_root_of_which_nothing_is_noted_stays_as_it_is(catalog: Connection) -> None:
    note_identities(catalog, {ROOT: (7, 100)})
    assert take_identities(catalog, {99}) == {}
    note_identities(catalog, {})
    assert get_identities(catalog) == {ROOT: (7, 100)}


def test_a_root_that_the_library_covers_no_longer_is_not_kept(catalog: Connection) -> None:
    note_identities(catalog, {ROOT: (7, 100), 99: (7, 101)})
    assert get_identities(catalog) == {ROOT: (7, 100)}
