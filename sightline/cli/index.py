"""`sightline index`: bring a library up to date with folders of images."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..progress import indexing, task
from .options import LIBRARY, AnyPath, FiniteRange, device_option

if TYPE_CHECKING:
    from indexer.patch_filling import PatchesFilled

EPILOG = """\b
Examples:
  sightline index ~/Pictures
  sightline index ~/Pictures --exclude '*/thumbs/*' --exclude '*.gif'
  sightline index /mnt/camera /mnt/archive --library ~/photos.library
  sightline index ~/Pictures --regions
  sightline index                          (the folders that the library already has)
  sightline index ~/Pictures --json --quiet | jq .indexed

Only what is new or has changed is read; a moved or renamed image keeps its vector; images that are gone leave
the results. A wrong extension hides no image, unless it is a common one of other files (.pdf, .html, .mp4).
Ctrl-C ends the run and keeps what is done; the same command continues.

\b
Exit codes: 0 done, also with skipped files   2 no such folder, or a wrong option
  3 the library cannot be used   4 another process is indexing   5 no model   6 disk full   130 Ctrl-C
"""

# While a model is fetched or made ready, nothing looks whether the run is to end.
STOPPING = b"\nsightline: ending after the model or images at hand; Ctrl-C again ends at once\n"


@click.command("index", epilog=EPILOG)
@click.argument("folders", nargs=-1, type=AnyPath(), metavar="[FOLDER]...")
@click.option(
    "--library",
    type=AnyPath(),
    metavar="PATH",
    help=f"{LIBRARY} Default: SIGHTLINE_LIBRARY, else the one at or above FOLDER, else the current folder's "
    "if it covers FOLDER, else a new one in FOLDER.",
)
@click.option(
    "--model",
    metavar="NAME",
    help="builtin, ARCHITECTURE/TAG, ARCHITECTURE@FILE or a folder. "
    "Default: the one last indexed with; for a new library `auto`. `sightline models` lists them.",
)
@click.option("--batch-size", type=click.IntRange(1), metavar="N", help="Images per encoder call.")
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="Decoding processes; default: one per core."
)
@device_option
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Leave out paths that match (repeatable); remembered of these folders until others are given.",
)
@click.option("--no-exclude", is_flag=True, help="Take in again what was left out of these folders.")
@click.option("--include-hidden", is_flag=True, help="Take hidden files and folders too.")
@click.option(
    "--max-megapixels",
    type=FiniteRange(min=0, min_open=True),
    metavar="MP",
    help="Skip images with more pixels.",
)
@click.option(
    "--regions/--no-regions",
    default=None,
    help="Store patch vectors too, so that `search --highlight` need not read the pictures; a library "
    "remembers it.",
)
@click.option("--retry-skipped", is_flag=True, help="Try again what could not be decoded before.")
@click.option("--show-skipped", is_flag=True, help="List every skipped file with its reason.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary; errors only.")
def command(
    folders: tuple[Path, ...],
    library: Path | None,
    model: str | None,
    batch_size: int | None,
    workers: int | None,
    device: str,
    exclude: tuple[str, ...],
    no_exclude: bool,
    include_hidden: bool,
    max_megapixels: float | None,
    regions: bool | None,
    retry_skipped: bool,
    show_skipped: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Bring a library up to date with folders of images."""
    from indexer.store.excludes import without_empty

    exclude = without_empty(exclude)
    if exclude and no_exclude:
        raise click.UsageError("--exclude and --no-exclude exclude each other")
    from indexer.paths import refuse_file

    from .. import show
    from ..places import current_folder, library_to_write

    for folder in folders:
        refuse_file(folder)
    say = (lambda _line: None) if quiet else show.remark
    place = library_to_write(library, os.environ, current_folder(os.environ), folders, notify=say)

    from indexer.pipeline import IndexSettings, index_folders, summary_as_dict

    settings = IndexSettings(
        model=model,
        device=device,
        batch_size=batch_size,
        workers=workers,
        exclude=exclude,
        no_exclude=no_exclude,
        include_hidden=include_hidden,
        max_megapixels=max_megapixels,
        retry_skipped=retry_skipped,
        count_first=sys.stderr.isatty() and not quiet,
    )
    with _stopping() as stop, indexing(quiet=quiet) as (on_progress, on_notice):
        summary = index_folders(
            place, folders or None, settings, on_progress=on_progress, on_notice=on_notice, stop=stop
        )
    if not quiet:
        show.summary(summary, place, excluding=bool(exclude))
    filled = None if summary.interrupted else _fill_regions(place, regions, device, quiet)
    if as_json:
        more = {"regions": filled.stored} if filled else {}
        show.json_lines([{**summary_as_dict(summary), **more, "library": str(place)}])
    if filled is not None and not quiet:
        show.regions_stored(filled)
    if show_skipped:
        _list_skipped(place)
    if summary.interrupted or (filled is not None and filled.interrupted):
        raise KeyboardInterrupt


def _fill_regions(place: Path, wanted: bool | None, device: str, quiet: bool) -> "PatchesFilled | None":
    from .. import show
    from ..regions_indexing import fill_regions

    with _stopping() as stop, task(quiet=quiet) as update:
        return fill_regions(
            place,
            wanted,
            device=device,
            progress=lambda done, of: update("regions", done, of),
            notify=(lambda _line: None) if quiet else show.remark,
            stop=stop,
        )


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Let the first Ctrl-C end the run in order, and the second at once."""
    stop = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def on_interrupt(number: int, frame: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)
        # Not print: a signal may come in the midst of one.
        os.write(2, STOPPING)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stop
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def _list_skipped(place: Path) -> None:
    from indexer.store.library import open_library

    from .. import show

    with open_library(place) as reader:
        show.skipped(reader.skipped_files(), to_stderr=True)
