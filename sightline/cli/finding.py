"""What the commands that find duplicates share: their options, and the finding."""

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..progress import task
from .options import AnyPath, Command

if TYPE_CHECKING:
    from indexer.store.reader import LibraryReader
    from search.duplicates.finder import DuplicateReport, Question
    from search.duplicates.proposing import Progress

FOUND = 11  # exit code: there are duplicates, or leaks
NAMED_MAX = 5  # files that are named for each reason why they were not compared

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
    click.option(
        "--reference",
        type=AnyPath(),
        metavar="FOLDER",
        help="Only what is in this indexed folder already, which itself is left alone.",
    ),
    click.option("--transforms", is_flag=True, help="Find mirrored copies too, and all rotated ones."),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say, as it was typed."""

    level: str
    keep: str
    protect: tuple[Path, ...]
    folder: Path | None
    reference: Path | None
    transforms: bool

    def question(self) -> "Question":
        """Give it as the search for duplicates takes it."""
        from search.duplicates.finder import Question
        from search.duplicates.keeping import Keep
        from search.duplicates.records import Level

        return Question(
            level=Level(self.level),
            keep=Keep(self.keep),
            protected=tuple(Path.cwd() / path for path in self.protect),
            turned=self.transforms,
            folder=self.folder,
            reference=_absolute(self.reference),
        )


def question_options(command: Command) -> Command:
    """Add the options that say what counts as a duplicate; the command is given them as `asked`."""

    @wraps(command)
    def with_question(*arguments: Any, **others: Any) -> Any:
        own = {field.name: others.pop(field.name) for field in fields(Asked)}
        return command(*arguments, asked=Asked(**own), **others)

    for option in reversed(_OPTIONS):
        with_question = option(with_question)
    return with_question  # type: ignore[return-value]


def find(asked: Asked, place: Path) -> "DuplicateReport":
    """Find a library's duplicates; tell of files that could not be compared."""
    from indexer.store.library import open_library
    from search.duplicates.finder import find_duplicates

    from .. import show

    question = asked.question()
    with task() as update:
        fill_in(place, update)
        with open_library(place) as reader:
            _check_in_library(reader, "protect", asked.protect)
            _check_in_library(reader, "reference", asked.reference)
            check_folder(reader, asked.folder)
            report = find_duplicates(reader, question, progress=update)
            notes = reader.warnings
    for line in (*notes, *not_compared(report.unreadable)):
        show.remark(line)
    return report


def not_compared(unreadable: "Sequence[tuple[Path, str]]") -> "Iterator[str]":
    """Tell of files that could not be compared: one by one while they are few, else counted by reason."""
    paths: dict[str, list[Path]] = {}
    for path, reason in unreadable:
        paths.setdefault(reason, []).append(path)
    for reason, some in paths.items():
        if len(some) <= NAMED_MAX:
            yield from (f"{path}: not compared: {reason}" for path in some)
        else:
            yield f"{len(some):,} files not compared, {some[0]} among them: {reason}"


def _absolute(folder: Path | None) -> Path | None:
    return None if folder is None else Path(os.path.abspath(folder))  # noqa: PTH100  # keeps links


def _check_in_library(reader: "LibraryReader", option: str, named: "Path | tuple[Path, ...] | None") -> None:
    """Refuse a folder that is misspelt, or holds nothing: who names it relies on it."""
    from indexer.errors import UsageError
    from indexer.store.names import relative_to

    for folder in named if isinstance(named, tuple) else filter(None, (named,)):
        if not folder.exists():
            raise UsageError(f"--{option} {folder}: there is no such folder; look at how it is spelt")
        if _holds_images(reader, Path.cwd() / folder):
            continue
        remedy = f"`sightline index {shlex.quote(str(folder))} --library {shlex.quote(str(reader.path))}`"
        roots = reader.roots()
        if all(relative_to(folder, root) is None and relative_to(root, folder) is None for root in roots):
            raise UsageError(
                f"--{option} {folder} is not in the library: leave it out, or add it with {remedy}"
            )
        raise UsageError(
            f"--{option} {folder}: the library has no picture there, so it would do nothing; look at how it "
            f"is spelt, or take in what is new with {remedy}"
        )


def _holds_images(reader: "LibraryReader", folder: Path) -> bool:
    """Tell whether a picture lies below a folder: as the catalog names it, or as the file system does."""
    from search.duplicates.finder import all_images
    from search.duplicates.keeping import is_protected
    from search.places import place_of

    if reader.has_images(place_of(reader, folder)):
        return True
    copies = all_images(reader).values()  # slower, and seldom needed
    return any(is_protected(image.path, (folder,)) for images in copies for image in images)


def check_folder(reader: "LibraryReader", folder: Path | None) -> None:
    """Refuse a folder that is misspelt, or that nothing was taken in from; a reference does not count."""
    from search.places import place_of

    if folder is not None:
        check_any(reader.has_images(place_of(reader, folder)), folder)


def check_any(files: int, folder: Path | None) -> None:
    """Refuse a folder that none of the files lies in: it is misspelt."""
    from indexer.errors import UsageError

    if folder is not None and not files:
        raise UsageError(f"--in {folder}: the library has no picture there; look at how it is spelt")


def fill_in(place: Path, update: "Progress") -> None:
    """Take down what an older program did not about pictures that are indexed already."""
    from indexer.backfill import fill_features
    from indexer.errors import LibraryBusy, LibraryReadOnly

    from .. import show

    try:
        missing = fill_features(place, progress=lambda done, of: update("taking down marks", done, of))
    except (LibraryBusy, LibraryReadOnly) as error:
        show.remark(f"{error}; crops and frames of pictures from an older program may be missed")
    else:
        if missing:
            show.remark(f"{missing:,} pictures could not be read: crops and frames of them may be missed")
