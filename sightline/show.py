"""Showing: tables, lines and JSON on stdout; remarks on stderr.

Only here, in progress.py, train_report.py and cli/ is anything printed.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .amounts import duration, file_size, plural
from .names import printable, short

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from indexer.encoders.models import ModelEntry
    from indexer.patch_filling import PatchesFilled
    from indexer.records import IndexSummary
    from indexer.store.excludes import Exclude
    from indexer.store.records import LibraryStatus, StoredEncoder
    from search.results import Hit, SearchAnswer


PREVIEW_COLUMNS = 40
# Below these widths a terminal has no room for a table, and for pixels and dates in it.
TABLE_COLUMNS_MIN, FACTS_COLUMNS_MIN = 50, 80
NAME_COLUMNS_MIN = 16


def remark(text: str) -> None:
    """Say something that is no result."""
    print(f"sightline: {printable(text)}", file=sys.stderr)


def json_lines(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print one JSON object a line, in UTF-8 whatever the terminal's encoding."""
    _write_bytes(_json_bytes(row) + b"\n" for row in rows)


def _json_bytes(row: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(row, ensure_ascii=False).encode("utf-8")
    except (
        UnicodeEncodeError
    ):  # a file name that is no UTF-8: as \udcff escapes, which os.fsencode turns back
        return json.dumps(row).encode("ascii")


def paths(files: Iterable[Path], *, end: bytes) -> None:
    """Print paths as the bytes that they are on disk."""
    _write_bytes(os.fsencode(file) + end for file in files)


def numbered_paths(groups: Iterable[tuple[int, Sequence[Path]]], *, end: bytes) -> None:
    """Print each path, as it is on disk, after the number of its group and a tab."""
    rows = ((number, file) for number, files in groups for file in files)
    _write_bytes(b"%d\t%b%b" % (number, os.fsencode(file), end) for number, file in rows)


def raw(text: str) -> None:
    """Print text that ends its own lines, in UTF-8; bytes of a file name that are none go out as they are."""
    _write_bytes([text.encode("utf-8", "surrogateescape")])


def _write_bytes(chunks: Iterable[bytes]) -> None:
    sys.stdout.flush()
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def hits(answer: "SearchAnswer", *, preview: bool = False) -> None:
    """Print hits: a table on a terminal, or thumbnails; elsewhere score, relevance, path, parted by tabs."""
    if preview:
        _gallery(answer)
    elif sys.stdout.isatty():
        _table(answer)
    else:
        lines = (f"{hit.score:.4f}\t{hit.relevance:.3f}\t{printable(hit.path)}\n" for hit in answer)
        _write_bytes(line.encode("utf-8") for line in lines)


def _table(answer: "SearchAnswer") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not answer.hits:
        return
    if console.width < TABLE_COLUMNS_MIN:
        _narrow_lines(answer, console)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    table.add_column("#", justify="right", style="bold")
    table.add_column("score", justify="right")
    table.add_column("relevance", no_wrap=True)
    table.add_column("image", overflow="fold", ratio=1, min_width=NAME_COLUMNS_MIN)
    has_facts = console.width >= FACTS_COLUMNS_MIN
    if has_facts:
        table.add_column("pixels", justify="right", no_wrap=True, style="dim")
        table.add_column("date", no_wrap=True, style="dim")
    for rank, hit in enumerate(answer, 1):
        facts = (f"{hit.width}×{hit.height}", _date(hit)) if has_facts else ()
        table.add_row(str(rank), f"{hit.score:.3f}", _bar(hit.relevance), _linked(hit), *facts)
    console.print(table)


def _narrow_lines(answer: "SearchAnswer", console: "Console") -> None:
    """Print rank, score and path, which the terminal breaks where it ends."""
    from rich.text import Text

    for rank, hit in enumerate(answer, 1):
        console.print(Text.assemble((f"{rank}", "bold"), f" {hit.score:.3f} ", _linked(hit)), soft_wrap=True)


def _gallery(answer: "SearchAnswer") -> None:
    """Print a thumbnail and a line for each hit: by kitty's protocol, sixel (iTerm2 has it), or in blocks.

    Not in a table: sixels are drawn from where the cursor stands, and a table's cells are printed by lines.
    """
    from rich.console import Console
    from rich.text import Text
    from textual_image.renderable import Image as TerminalImage

    from .thumbnails import thumbnails

    console = Console()
    images = thumbnails([hit.path for hit in answer], 600)
    for rank, (hit, image) in enumerate(zip(answer, images, strict=True), 1):
        # The library divides by the terminal's rows, and some terminals report none.
        with suppress(ZeroDivisionError):
            if image is not None:
                console.print(TerminalImage(image, width=PREVIEW_COLUMNS, height="auto"))
        line = Text.assemble(
            (f"{rank}", "bold"), f"  {hit.score:.3f}  ", _bar(hit.relevance), "  ", _linked(hit)
        )
        console.print(line, "" if image is not None else "(cannot be read)", end="\n\n", soft_wrap=True)


def _bar(relevance: float) -> "Text":
    from rich.text import Text

    filled = round(relevance * 10)
    color = "green" if relevance >= 0.5 else "yellow"
    return Text.assemble(("━" * filled, color), ("━" * (10 - filled), "bright_black"), f" {relevance:4.0%}")


def _linked(hit: "Hit") -> "Text":
    """Give the path, to click on where the terminal can."""
    from rich.style import Style
    from rich.text import Text

    return Text(printable(_shortest(hit.path)), style=Style(link=hit.path.as_uri()))


def _shortest(path: Path) -> str:
    """Give a path as it is, or as seen from the current folder, unless that one was deleted."""
    try:
        return short(path, Path.cwd())
    except FileNotFoundError:
        return str(path)


def _date(hit: "Hit") -> str:
    return f"{hit.taken_at or hit.modified_at:%Y-%m-%d}"


def remarks(answer: "SearchAnswer", notes: Iterable[str] = ()) -> None:
    """Say on stderr what the hits do not; notes are what the library had to get around."""
    for note in notes:
        remark(note)
    if not answer.hits:
        remark(f"no image fits (of {answer.images:,}): the filters or limits leave none")
    elif answer.nothing_matches:
        remark(
            "nothing matches well: the best stands no higher than what unrelated queries get; these are the "
            "least far"
        )


def write_html(html: str, file: Path) -> None:
    """Write a page."""
    from .writing import write_whole

    with told_written(file):
        write_whole(file, html)


def write_sheet(answer: "SearchAnswer", file: Path) -> None:
    """Write the answer as a contact sheet."""
    from .sheet import save_sheet

    with told_written(file):
        save_sheet(answer, file)


@contextmanager
def told_written(file: Path) -> Iterator[None]:
    """Say that a file was written, and whether another one had to go for it."""
    verb = "replaced" if file.is_file() else "wrote"
    yield
    remark(f"{verb} {file} ({file_size(file.stat().st_size)})")


def summary(done: "IndexSummary", library: Path, *, excluding: bool = False) -> None:
    """Say on stderr what an indexing run did; excluding: it was told what to leave out."""
    gone = "taken out of the library (files untouched)" if excluding else "removed"
    counts = [f"{plural(done.indexed, 'image')} indexed"]
    counts += [f"{done.unchanged:,} unchanged"] if done.unchanged else []
    counts += [f"{done.moved:,} moved"] if done.moved else []
    counts += [f"{done.removed:,} {gone}"] if done.removed else []
    counts += [f"{done.skipped:,} skipped"] if done.skipped else []
    pace = f" ({done.indexed / done.seconds:.0f} images/s)" if done.indexed and done.seconds else ""
    remark(f"{', '.join(counts)} in {duration(done.seconds)}{pace}; library: {printable(library)}")
    for reason, files in done.skipped_reasons:
        _to_stderr(f"  skipped {files:,}: {reason}")
    for folder in done.unreadable:
        _to_stderr(f"  not listed {folder.path}: {folder.reason}")
    if done.interrupted:
        remark("interrupted; what is done is kept, and the same command continues")


def regions_stored(done: "PatchesFilled") -> None:
    """Say on stderr what was stored of patch vectors."""
    unread = f"; {plural(done.unreadable, 'image')} could not be read" if done.unreadable else ""
    remark(f"regions of {plural(done.stored, 'image')} stored ({file_size(done.stored_bytes)}){unread}")
    if done.interrupted:
        remark("interrupted; what is done is kept, and the same command continues")


def _to_stderr(text: str) -> None:
    print(printable(text), file=sys.stderr)


def skipped(files: Iterable[tuple[Path, str]], *, to_stderr: bool = False) -> None:
    """List files that gave no image, each with its reason."""
    for path, reason in files:
        print(f"{printable(path)}\t{printable(reason)}", file=sys.stderr if to_stderr else sys.stdout)


def status(found: "LibraryStatus", excludes: Sequence[str] = ()) -> None:
    """Print what a library holds, and which patterns `index` leaves out of it."""
    rows = [
        ("library", printable(found.path)),
        *(("folder", printable(root)) for root in found.roots),
        *(("excluded", printable(pattern)) for pattern in excludes),
        ("images", f"{found.images:,} in {plural(found.files, 'file')}"),
    ]
    rows += (
        [("kept", f"{plural(found.kept, 'image')} no longer in the library, in case they return")]
        if found.kept
        else []
    )
    rows += [("model", _encoder_line(encoder, found)) for encoder in found.encoders]
    rows += [("skipped", f"{files:,}: {printable(reason)}") for reason, files in found.skipped]
    if found.patches[0]:
        images, size = found.patches
        rows.append(("regions", f"patch vectors of {plural(images, 'image')}, {file_size(size)}"))
    rows.append(("on disk", _disk_line(found)))
    for name, value in rows:
        print(f"{name:8}  {value}")


def _encoder_line(encoder: "StoredEncoder", found: "LibraryStatus") -> str:
    card = encoder.card
    searched = len(found.encoders) > 1 and encoder.id == found.searched_with
    line = f"{printable(card.name)}, {card.dimension} dimensions, {plural(encoder.images, 'image')}"
    return line + ", used by searches" * searched


def _disk_line(found: "LibraryStatus") -> str:
    line = f"catalog {file_size(found.catalog_bytes)}, vectors {file_size(found.vectors_bytes)}"
    return line + (f", backups {file_size(found.backups_bytes)}" if found.backups_bytes else "")


def status_dict(found: "LibraryStatus", excludes: "Sequence[Exclude]") -> dict[str, Any]:
    """Give the status as plain values for JSON."""
    return {
        "library": str(found.path),
        "folders": [str(root) for root in found.roots],
        "exclude": [{"folder": str(each.folder), "pattern": each.pattern} for each in excludes],
        "images": found.images,
        "files": found.files,
        "skipped": dict(found.skipped),
        "kept": found.kept,
        "models": [
            {
                "name": encoder.card.name,
                "weights_hash": encoder.card.weights_hash,
                "dimension": encoder.card.dimension,
                "precision": encoder.card.precision,
                "images": encoder.images,
                "searched": encoder.id == found.searched_with,
            }
            for encoder in found.encoders
        ],
        "catalog_bytes": found.catalog_bytes,
        "vectors_bytes": found.vectors_bytes,
        "backups_bytes": found.backups_bytes,
        "regions": {"images": found.patches[0], "bytes": found.patches[1]},
        "last_run": found.last_run,
    }


def models(entries: "Sequence[ModelEntry]") -> None:
    """Print the models that can be used, with the accuracy that open_clip published for them."""
    rows = [("MODEL", "STATE", "SIZE", "IMAGENET", "COCO R@5", "")]
    rows += [
        (
            printable(entry.name),
            _model_state(entry),
            f"{entry.size_megabytes:,.0f} MB" if entry.size_megabytes else "",
            _percent(entry.imagenet_top_1),
            _percent(entry.coco_recall_at_5),
            entry.note,
        )
        for entry in entries
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        cells = [row[column].ljust(widths[column]) for column in range(5)]
        print("  ".join([*cells, row[5]]).rstrip())


def _model_state(entry: "ModelEntry") -> str:
    if entry.exported:
        return "ready"
    return "cached" if entry.cached else "to fetch"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
