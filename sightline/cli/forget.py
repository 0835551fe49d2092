"""`sightline forget`: take files or folders out of the library."""

import glob
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import AnyPath, library_option, library_path

if TYPE_CHECKING:
    from indexer.store.writer import LibraryWriter

NONE_KNOWN = 2  # exit code: none of the paths was in the library
NAMED_MAX = 3  # paths that are put into an example

EPILOG = """\b
Examples:
  sightline forget ~/Pictures/private
  sightline forget old.jpg older.jpg
  sightline forget --removed

The images on disk stay. The next `sightline index` over them takes them in again; keep them out with
`index --exclude`. Of images that `index` finds no longer, vectors and facts are kept for 90 days in case they
return; --removed deletes these at once.

\b
Exit codes: 0 forgotten, all or some   2 none of the paths was in the library, or a wrong option
  3 the library cannot be used   4 another process is writing
"""


@click.command("forget", epilog=EPILOG)
@click.argument("paths", nargs=-1, type=AnyPath(), metavar="[PATH]...")
@click.option("--removed", is_flag=True, help="Delete what is kept of images that `index` found no longer.")
@library_option
def command(paths: tuple[Path, ...], removed: bool, library: Path | None) -> None:
    """Take files or folders out of the library; the images themselves stay."""
    if removed and paths:
        raise click.UsageError("PATH and --removed exclude each other")
    if not removed and not paths:
        raise click.UsageError("nothing to forget: name a PATH, or give --removed")
    place = library_path(library)

    from indexer.store.library import open_for_writing

    with open_for_writing(place, create=False) as writer, writer.forgetting():
        if removed:
            _forget_removed(writer)
        forgotten = [known for path in paths if (known := _forget(writer, path)) is not None]
        _tell_of_return(writer, forgotten, library)
    sys.exit(0 if removed or forgotten else NONE_KNOWN)


def _forget_removed(writer: "LibraryWriter") -> None:
    from .. import show
    from ..amounts import plural

    show.remark(f"{plural(writer.forget_removed(), 'image')} without a file forgotten")


def _forget(writer: "LibraryWriter", path: Path) -> Path | None:
    """Forget what is at or below a path; give its name in the library, None when there was nothing.

    A folder without files is something.
    """
    from search.places import place_of

    from .. import show
    from ..amounts import plural
    from ..places import normal

    roots = writer.roots()
    place = place_of(writer, normal(path))
    files = writer.forget(place)
    was_known = files > 0 or writer.roots() != roots
    what = f"{plural(files, 'file')} forgotten" if was_known else f"not in the library{_still_kept(writer)}"
    show.remark(f"{path}: {what}")
    return place if was_known else None


def _tell_of_return(writer: "LibraryWriter", forgotten: Sequence[Path], library: Path | None) -> None:
    """Say that the next run takes in what is still there, in a folder that the library still covers."""
    from indexer.store.names import absolute, relative_to

    from .. import show

    covered = writer.roots()
    back = [
        absolute(place)
        for place in forgotten
        if os.path.lexists(place) and any(relative_to(place, root) is not None for root in covered)
    ]
    if not back:
        return
    named = [] if library is None else ["--library", str(library)]
    shown = shlex.join([*named, *_leaving_out(writer, back)]) if len(back) <= NAMED_MAX else "--exclude GLOB"
    show.remark(f"the next `sightline index` takes in again what is there; not with: sightline index {shown}")


def _leaving_out(writer: "LibraryWriter", places: Sequence[Path]) -> list[str]:
    """Give arguments of `index` that leave out these places, and change nothing else of what is left out."""
    from indexer.store.excludes import get_excludes, replaced, said_within
    from indexer.store.names import real, real_below

    whole = all(os.path.isdir(place) and not os.path.islink(place) for place in places)  # noqa: PTH112, PTH114
    folders = list(dict.fromkeys(map(real, places if whole else (place.parent for place in places))))
    said = [] if whole else said_within(get_excludes(writer), folders)
    patterns = list(dict.fromkeys(each.pattern for each in said))
    roots = writer.roots()
    covered = [folder for folder in folders if any(real_below(folder, root) is not None for root in roots)]
    if covered != folders or set(said) != set(replaced((), folders, patterns)):
        return ["--exclude", "GLOB"]  # behind a link, or what was said of inner folders would be lifted
    patterns += ["*"] if whole else [glob.escape(str(place)) for place in places]
    return [*map(str, folders), *(word for pattern in patterns for word in ("--exclude", pattern))]


def _still_kept(writer: "LibraryWriter") -> str:
    """Name the remedy to someone who looks for a picture whose file went before."""
    from ..amounts import plural

    kept = writer.status().kept
    if not kept:
        return ""
    what = f"what is kept of {plural(kept, 'image')} without a file"
    return f"; to delete {what}: sightline forget --removed"
