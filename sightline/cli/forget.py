"""`sightline forget`: take files or folders out of the library."""

from pathlib import Path

import click

from .options import AnyPath, library_option, library_path

EPILOG = """\b
Examples:
  sightline forget ~/Pictures/private
  sightline forget old.jpg older.jpg

The images on disk stay. The next `sightline index` over them takes them in again; keep them out with
--exclude.
"""


@click.command("forget", epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, type=AnyPath(), metavar="PATH...")
@library_option
def command(paths: tuple[Path, ...], library: Path | None) -> None:
    """Take files or folders out of the library; the images themselves stay."""
    place = library_path(library)

    from indexer.store.library import open_for_writing
    from search.places import place_of

    from .. import show
    from ..names import plural

    with open_for_writing(place, create=False) as writer:
        for path in paths:
            files = writer.forget(place_of(writer, path.absolute()))
            show.remark(
                f"{path}: {plural(files, 'file')} forgotten" if files else f"{path}: not in the library"
            )
