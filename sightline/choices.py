"""Choices: what callers and people choose, checked; first of all which images a search may return."""

import math
import numbers
import operator
import os
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from indexer.errors import EncoderUnknown, FolderMissing, UsageError

if TYPE_CHECKING:
    from indexer.store.records import Filters

COUNT_MAX = 2**31 - 1  # what every part below can hold

_Checked = TypeVar("_Checked")
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
        after=_date("after", after),
        before=_day_before(_date("before", before)),
        camera=optional(text, "camera", camera),
        min_width=optional(whole_number, "min_width", min_width),
        min_height=optional(whole_number, "min_height", min_height),
    )


def _folder(folder: str | Path | None) -> Path | None:
    if folder is None:
        return None
    from .places import normal

    named = path("folder", folder)
    if not named.is_dir():
        raise FolderMissing(named)
    return normal(named)  # the catalog reads `..` by letters, which behind a link is another folder


def _date(name: str, value: object) -> date | None:
    if isinstance(value, str):
        return parse_date(value)
    if value is not None and not isinstance(value, date):
        raise _no("a date", name, value)
    return value.date() if isinstance(value, datetime) else value


def _day_before(day: date | None) -> date | None:
    """Turn "before this day" into the store's "on this day or earlier"."""
    if day == date.min:
        raise UsageError(f"before is {day}: there are no days before it")
    return None if day is None else day - timedelta(days=1)


# -- what a value must be; all raise UsageError ------------------------------------------------------


def optional(check: Callable[[str, object], _Checked], name: str, value: object) -> _Checked | None:
    """Check a value that may be left out."""
    return None if value is None else check(name, value)


def whole_number(name: str, value: object) -> int:
    """Read a whole number from 0 on, numpy's too."""
    number = integer(name, value)
    if not 0 <= number <= COUNT_MAX:
        raise UsageError(f"{name} is {_written(number)}; it lies from 0 to {COUNT_MAX:,}")
    return number


def count(name: str, value: object) -> int:
    """Read a whole number from 1 on, of any size."""
    number = integer(name, value)
    if number < 1:
        raise UsageError(f"{name} is {_written(number)}; the least is 1")
    return number


def integer(name: str, value: object) -> int:
    """Read a whole number of any size and sign, numpy's too."""
    try:
        return operator.index(value)  # type: ignore[arg-type]  # it is what tells
    except TypeError as error:
        raise _no("a whole number", name, value) from error


def finite(name: str, value: object) -> float:
    """Read a number, numpy's too; neither infinite nor nan, which passes every comparison."""
    try:
        if isinstance(value, numbers.Real) and math.isfinite(number := float(value)):
            return number
    except OverflowError:  # a whole number beyond all floats
        pass
    raise _no("a finite number", name, value)


def above_zero(name: str, value: object) -> float:
    """Read a number above 0."""
    number = finite(name, value)
    if number <= 0:
        raise UsageError(f"{name} is {number:g}; it lies above 0")
    return number


def text(name: str, value: object) -> str:
    """Read a text."""
    if not isinstance(value, str):
        raise _no("a str", name, value)
    return value


def function(name: str, value: object) -> None:
    """Refuse what cannot be called."""
    if not callable(value):
        raise _no("a function", name, value)


def model_name(name: str, value: object) -> str:
    """Read the name of a model; raises EncoderUnknown for one that no file can have."""
    named = text(name, value)
    if unfit := _unfit_for_files(named):
        raise EncoderUnknown(named, f"no name has {unfit} in it")
    return named


def device(name: str, value: object) -> str:
    """Read the name of a device; whether it is here is found out when it is used."""
    from indexer.encoders.device import check_device_name

    named = text(name, value)
    check_device_name(named)
    return named


def texts(name: str, value: object) -> tuple[str, ...]:
    """Read a text, or several."""
    some = [value] if isinstance(value, str) else value
    if not _is_list(some) or not all(isinstance(each, str) for each in some):
        raise _no("a str or a list of str", name, value)
    return tuple(some)


def path(name: str, value: object) -> Path:
    """Read a path; ~ is the home folder."""
    if not isinstance(value, str | Path):
        raise _no("a path", name, value)
    _check_is_not_empty(name, value)
    if unfit := _unfit_for_files(str(value)):
        raise UsageError(f"{name} is {str(value)!r:.60}: no path has {unfit} in it")
    from indexer.paths import home_expanded

    return home_expanded(Path(value))


def _check_is_not_empty(name: str, path: str | Path) -> None:
    """Refuse what a variable that was not set gives: Python would take it for the current folder."""
    if path == "":
        raise UsageError(f"{name} is an empty path")


def _unfit_for_files(name: str) -> str | None:
    """Say what is in a name that this system lets no file have."""
    if "\0" in name:
        return "a zero byte"
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return "a lone surrogate"
    return None


def paths(name: str, value: object) -> tuple[str | Path, ...]:
    """Read a path, or several, as they are written."""
    some = [value] if isinstance(value, str | Path) else value
    if not _is_list(some) or not all(isinstance(each, str | Path) for each in some):
        raise _no("a path or a list of paths", name, value)
    for each in some:
        _check_is_not_empty(name, each)
    return tuple(some)


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview)


def _no(kind: str, name: str, value: object) -> UsageError:
    return UsageError(f"{name} is {kind}, not {type(value).__name__}: {_written(value)}")


def _written(value: object) -> str:
    try:
        return f"{value!r:.60}"
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "one of very many digits"
