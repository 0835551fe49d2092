"""Options that several commands share."""

import math
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from indexer.errors import UsageError
from indexer.typed_paths import FILE_ADDRESS, from_address

from ..choices import COUNT_MAX, parse_date

LIBRARY = "The library: its folder, or the folder of images it lies in."
Command = TypeVar("Command", bound=Callable[..., Any])

if TYPE_CHECKING:
    PathType: TypeAlias = click.ParamType[Path]
    DateType: TypeAlias = click.ParamType[date]
else:  # not generic before click 8.2
    PathType = DateType = click.ParamType


class FiniteRange(click.FloatRange):
    """A number in a range; neither infinite nor nan, which passes every comparison."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number that can be reached", param, ctx)
        return number


class Count(click.IntRange):
    """A number from 1 on that every part below can hold; help does not tell its end, which no one needs."""

    def __init__(self) -> None:
        super().__init__(min=1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a number."""
        number = int(super().convert(value, param, ctx))
        if number > COUNT_MAX:
            self.fail(f"{value} is too much; the most is {COUNT_MAX:,}", param, ctx)
        return number


class AnyPath(PathType):
    """A path, given as it stands; whether it exists is the command's business, with its own words."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Make a path; ~ is the home folder, and an address of a file is that file."""
        if not str(value):
            self.fail("an empty path", param, ctx)
        if not str(value).startswith(("~", FILE_ADDRESS)):
            return Path(value)
        from indexer.paths import home_expanded

        try:
            is_address = str(value).startswith(FILE_ADDRESS)
            return from_address(str(value)) if is_address else home_expanded(Path(value))
        except UsageError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Let the shell complete file names."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


class PagePath(AnyPath):
    """Where a page is written: a name that can be no photo's, since what is there is replaced."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Make a path; of a link, it is what it points to that is written."""
        path = super().convert(value, param, ctx)
        is_page = Path(os.path.realpath(path)).suffix.lower() in (".html", ".htm")
        if not is_page and not _takes_what_is_written(path):
            self.fail(f"{path}: a page is written there, so its name must end in .html", param, ctx)
        return path


def _takes_what_is_written(path: Path) -> bool:
    """Tell a pipe or a device, which is written to and never replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


class Day(DateType):
    """A date: 2024, 2024-05 or 2024-05-17; the first day it names."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Read the date."""
        if isinstance(value, date):
            return value
        try:
            return parse_date(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


def html_option(command: Command) -> Command:
    """Add --html."""
    return click.option(
        "--html", type=PagePath(), metavar="FILE", help="Write a page with the images, complete in one file."
    )(command)


def device_option(command: Command) -> Command:
    """Add --device."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        metavar="NAME",
        callback=_named_device,
        help="auto, cpu, cuda, cuda:1 (the second GPU) or mps.",
    )(command)


def _named_device(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Refuse what is no device before anything is read."""
    from indexer.encoders.device import check_device_name

    check_device_name(value)
    return value


def library_option(command: Command) -> Command:
    """Add --library."""
    return click.option(
        "--library",
        type=AnyPath(),
        metavar="PATH",
        help=f"{LIBRARY} "
        "Default: SIGHTLINE_LIBRARY, else the nearest .sightline at or above the current folder.",
    )(command)


def library_path(option: Path | None) -> Path:
    """Find the library that a reading command means; raises LibraryMissing, FolderMissing."""
    from ..places import library_to_read

    return library_to_read(option, os.environ)
