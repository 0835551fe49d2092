"""Options that several commands share."""

import math
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from indexer.errors import UsageError

from ..choices import parse_date

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


class AnyPath(PathType):
    """A path, given as it stands; whether it exists is the command's business, with its own words."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Make a path; ~ is the home folder."""
        if not str(value):
            self.fail("an empty path", param, ctx)
        return Path(value).expanduser()

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Let the shell complete file names."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


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
        "--html", type=AnyPath(), metavar="FILE", help="Write a page with the images, complete in one file."
    )(command)


def library_option(command: Command) -> Command:
    """Add --library."""
    return click.option(
        "--library",
        type=AnyPath(),
        metavar="PATH",
        help="The library: its folder, or the folder of images it lies in. "
        "Default: SIGHTLINE_LIBRARY, else the nearest .sightline at or above the current folder.",
    )(command)


def library_path(option: Path | None) -> Path:
    """Find the library that a reading command means; raises LibraryMissing."""
    from ..places import library_to_read

    return library_to_read(option, os.environ, Path.cwd())


def current_folder() -> Path:
    """Give the current folder."""
    return Path.cwd()
