"""Dates of files without a camera's: real files, whose times the file system keeps."""

import os
import time
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest

from indexer.file_times import modified_ns
from indexer.store.library import open_for_writing, open_library
from indexer.store.records import Filters

from .making import encode, make_card, make_file

DAYS = (date(1901, 5, 1), date(1959, 12, 31), date(1960, 2, 29), date(1970, 1, 1), date(1970, 1, 21))


@pytest.fixture(params=["UTC", "America/Los_Angeles", "Pacific/Auckland"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


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
