"""What the commands that find duplicates share: their options, and the finding with its progress."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import AnyPath, Command

if TYPE_CHECKING:
    from search.duplicates.finder import DuplicateReport, Progress

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--level",
        type=click.Choice(["exact", "pixel", "near", "similar"]),
        default="near",
        show_default=True,
        help="How alike.",
    ),
    click.option(
        "--keep",
        type=click.Choice(["best", "largest", "oldest", "newest", "first"]),
        default="best",
        show_default=True,
        help="Which file of a group stays.",
    ),
    click.option(
        "--protect",
        multiple=True,
        type=AnyPath(),
        metavar="FOLDER",
        help="Nothing below it may go (repeatable).",
    ),
    click.option("--in", "folder", type=AnyPath(), metavar="FOLDER", help="Only files at or below it."),
    click.option("--transforms", is_flag=True, help="Find mirrored and rotated copies too."),
)


def question_options(command: Command) -> Command:
    """Add the options that say what counts as a duplicate; the command is given them as `question`."""

    @wraps(command)
    def with_question(
        *arguments: Any,
        level: str,
        keep: str,
        protect: tuple[Path, ...],
        folder: Path | None,
        transforms: bool,
        **others: Any,
    ) -> Any:
        asked = ("level", level), ("keep", keep), ("protect", protect), ("folder", folder)
        question = dict((*asked, ("transforms", transforms)))
        return command(*arguments, question=question, **others)

    for option in reversed(_OPTIONS):
        with_question = option(with_question)
    return with_question  # type: ignore[return-value]


def find(question: dict[str, Any], place: Path) -> "DuplicateReport":
    """Find a library's duplicates; tell of files that could not be compared."""
    from indexer.store.library import open_library
    from search.duplicates.finder import Question, find_duplicates
    from search.duplicates.keeping import Keep
    from search.duplicates.records import Level

    from .. import show

    asked = Question(
        level=Level(question["level"]),
        keep=Keep(question["keep"]),
        protected=tuple(Path.cwd() / path for path in question["protect"]),
        turned=question["transforms"],
        folder=question["folder"],
    )
    with open_library(place) as reader, progress() as update:
        report = find_duplicates(reader, asked, progress=update)
    for path, reason in report.unreadable:
        show.remark(f"{path}: not compared: {reason}")
    return report


@contextmanager
def progress() -> "Iterator[Progress]":
    """Show a bar on a terminal, and nothing elsewhere; give what feeds it."""
    from .. import show

    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    with show.task_bar() as update:
        yield update
