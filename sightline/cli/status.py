"""`sightline status`: what the library holds."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import library_option, library_path

if TYPE_CHECKING:
    from indexer.store.excludes import Exclude

EPILOG = """\b
Examples:
  sightline status
  sightline status --library ~/Pictures --json | jq .images
  sightline status --skipped > skipped.tsv
"""


@click.command("status", epilog=EPILOG)
@click.option("--skipped", is_flag=True, help="List every skipped file with its reason, parted by a tab.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; with --skipped, one for each file.")
@library_option
def command(skipped: bool, as_json: bool, library: Path | None) -> None:
    """Show what the library holds."""
    place = library_path(library)

    from indexer.store.excludes import get_excludes
    from indexer.store.library import open_library

    from .. import show

    with open_library(place) as reader:
        if skipped and as_json:
            show.json_lines({"path": str(path), "reason": reason} for path, reason in reader.skipped_files())
        elif skipped:
            show.skipped(reader.skipped_files())
        elif as_json:
            show.json_lines([show.status_dict(reader.status(), get_excludes(reader))])
        else:
            show.status(reader.status(), [_in_words(each, place) for each in get_excludes(reader)])
        for note in reader.warnings:
            show.remark(note)


def _in_words(exclude: "Exclude", library: Path) -> str:
    from indexer.store.names import real

    is_own = exclude.folder == real(library.parent)
    return exclude.pattern if is_own else f"{exclude.pattern}  in {exclude.folder}"
