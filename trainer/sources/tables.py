"""Tables: rows of image paths and captions to examples."""

from itertools import chain, islice
from pathlib import Path

from indexer.errors import PairsInvalid
from indexer.paths import home_expanded_or_kept

from ..examples import ImagePlace
from .columns import SAMPLE_ROWS, Columns, NamedColumns, Row, choose_columns
from .folders import classes_note
from .records import Gathered, LeftOut, Reading, tidy
from .rows import open_table
from .wording import class_captions

ENDINGS = frozenset([".csv", ".tsv", ".tab", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".pq"])


def read_table(path: Path, named: NamedColumns) -> Reading:
    """Read a CSV, TSV, JSONL or Parquet file; relative image paths count from its folder.

    Raises PairsInvalid when it is no such table or none of its images is there, and OSError.
    """
    left_out = LeftOut()
    table = open_table(path, left_out)
    head = list(islice(table.rows, SAMPLE_ROWS))
    columns = choose_columns(path, table.names, [row for _, row in head], named)
    gathered = Gathered()
    images = _Images(path.parent)
    for where, row in chain(head, table.rows):
        _take(row, where, columns, images, gathered, left_out)
    if not gathered.captions:
        reasons = "; ".join([columns.note, *left_out.notes()])
        raise PairsInvalid(path, f"has no image with a {columns.holds}; {reasons}")
    classes = [classes_note(gathered)] if columns.is_label else []
    notes = (*table.notes, columns.note, *classes, *gathered.notes(), *left_out.notes())
    return Reading(gathered.examples(), table.form, notes)


def _take(
    row: Row, where: str, columns: Columns, images: "_Images", gathered: Gathered, left_out: LeftOut
) -> None:
    image, captions = row.get(columns.image), tidy(columns.texts(row.get(columns.caption)))
    if isinstance(image, (bytes, dict)):
        left_out.add("images inside the table (write them to files, and name these)", where)
    elif not isinstance(image, str) or not image.strip():
        left_out.add("rows without an image", where)
    elif "://" in image:
        left_out.add("web addresses (download the images first)", f"{where}: {image}")
    elif not captions:
        left_out.add(f"rows without a {columns.holds}", where)
    elif (path := images.find(image.strip())) is None:
        left_out.add("images that are not there", images.where(image.strip()))
    elif columns.is_label:
        gathered.add(ImagePlace(path), class_captions(captions[0]), captions[0])
    else:
        gathered.add(ImagePlace(path), captions)


class _Images:
    """Finds the files that a table names; each is looked for once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[str, Path | None] = {}

    def where(self, name: str) -> Path:
        """Give the place where a file is looked for."""
        return self._folder / home_expanded_or_kept(Path(name))

    def find(self, name: str) -> Path | None:
        """Give the file's path; None when it is not there."""
        if name not in self._found:
            self._found[name] = self._look(name)
        return self._found[name]

    def _look(self, name: str) -> Path | None:
        path = self.where(name)
        if "\\" in name and not _is_file(path):  # written on Windows
            path = self.where(name.replace("\\", "/"))
        return path if _is_file(path) else None


def _is_file(path: Path) -> bool:
    """Tell whether it is there; a name that the system does not take, too long for one, is not."""
    try:
        return path.is_file()
    except OSError:
        return False
