"""The catalog's questions: what SQLite looks at for them, and the times that real files have."""

import os
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from sqlite3 import Connection

import pytest
from sqlalchemy import select
from sqlalchemy.dialects import sqlite

from indexer.file_times import modified_ns
from indexer.store import catalog, schema
from indexer.store.changes import at_or_below
from indexer.store.library import open_for_writing, open_library
from indexer.store.records import Filters

from .making import encode, make_card, make_file

DAYS = (date(1901, 5, 1), date(1959, 12, 31), date(1960, 2, 29), date(1970, 1, 1), date(1970, 1, 21))


def touched(folder: Path, moment: datetime) -> Path:
    """Make a file that was changed at a moment of local time, and is called after its day."""
    path = folder / f"{moment.date()}.jpg"
    path.touch()
    os.utime(path, (moment.timestamp(), moment.timestamp()))
    return path


def days_left(photos: Path, filters: Filters) -> list[date]:
    """Index a file of noon of each day; give those that are left."""
    with open_for_writing(photos / ".sightline", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        writer.use_root(photos)
        paths = [touched(photos, datetime(day.year, day.month, day.day, 12)) for day in DAYS]
        files = [make_file(photos, path.name, mtime_ns=modified_ns(path.stat())) for path in paths]
        writer.commit(encoder, [], [encode(file) for file in files], [])
    with open_library(photos / ".sightline") as reader:
        ids, _, _ = reader.fingerprints()
        images = reader.images(ids.tolist(), filters).values()
    return sorted(date.fromisoformat(image.path.stem) for copies in images for image in copies)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(after=date(1960, 2, 29)), DAYS[2:]),
        (Filters(before=date(1959, 12, 31)), DAYS[:2]),
        (Filters(after=date(1960, 1, 1), before=date(1969, 12, 31)), DAYS[2:3]),
        (Filters(after=date(1970, 1, 1)), DAYS[3:]),
        (Filters(before=date(1970, 1, 1)), DAYS[:4]),
        (Filters(after=date(1800, 2, 28)), DAYS),
        (Filters(after=date.min, before=date.max), DAYS),
        (Filters(before=date(1800, 1, 1)), ()),
    ],
)
@pytest.mark.usefixtures("zone")
def test_the_time_of_a_file_counts_before_1970_too(
    photos: Path, filters: Filters, expected: tuple[date, ...]
) -> None:
    assert days_left(photos, filters) == list(expected)


@pytest.mark.parametrize("zone", ["America/Santiago"], indirect=True)
@pytest.mark.parametrize("fold", [0, 1], ids=["first", "second"])
@pytest.mark.usefixtures("zone")
def test_the_hour_that_comes_twice_before_midnight_is_of_its_day(photos: Path, fold: int) -> None:
    path = touched(photos, datetime(2024, 4, 6, 23, 30, fold=fold))
    with open_for_writing(photos / ".sightline", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        writer.use_root(photos)
        file = make_file(photos, path.name, mtime_ns=modified_ns(path.stat()))
        writer.commit(encoder, [], [encode(file)], [])
        ids = writer.fingerprints()[0].tolist()
        asked = (Filters(before=date(2024, 4, 6)), Filters(after=date(2024, 4, 7)))
        assert [len(writer.images(ids, each)) for each in asked] == [1, 0]


# What SQLite looks at


def plans(library: Path, ask: Callable[[Connection], object]) -> str:
    """Give how SQLite looks for the answers to what a function asks it."""
    asked: list[str] = []
    with open_library(library) as reader, reader.reading() as connection:
        connection.set_trace_callback(asked.append)
        ask(connection)
        connection.set_trace_callback(None)
        rows = [row[3] for each in asked for row in connection.execute(f"EXPLAIN QUERY PLAN {each}")]
    return "; ".join(rows)


def test_a_folder_is_looked_for_by_its_path(library: Path) -> None:
    assert "(root_id=? AND path>? AND path<?)" in plans(library, lambda c: catalog.is_known(c, 1, "3"))


def test_a_folder_whose_files_are_to_go_is_looked_for_by_its_path(library: Path) -> None:
    question = select(schema.file.c.id).where(at_or_below(1, "3"))
    text = str(question.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    assert "(root_id=? AND path>? AND path<?)" in plans(library, lambda c: c.execute(text))


def test_files_of_given_contents_are_looked_for_by_content(library: Path, photos: Path) -> None:
    filters = Filters(folder=photos / "3")
    told = plans(library, lambda c: catalog.find_images(c, [1, 2, 3], filters, library))
    assert "ix_file_content_id" in told
    assert "path>" not in told


def test_of_many_contents_only_those_in_the_folder_are_asked_about(photos: Path, library: Path) -> None:
    asked: list[str] = []
    with open_library(library) as reader, reader.reading() as connection:
        connection.set_trace_callback(asked.append)
        found = catalog.find_images(connection, range(1, 2001), Filters(folder=photos / "3"), library)
        connection.set_trace_callback(None)
    assert {images[0].relative for images in found.values()} == {
        f"3/{i}3.jpg" if i else "3/3.jpg" for i in range(6)
    }
    assert sum("file.content_id IN" in question for question in asked) == 1


def test_vectors_as_of_a_generation_come_in_order_without_being_sorted(library: Path) -> None:
    with open_library(library) as reader:
        encoder = reader.default_encoder()
    told = plans(library, lambda c: list(catalog.stream_vectors(c, encoder, until_generation=1)))
    assert "TEMP B-TREE" not in told


@pytest.mark.parametrize("name", ["a", "a/b", "é"])
def test_names_that_sort_beside_a_folder_are_not_in_it(photos: Path, name: str) -> None:
    near = [f"{name}!/x", f"{name}-b", f"{name} /x", f"{name}.jpg", f"{name}0", f"{name}/0", f"{name[:-1]}A"]
    with open_for_writing(photos / ".sightline", create=True) as writer:
        writer.use_root(photos)
        encoder = writer.use_encoder(make_card())
        writer.commit(encoder, [], [encode(make_file(photos, each)) for each in (name, *near)], [])
        images = writer.images(range(1, 20), Filters(folder=photos / name))
    assert {found[0].relative for found in images.values()} == {name, f"{name}/0"}


def test_a_size_that_many_contents_have_is_told_once(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        same = [encode(make_file(photos, f"scan {i}.tif", 777)) for i in range(100)]
        writer.commit(encoder, [], same, [])
        with writer.reading() as connection:
            looked_at = 0

            def count() -> None:
                nonlocal looked_at
                looked_at += 1

            connection.set_progress_handler(count, 1)
            assert catalog.sizes_embedded(connection, encoder.id, [777, 778, 1003]) == {777, 1003}
            connection.set_progress_handler(None, 1)
    assert looked_at < 500  # steps of SQLite's machine; a hundred rows take thousands
