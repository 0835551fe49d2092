"""Rows: CSV, TSV, JSONL and Parquet files to rows of named cells, one at a time."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from indexer.errors import PairsInvalid

from .columns import SAMPLE_ROWS, Row, looks_like_image
from .delimited import DELIMITERS, ESCAPED_NOTE, find_dialect, read_cells
from .records import LeftOut
from .text_encoding import OLD_ENCODING, NoText, read_letters

PARQUET_REMEDY = (
    "Parquet files need pyarrow; to read them, install the extra `train`; in Sightline's clone: "
    "pipx install --force '.[train]'"
)


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file, each with where it stands, and what was guessed about it."""

    form: str
    names: tuple[str, ...]  # of its columns
    rows: Iterator[tuple[str, Row]]  # ("line 7", cells)
    notes: tuple[str, ...] = ()


def open_table(path: Path, left_out: LeftOut) -> Table:
    """Read a table by its file's ending; what is no proper row goes into left_out, while rows are drawn.

    Raises PairsInvalid for what is no such table, and OSError.
    """
    ending = path.suffix.lower()
    if ending in (".parquet", ".pq"):
        return _parquet(path)
    if ending in (".jsonl", ".ndjson", ".json"):
        return _json_lines(path, left_out)
    return _separated(path, left_out)


# ---- text


def _read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    """Give the text, and what is to be told of how it was read."""
    try:
        found = read_letters(path.read_bytes())
    except NoText as error:
        raise PairsInvalid(path, f"{error}; its name promises a table, which wants UTF-8") from error
    note = f"not UTF-8 (line {found.line}): read as {OLD_ENCODING}; save it as UTF-8 if letters look wrong"
    return found.text, (note,) if found.is_old else ()


def _check_not_empty(path: Path, text: str) -> None:
    if not text.strip():
        raise PairsInvalid(path, "is empty; it needs a row for each image and caption")


# ---- CSV, TSV


def _separated(path: Path, left_out: LeftOut) -> Table:
    text, notes = _read_text(path)
    _check_not_empty(path, text)
    is_tabbed = path.suffix.lower() in (".tsv", ".tab")
    dialect = find_dialect(text, "\t" if is_tabbed else DELIMITERS)
    cells = read_cells(path, text, dialect)
    line, header = next(cells)
    form = "TSV" if dialect.delimiter == "\t" else "CSV"
    notes += (ESCAPED_NOTE,) if dialect.is_escaped else ()
    if any(map(looks_like_image, header)):  # the first row is one of data
        head = [(line, header), *islice(cells, SAMPLE_ROWS - 1)]
        names = tuple(f"column {number}" for number in range(1, _usual_width(head) + 1))
        notes += ("the first line has no column names; they are counted from 1",)
        cells = chain(head, cells)
    else:
        names = tuple(name.strip() for name in header)
        _check_names(path, names)
    return Table(form, names, _named_rows(names, cells, left_out), notes)


USUAL_MIN = 0.1  # of the rows


def _usual_width(rows: Sequence[tuple[int, list[str]]]) -> int:
    """Give the smallest number of cells that a fair share of the rows have; an image alone is no row.

    A comma in a caption makes cells more, and nothing makes them fewer.
    """
    widths = Counter(len(row) for _, row in rows)
    usual = [width for width, count in widths.items() if width > 1 and count >= USUAL_MIN * len(rows)]
    return min(usual, default=max(widths))


def _check_names(path: Path, names: Sequence[str]) -> None:
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise PairsInvalid(path, f"two columns are called {twice!r}; rename one")


def _named_rows(
    names: Sequence[str], rows: Iterator[tuple[int, list[str]]], left_out: LeftOut
) -> Iterator[tuple[str, Row]]:
    for line, row in rows:
        if len(row) == len(names):
            yield f"line {line}", dict(zip(names, row, strict=True))
        elif len(row) < len(names):
            left_out.add("rows with too few columns", f"line {line}")
        elif any(cell.strip() for cell in row[len(names) :]):
            left_out.add(
                "rows with too many columns (a caption with a separator wants quotes)", f"line {line}"
            )
        else:
            yield f"line {line}", dict(zip(names, row, strict=False))


# ---- JSON


def _json_lines(path: Path, left_out: LeftOut) -> Table:
    text, notes = _read_text(path)
    _check_not_empty(path, text)
    found = _array(path, text) if text.lstrip().startswith("[") else _lines(text, left_out)
    rows = _objects(found, left_out)
    head = list(islice(rows, SAMPLE_ROWS))
    if not head:
        raise PairsInvalid(path, 'no line is a JSON object such as {"image": "a.jpg", "caption": "a dog"}')
    names = tuple(dict.fromkeys(name for _, row in head for name in row))
    return Table("JSONL", names, chain(head, rows), notes)


def _array(path: Path, text: str) -> Iterator[tuple[str, object]]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PairsInvalid(path, f"is no proper JSON ({error})") from error
    return ((f"entry {number}", value) for number, value in enumerate(values, 1))


def _lines(text: str, left_out: LeftOut) -> Iterator[tuple[str, object]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield f"line {number}", json.loads(line)
        except (ValueError, RecursionError):
            left_out.add("lines that are no JSON", f"line {number}")


def _objects(found: Iterator[tuple[str, object]], left_out: LeftOut) -> Iterator[tuple[str, Row]]:
    for where, value in found:
        if isinstance(value, dict):
            yield where, value
        else:
            left_out.add("lines that are no JSON objects", where)


# ---- Parquet


def _parquet(path: Path) -> Table:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise PairsInvalid(path, PARQUET_REMEDY) from error
    try:
        file: Any = ParquetFile(path)
    except (pyarrow.ArrowException, ValueError) as error:
        raise PairsInvalid(path, f"is no readable Parquet file ({str(error).splitlines()[0]})") from error
    return Table("Parquet", tuple(file.schema_arrow.names), _parquet_rows(path, file))


def _parquet_rows(path: Path, file: Any) -> Iterator[tuple[str, Row]]:
    import pyarrow

    number = 0
    with file:
        try:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row
        except pyarrow.ArrowException as error:
            raise PairsInvalid(path, f"is damaged after row {number:,}") from error
