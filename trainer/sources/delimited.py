"""Delimited text: that of a CSV or TSV to rows of cells, whichever program wrote it."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import PairsInvalid

from .columns import looks_like_image

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = ",\t;|"
LINES_MAX = 30  # of one cell; more come from a quote that is not closed
HEAD_LETTERS, HEAD_ROWS = 200_000, 50  # that tell a delimiter from a mark in the captions
ESCAPED_NOTE = 'quotes within a caption are written \\" in it, and read so'
_ESCAPE = re.compile(r'\\(["\\])')
_ESCAPED_WITHIN = re.compile(r'\\"(?! *(?:[,\t;|]|\r?$))', re.MULTILINE)  # a cell may end in a backslash
_EMPTY_CELL = re.compile(r'(^|[,\t;|]) *""(?= *(?:[,\t;|]|\r?$))', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file parts its cells, and writes a quote within one."""

    delimiter: str
    is_escaped: bool = False  # as \", otherwise as ""

    def reader(self, lines: Iterable[str], *, is_strict: bool = False) -> "Reader":
        """Give the standard library's reader; a space after a delimiter is no part of a cell."""
        escape = "\\" if self.is_escaped else None
        return csv.reader(
            lines, delimiter=self.delimiter, skipinitialspace=True, escapechar=escape, strict=is_strict
        )


def find_dialect(text: str, delimiters: str = DELIMITERS) -> Dialect:
    """Tell how a text that is not empty is written.

    Its first row tells most: a cell that is an image, or else the most cells, for a header has no marks in
    it; semicolons are Excel's in half of Europe. Then it is the delimiter that cuts all rows alike.
    """
    is_escaped = _is_escaped(text)
    return max((Dialect(each, is_escaped) for each in delimiters), key=lambda each: _fitness(each, text))


def _fitness(dialect: Dialect, text: str) -> tuple[int, int, int]:
    rows = _head(dialect, text)
    is_steady = len({len(row) for row in rows}) == 1
    images = [cell for cell in rows[0] if looks_like_image(cell)] if rows and len(rows[0]) > 1 else []
    if not images:
        return 0, len(rows[0]) if rows else 0, is_steady
    is_alone = not any(mark in images[0] for mark in DELIMITERS)
    return 1 + is_alone, is_steady, len(rows[0])


def _head(dialect: Dialect, text: str) -> list[list[str]]:
    """Read the first rows, but for one that is cut off."""
    head = text[:HEAD_LETTERS]
    rows: list[list[str]] = []
    try:
        for row in islice(dialect.reader(io.StringIO(head, newline="")), HEAD_ROWS):
            rows.append(row)
    except csv.Error:  # a cell of more than 131,072 letters
        pass
    told = [row for row in rows if _has_text(row)]
    return told[:-1] if len(head) < len(text) and 1 < len(told) < HEAD_ROWS else told


def _is_escaped(text: str) -> bool:
    r"""Tell whether a quote is written \" and never "", empty cells aside."""
    if not _ESCAPED_WITHIN.search(text):
        return False
    return '""' not in _EMPTY_CELL.sub(r"\1", _ESCAPE.sub("", text))


def read_cells(path: Path, text: str, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Give each row's cells and first line; blank lines are no rows. Raises PairsInvalid, later."""
    if dialect.delimiter == "\t" and _has_a_row_a_line(text):
        rows = _plain_rows(text)
        told = ((rows.line_num, row) for row in rows if _has_text(row))
        yield from ((line, [_unquoted(cell, dialect) for cell in row]) for line, row in told)
    else:
        yield from _quoted_cells(path, text, dialect)


def _has_text(row: Sequence[str]) -> bool:
    """Tell whether a row is more than a blank line."""
    return any(cell.strip() for cell in row)


def _plain_rows(text: str) -> "Reader":
    """Cut a text at its tabs, whatever its quotes."""
    lines = io.StringIO(text, newline="")
    return csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, skipinitialspace=True)


def _has_a_row_a_line(text: str) -> bool:
    """Tell whether every line has as many tabs as the first: no quoted cell then goes over several."""
    try:
        return len({len(row) for row in _plain_rows(text) if _has_text(row)}) == 1
    except csv.Error:  # a cell of more than 131,072 letters
        return False


def _unquoted(cell: str, dialect: Dialect) -> str:
    """Take off the quotes around a whole cell; any others are its own, as in 5" and "big" dog."""
    if dialect.is_escaped:
        whole = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', cell)
        return _ESCAPE.sub(r"\1", whole[1] if whole else cell)
    whole = re.fullmatch(r'"((?:[^"]|"")*)"', cell)
    return whole[1].replace('""', '"') if whole else cell


def _quoted_cells(path: Path, text: str, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    lines = list(io.StringIO(_own_backslashes(text) if dialect.is_escaped else text, newline=""))
    reader = dialect.reader(lines)
    line = 1
    try:
        for row in reader:
            if reader.line_num > line and _has_swallowed_rows(
                row, lines[line - 1 : reader.line_num], dialect
            ):
                raise PairsInvalid(path, f'line {line}: a quote (") opens that does not close; double it: ""')
            if _has_text(row):
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:  # a cell of more than 131,072 letters
        raise PairsInvalid(path, f"line {line}: no table, or a quote does not close ({error})") from error


def _own_backslashes(text: str) -> str:
    r"""Escape the backslashes that escape nothing, as in images\1.jpg."""
    return re.sub(r'\\(["\\])?', lambda found: found[0] if found[1] else r"\\", text)


def _has_swallowed_rows(row: Sequence[str], lines: Sequence[str], dialect: Dialect) -> bool:
    """Tell whether a row that goes over several lines has taken others for a part of its cell.

    Such a cell is too long, or ends at a quote of another row, before its letters; or one of its lines has
    an image in a column of its own.
    """
    if len(lines) - 1 > LINES_MAX:
        return True
    try:
        list(dialect.reader(lines, is_strict=True))
    except csv.Error:
        return True
    inner = (line.split(dialect.delimiter) for cell in row for line in cell.splitlines()[1:])
    return any(len(cells) > 1 and any(map(looks_like_image, cells)) for cells in inner)
