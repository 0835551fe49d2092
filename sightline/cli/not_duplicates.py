"""`sightline not-duplicates`: remember that pictures which look alike are no copies of one another."""

from pathlib import Path

import click

from .options import AnyPath, library_option, library_path

EPILOG = """\b
Examples:
  sightline not-duplicates smile-1.jpg smile-2.jpg
  sightline not-duplicates --again smile-1.jpg smile-2.jpg

It holds for the pictures, whatever their files are called, and outlives indexing them anew.

\b
Exit codes: 0 remembered   1 a file cannot be read   2 fewer than two pictures
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
    from ..names import plural

    hashes = [content_hash(file) for file in files]
    if len(set(hashes)) < 2:
        raise UsageError("two different pictures are needed: files with the same bytes always are duplicates")
    with open_for_writing(library_path(library), create=False) as writer:
        count = writer.put_apart(hashes, again=again)
    said = "will be found again" if again else "will not be reported again"
    show.remark(f"{plural(count, 'pair')} {said}")
