"""`sightline forget`: take files or folders out of the library."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import AnyPath, library_option, library_path

if TYPE_CHECKING:
    from indexer.store.writer import LibraryWriter

NONE_KNOWN = 2  # exit code: none of the paths was in the library

EPILOG = """\b
Examples:
  sightline forget ~/Pictures/private
  sightline forget old.jpg older.jpg

The images on disk stay. The next `sightline index` over them takes them in again; keep them out with
--exclude.

\b
Exit codes: 0 forgotten, all or some   2 none of the paths was in the library, or a wrong option
  3 the library cannot be used   4 another process is writing
"""


@click.command("forget", epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, type=AnyPath(), metavar="PATH...")
@library_option
def command(paths: tuple[Path, ...], library: Path | None) -> None:
    """Take files or folders out of the library; the images themselves stay."""
    place = library_path(library)

    from indexer.store.library import open_for_writing

    with open_for_writing(place, create=False) as writer:
        were_known = [_forget(writer, path) for path in paths]
    sys.exit(0 if any(were_known) else NONE_KNOWN)


def _forget(writer: "LibraryWriter", path: Path) -> bool:
    """Forget what is at or below a path; tell whether there was anything, if only a folder without files."""
    from search.places import place_of

    from .. import show
    from ..names import plural

    roots = writer.roots()
    files = writer.forget(place_of(writer, path.absolute()))
    was_known = files > 0 or writer.roots() != roots
    show.remark(f"{path}: {plural(files, 'file')} forgotten" if was_known else f"{path}: not in the library")
    return was_known
