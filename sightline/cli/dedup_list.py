"""`sightline dedup-list`: what to keep of a collection, for programs that read lists of files."""

from pathlib import Path
from typing import Any

import click

from .finding import find, question_options
from .options import library_option, library_path

EPILOG = """\b
Examples:
  sightline dedup-list > keep.txt
  sightline dedup-list --drop --level exact -0 > drop.list
  sightline dedup-list --transforms --keep oldest --in train > train-keep.txt

One path a line: each file that has no copies, and of each group of copies the one kept.
Exit codes: 0 also when nothing is to be dropped.
"""


@click.command("dedup-list", epilog=EPILOG)
@question_options
@click.option("--drop", is_flag=True, help="List what to drop instead.")
@click.option("-0", "--null", is_flag=True, help="End each path by a zero byte.")
@library_option
def command(question: Any, drop: bool, null: bool, library: Path | None) -> None:
    """List what to keep of a collection, one file of each group of copies."""
    place = library_path(library)

    from indexer.store.library import open_library
    from search.duplicates.finder import all_images

    from .. import groups, show

    report = find(question, place)
    dropped = {member.image.path for group in report.groups for member in group.members}
    if drop:
        listed = sorted(dropped)
    else:
        with open_library(place) as reader:
            images = all_images(reader, question["folder"])
        listed = sorted(image.path for copies in images.values() for image in copies)
        listed = [path for path in listed if path not in dropped]
    show.paths(listed, end=b"\0" if null else b"\n")
    show.remark(groups.summary(report))
