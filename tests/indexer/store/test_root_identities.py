from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from indexer.store.engines import engine_to_write
from indexer.store.root_identities import get_identities, note_identities

from .making import make_library

ROOT = 1


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Connection]:
    engine = engine_to_write(make_library(tmp_path, 1))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def test_a_root_whose_images_are_on_its_own_device_is_known(catalog: Connection) -> None:
    note_identities(catalog, {ROOT: (7, 2**63)}, {ROOT: {7}})
    assert get_identities(catalog) == {ROOT: (7, 2**63)}


@pytest.mark.parametrize("device", [8, None])
def test_a_root_with_images_on_another_device_is_not_known_any_more(
    catalog: Connection, device: int | None
) -> None:
    note_identities(catalog, {ROOT: (7, 100)}, {ROOT: {7}})
    note_identities(catalog, {}, {ROOT: {device}})
    assert get_identities(catalog) == {}


def test_a_root_of_which_a_part_could_not_be_read_is_not_known_any_more(catalog: Connection) -> None:
    note_identities(catalog, {ROOT: (7, 100)}, {ROOT: {7}})
    note_identities(catalog, {ROOT: None}, {ROOT: {7}})
    assert get_identities(catalog) == {}


def test_a_root_in_which_nothing_is_found_stays_known(catalog: Connection) -> None:
    note_identities(catalog, {ROOT: (7, 100)}, {ROOT: {7}})
    note_identities(catalog, {}, {ROOT: set()})
    assert get_identities(catalog) == {ROOT: (7, 100)}


def test_a_root_that_the_library_covers_no_longer_is_not_kept(catalog: Connection) -> None:
    note_identities(catalog, {ROOT: (7, 100), 99: (7, 101)}, {})
    assert get_identities(catalog) == {ROOT: (7, 100)}
