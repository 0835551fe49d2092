"""`sightline leaks`: is anything of the test set in the training set?"""

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..progress import indexing, task
from .finding import FOUND, fill_in, not_compared
from .options import AnyPath, html_option

if TYPE_CHECKING:
    from search.duplicates.leaks import LeakReport, Split
    from search.duplicates.sides import Side

UNSURE = 1  # exit code: none was found, but there are pictures that could be one and cannot be read
NAMED_MAX = 3  # files of a side that are named when they were not compared

EPILOG = """\b
Examples:
  sightline leaks train/ test/
  sightline leaks train/ test/ --html report.html
  sightline leaks train/ test/ --json > leaks.json || echo "leaks"
  sightline leaks train.txt test.txt
  sightline leaks ~/Pictures/.sightline test/


TRAIN and TEST each are a folder, a list of files (one path a line, or ended by zero bytes;
relative ones count from the list's folder), or a library's .sightline folder.

The bar is looser than that of `duplicates`: a doubtful test picture is better left out.
The pictures are indexed in the cache with the built-in model, so the second time is quick;
nothing is written into the folders.

\b
Exit codes: 0 no leaks   11 leaks found   1 pictures that may be leaks cannot be read any more
  2 no such folder or list, or nothing to compare on one side   3 a library cannot be read
  4 another process compares the same two   6 the disk is full
"""


@click.command("leaks", epilog=EPILOG)
@click.argument("train", type=AnyPath())
@click.argument("test", type=AnyPath())
@click.option("--no-transforms", is_flag=True, help="Leave out mirrored and rotated copies.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: counts by level, and all pairs.")
@html_option
def command(train: Path, test: Path, no_transforms: bool, as_json: bool, html: Path | None) -> None:
    """Find what of a test set is in the training set, exactly or nearly."""
    from indexer.errors import UsageError
    from search.duplicates.sides import read_side

    from .. import groups, show

    sides = read_side(train), read_side(test)
    if sides[0] == sides[1]:
        raise UsageError("the two are the same; `sightline duplicates` looks within one")
    report = _compare(sides, turned=not no_transforms)
    if as_json:
        show.json_lines([groups.leaks_dict(report)])
    else:
        show.raw("".join(f"{line}\n" for line in groups.leak_lines(report)))
    if html:
        skipped = report.train_skipped + report.test_skipped
        from ..leaks_page import leaks_page

        page = leaks_page(report, sides[0].place, sides[1].place, skipped=skipped)
        show.write_html(page, html)
    show.remark(groups.leaks_summary(report))
    sys.exit(FOUND if report.leaks else UNSURE if report.unreadable else 0)


def _compare(sides: "tuple[Side, Side]", *, turned: bool) -> "LeakReport":
    """Index the two sides and compare them; tell of what could not be compared."""
    from indexer.store.library import open_library
    from search.duplicates.leaks import find_leaks, read_split

    from .. import show

    place = _index(sides)
    with task() as update:
        fill_in(place, update)
        with open_library(place) as reader, reader.snapshot():
            split = read_split(reader, *sides)
            for line in _not_compared(split):
                show.remark(line)
            report = find_leaks(reader, split, turned=turned, progress=update)
    for line in not_compared(report.unreadable):
        show.remark(line)
    return report


def _not_compared(split: "Split") -> Iterator[str]:
    """Tell of files that stand aside: a line for each side, with the first few by name."""
    from ..amounts import plural

    for side, skipped in ((split.train, split.train_skipped), (split.test, split.test_skipped)):
        if skipped:
            named = [f"{path} ({reason})" for path, reason in skipped[:NAMED_MAX]]
            named += [f"and {len(skipped) - NAMED_MAX:,} more"] if len(skipped) > NAMED_MAX else []
            yield f"{side.place}: {plural(len(skipped), 'file')} not compared: {', '.join(named)}"
    if split.in_train and split.shared:  # else it is the reason why nothing can be compared
        yield f"{split.train.place}: {split.overlap()}"


def _index(sides: "tuple[Side, Side]") -> Path:
    """Index what is on the two sides in the cache; give the library."""
    from indexer.pipeline import IndexSettings, index_folders

    from .. import show

    for side in sides:
        if side.missing:
            show.remark(f"{side.place}: {side.missing:,} of its files are not there")
    place = _library_of(*(side.place for side in sides))
    settings = IndexSettings(
        model="builtin",
        include_hidden=all(side.files is not None for side in sides),  # what is listed is meant
        count_first=sys.stderr.isatty(),
        wanted=lambda path: any(side.holds(path) for side in sides),
    )
    folders = tuple(dict.fromkeys(folder for side in sides for folder in side.folders))
    with indexing() as (on_progress, on_notice):
        summary = index_folders(place, folders, settings, on_progress=on_progress, on_notice=on_notice)
    for folder in summary.unreadable:
        show.remark(f"{folder.path}: not listed: {folder.reason}")
    return place


def _library_of(*folders: Path) -> Path:
    """Give a library in the cache, the same for the same folders."""
    from indexer.encoders.cache import cache_folder

    name = hashlib.sha256(b"\0".join(os.fsencode(folder) for folder in folders)).hexdigest()[:16]
    place = cache_folder() / "leaks" / name
    place.mkdir(parents=True, exist_ok=True)
    return place
