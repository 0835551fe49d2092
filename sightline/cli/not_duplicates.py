"""`sightline not-duplicates`: remember that pictures which look alike are no copies of one another."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import AnyPath, library_option, library_path

if TYPE_CHECKING:
    from indexer.store.reader import LibraryReader

EPILOG = """\b
Examples:
  sightline not-duplicates smile-1.jpg smile-2.jpg
  sightline not-duplicates --again smile-1.jpg smile-2.jpg

It holds for the pictures, whatever their files are called, and outlives indexing them anew.

\b
Exit codes: 0 remembered   1 a file cannot be read
  2 fewer than two pictures, or one that is not in the library   3 the library does not allow it
  4 another process is writing
"""


@click.command("not-duplicates", epilog=EPILOG)
@click.argument("files", nargs=-1, required=True, type=AnyPath(), metavar="FILE FILE...")
@click.option("--again", is_flag=True, help="Take it back: let them be found again.")
@library_option
def command(files: tuple[Path, ...], again: bool, library: Path | None) -> None:
    """Remember that pictures which look alike are no copies of one another."""
    from indexer.errors import UsageError
    from indexer.fingerprint import content_hash
    from indexer.store.library import open_for_writing

    from .. import show
    from ..amounts import plural

    hashes = [content_hash(file) for file in files]
    if len(set(hashes)) < 2:
        raise UsageError("two different pictures are needed: files with the same bytes always are duplicates")
    with open_for_writing(library_path(library), create=False) as writer:
        if not again:  # what left the library since can be taken back
            _check_known(writer, files, hashes)
        count = writer.put_apart(hashes, again=again)
    said = "will be found again" if again else "will not be reported again"
    show.remark(f"{plural(count, 'pair')} {said}")


def _check_known(reader: "LibraryReader", files: Sequence[Path], hashes: Sequence[bytes]) -> None:
    from indexer.errors import UsageError

    for file, content in zip(files, hashes, strict=True):
        if reader.content_by_hash(content) is None:
            raise UsageError(
                f"{file}: not in the library, or changed since it was indexed; "
                "name pictures that are, or run `sightline index` first"
            )
