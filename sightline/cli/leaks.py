"""`sightline leaks`: is anything of the test set in the training set?"""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from .finding import progress
from .options import AnyPath

FOUND = 11  # exit code: there are leaks

EPILOG = """\b
Examples:
  sightline leaks train/ test/
  sightline leaks train/ test/ --json > leaks.json || echo "leaks"

The bar is looser than that of `duplicates`: a doubtful test picture is better left out.
The pictures are indexed in the cache with the built-in model, so the second time is quick;
nothing is written into the folders.

\b
Exit codes: 0 no leaks   11 leaks found   2 no such folder
"""


@click.command("leaks", epilog=EPILOG)
@click.argument("train", type=AnyPath())
@click.argument("test", type=AnyPath())
@click.option("--no-transforms", is_flag=True, help="Leave out mirrored and rotated copies.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: counts by level, and all pairs.")
def command(train: Path, test: Path, no_transforms: bool, as_json: bool) -> None:
    """Find what of a test set is in the training set, exactly or nearly."""
    from indexer.errors import FolderMissing, UsageError

    train, test = Path(os.path.abspath(train)), Path(os.path.abspath(test))  # noqa: PTH100  # keeps links
    for folder in (train, test):
        if not folder.is_dir():
            raise FolderMissing(folder)
    if train == test:
        raise UsageError("the two folders are the same; `sightline duplicates` looks within one")

    from indexer.pipeline import IndexSettings, index_folders
    from indexer.store.library import open_library
    from search.duplicates.leaks import find_leaks

    from .. import groups, show

    place = _library_of(train, test)
    summary = index_folders(place, (train, test), IndexSettings(model="builtin"), on_notice=show.remark)
    if summary.skipped:
        show.remark(f"{summary.skipped:,} files could not be read and were not compared")
    with open_library(place) as reader, progress() as update:
        report = find_leaks(reader, train, test, turned=not no_transforms, progress=update)
    if as_json:
        show.json_lines([groups.leaks_dict(report)])
    else:
        show.raw("".join(f"{line}\n" for line in groups.leak_lines(report)))
    show.remark(groups.leaks_summary(report))
    sys.exit(FOUND if report.leaks else 0)


def _library_of(*folders: Path) -> Path:
    """Give a library in the cache, the same for the same folders."""
    from indexer.encoders.cache import cache_folder

    name = hashlib.sha256(b"\0".join(os.fsencode(folder) for folder in folders)).hexdigest()[:16]
    place: Any = cache_folder() / "leaks" / name
    place.mkdir(parents=True, exist_ok=True)
    return Path(place)
