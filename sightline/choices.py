"""Choices: which images a search may return, as people write them."""

import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import FolderMissing, UsageError

if TYPE_CHECKING:
    from indexer.store.records import Filters

_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?")


def parse_date(text: str) -> date:
    """Read 2024, 2024-05 or 2024-05-17 as the first day it names; raises UsageError."""
    match = _DATE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no date; write 2024, 2024-05 or 2024-05-17")
    year, month, day = (int(part) if part else 1 for part in match.groups())
    try:
        if not 1800 <= year < 3000:
            raise ValueError("the year must lie between 1800 and 2999")
        return date(year, month, day)
    except ValueError as error:
        raise UsageError(f"{text!r} is no date: {error}") from error


def make_filters(
    *,
    folder: str | Path | None = None,
    after: str | date | None = None,
    before: str | date | None = None,
    camera: str | None = None,
    min_width: int | None = None,
    min_height: int | None = None,
) -> "Filters":
    """Make a search's filters; `after` is included, `before` is not; raises FolderMissing, UsageError."""
    from indexer.store.records import Filters

    return Filters(
        folder=_folder(folder),
        after=_date(after),
        before=_day_before(_date(before)),
        camera=camera,
        min_width=min_width,
        min_height=min_height,
    )


def _folder(folder: str | Path | None) -> Path | None:
    if folder is None:
        return None
    from indexer.paths import home_expanded

    path = home_expanded(Path(folder))
    if not path.is_dir():
        raise FolderMissing(path)
    return path.absolute()


def _date(value: str | date | None) -> date | None:
    if isinstance(value, str):
        return parse_date(value)
    return value.date() if isinstance(value, datetime) else value


def _day_before(day: date | None) -> date | None:
    """Turn "before this day" into the store's "on this day or earlier"."""
    return None if day is None else day - timedelta(days=1)
