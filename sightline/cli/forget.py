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
  sightline forget --removed

The images on disk stay. The next `sightline index` over them takes them in again; keep them out with
--exclude. Of images whose files are gone, vectors and facts are kept for 90 days in case they return;
--removed deletes these at once.

\b
Exit codes: 0 forgotten, all or some   2 none of the paths was in the library, or a wrong option
  3 the library cannot be used   4 another process is writing
"""


@click.command("forget", epilog=EPILOG)
@click.argument("paths", nargs=-1, type=AnyPath(), metavar="[PATH]...")
@click.option("--removed", is_flag=True, help="Delete what is kept of images whose files are gone.")
@library_option
def command(paths: tuple[Path, ...], removed: bool, library: Path | None) -> None:
    """Take files or folders out of the library; the images themselves stay."""
    if removed and paths:
        raise click.UsageError("PATH and --removed exclude each other")
    if not removed and not paths:
        raise click.UsageError("nothing to forget: name a PATH, or give --removed")
    place = library_path(library)

    from indexer.store.library import open_for_writing

    with open_for_writing(place, create=False) as writer:
        were_known = [_forget_removed(writer)] if removed else [_forget(writer, path) for path in paths]
    sys.exit(0 if any(were_known) else NONE_KNOWN)


def _forget_removed(writer: "LibraryWriter") -> bool:
    from .. import show
    from ..names import plural

    show.remark(f"{plural(writer.forget_removed(), 'image')} without a file forgotten")
    return True


def _forget(writer: "LibraryWriter", path: Path) -> bool:
    """Forget what is at or below a path; tell whether there was anything, if only a folder without files."""
    from search.places import place_of

    from .. import show
    from ..names import plural

    roots = writer.roots()
    files = writer.forget(place_of(writer, path.absolute()))
    was_known = files > 0 or writer.roots() != roots
    what = f"{plural(files, 'file')} forgotten" if was_known else f"not in the library{_still_kept(writer)}"
    show.remark(f"{path}: {what}")
    return was_known


def _still_kept(writer: "LibraryWriter") -> str:
    """Name the remedy to someone who looks for a picture whose file went before."""
    from ..names import plural

    kept = writer.status().kept
    if not kept:
        return ""
    what = f"what is kept of {plural(kept, 'image')} without a file"
    return f"; to delete {what}: sightline forget --removed"
