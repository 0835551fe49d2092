"""The contact sheet: the images of an answer in rows of equal height, as one picture to keep or to send."""

import functools
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont, ImageOps

from search.rank import RELEVANCE_MIN
from search.results import Hit, SearchAnswer

from .amounts import plural
from .names import printable
from .thumbnails import thumbnails
from .writing import write_picture

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
_Found: TypeAlias = tuple[Hit, Image.Image | None]  # None: it cannot be read

WIDTH = 1600  # pixels
HEIGHT_MAX = 16_000  # WebP holds 16,383; JPEG and what shows PNG take more, but no one scrolls that far
MARGIN = 48
GAP = 20
ROW_HEIGHT = 270  # before a row is fitted to the width
CAPTION_HEIGHT = 62
HEADER_HEIGHT = 128
CORNER = 8
BAR_WIDTH = 110  # at most
ASPECT_MIN, ASPECT_MAX = 0.7, 2.4  # beyond these an image is cropped, or its caption would not fit

PAPER = "#16181b"
INK = "#f2f1ee"
QUIET = "#9a9ea6"
GROOVE = "#30343a"
STRONG = "#7fd1a5"  # relevance from 0.5 on
WEAK = "#d9a65c"

# Pillow's own font knows English; for other letters any of these is better, where it is installed.
_WIDE_FONTS = ("NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "msgothic.ttc", "DejaVuSans.ttf", "arial.ttf")


@dataclass(frozen=True, slots=True)
class _Cell:
    """A hit with its image, cut and reduced to the size it has on the sheet, and its place."""

    rank: int
    hit: Hit
    image: Image.Image | None
    left: int
    top: int
    width: int
    height: int


def contact_sheet(answer: SearchAnswer) -> Image.Image:
    """Draw the hits of an answer, best first, with ranks, scores, relevance and names; as many as fit."""
    cells = list(_placed(answer.hits))
    bottom = max((cell.top + cell.height + CAPTION_HEIGHT for cell in cells), default=HEADER_HEIGHT + 80)
    sheet = Image.new("RGB", (WIDTH, bottom + MARGIN - GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    _draw_header(draw, answer, shown=len(cells))
    for cell in cells:
        _draw_image(sheet, draw, cell)
        _draw_caption(draw, cell)
    return sheet


def _placed(hits: Sequence[Hit]) -> Iterator[_Cell]:
    """Place rows of images until the sheet is full; images beyond it are not read."""
    top, rank = HEADER_HEIGHT, 1
    # A panorama of three times its height still comes at the height of a row.
    images = thumbnails([hit.path for hit in hits], ROW_HEIGHT * 3)
    for row in _rows(zip(hits, images, strict=True)):
        height = min(_height(row), ROW_HEIGHT)  # of the last row, which is not stretched to the whole width
        bottom = top + round(height) + CAPTION_HEIGHT
        if bottom + MARGIN - GAP > HEIGHT_MAX:
            return
        yield from _row_cells(row, rank, top, height)
        top, rank = bottom + GAP, rank + len(row)


def _rows(images: Iterable[_Found]) -> Iterator[list[_Found]]:
    """Break images into rows; a row ends with the image that makes it no higher than ROW_HEIGHT."""
    row: list[_Found] = []
    for image in images:
        row.append(image)
        if _height(row) <= ROW_HEIGHT:
            yield row
            row = []
    if row:
        yield row


def _height(row: Sequence[_Found]) -> float:
    """Give the height at which a row fills the width."""
    room = WIDTH - 2 * MARGIN - GAP * (len(row) - 1)
    return room / sum(_aspect(image) for _, image in row)


def _row_cells(row: Sequence[_Found], rank: int, top: int, height: float) -> Iterator[_Cell]:
    left = float(MARGIN)
    for position, (hit, image) in enumerate(row):
        width = _aspect(image) * height
        size = (round(width), round(height))
        # Reduced at once, so that only a row of thumbnails is held at their full size.
        fitted = ImageOps.fit(image, size, Image.Resampling.LANCZOS) if image else None
        yield _Cell(rank + position, hit, fitted, round(left), top, *size)
        left += width + GAP


def _aspect(image: Image.Image | None) -> float:
    if image is None:
        return 1.0
    return min(max(image.width / image.height, ASPECT_MIN), ASPECT_MAX)


def _draw_header(draw: ImageDraw.ImageDraw, answer: SearchAnswer, *, shown: int) -> None:
    room = WIDTH - 2 * MARGIN
    title = printable(str(answer.query))
    font = font_for(34, title)
    draw.text((MARGIN, 40), fitted_text(draw, title, font, room), font=font, fill=INK)
    below = f"{len(answer.hits):,} of {plural(answer.files, 'file')}   {answer.encoder}"
    if shown < len(answer.hits):
        below += f"   the first {shown} are shown"
    if not answer.hits:
        below += "   no image passes the filters"
    elif answer.nothing_matches:
        below += "   nothing matches well: these are the least far"
    font = font_for(17, below)
    draw.text((MARGIN, 86), fitted_text(draw, printable(below), font, room), font=font, fill=QUIET)


def _draw_image(sheet: Image.Image, draw: ImageDraw.ImageDraw, cell: _Cell) -> None:
    box = (cell.left, cell.top, cell.left + cell.width - 1, cell.top + cell.height - 1)
    if cell.image is None:
        draw.rounded_rectangle(box, CORNER, fill=GROOVE)
        middle = (cell.left + cell.width // 2, cell.top + cell.height // 2)
        draw.text(middle, "cannot be read", font=font_for(17), fill=QUIET, anchor="mm")
        return
    sheet.paste(cell.image, box[:2], _rounded(cell.image.size))


def _rounded(size: tuple[int, int]) -> Image.Image:
    """Give a mask with smooth round corners: drawn four times too large, then scaled down."""
    mask = Image.new("L", (size[0] * 4, size[1] * 4), 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, mask.width - 1, mask.height - 1), CORNER * 4, fill=255)
    return mask.resize(size, Image.Resampling.BOX)


def _draw_caption(draw: ImageDraw.ImageDraw, cell: _Cell) -> None:
    top = cell.top + cell.height + 10
    rank_font, number_font = font_for(18), font_for(15)
    draw.text((cell.left, top), str(cell.rank), font=rank_font, fill=INK)
    after_rank = cell.left + int(draw.textlength(str(cell.rank), font=rank_font)) + 10
    numbers = f"{cell.hit.score:.3f}"
    draw.text((after_rank, top + 3), numbers, font=number_font, fill=QUIET)
    after_numbers = after_rank + int(draw.textlength(numbers, font=number_font)) + 12
    _draw_relevance(draw, cell, (after_numbers, top + 8, cell.left + cell.width - 1, top + 15))
    name = printable(cell.hit.path.name)
    font = font_for(15, name)
    draw.text((cell.left, top + 27), fitted_text(draw, name, font, cell.width), font=font, fill=QUIET)


def _draw_relevance(draw: ImageDraw.ImageDraw, cell: _Cell, box: tuple[int, int, int, int]) -> None:
    """Draw a bar, and its value behind it where there is room."""
    left, top, right, bottom = box
    font = font_for(15)
    value_width = int(draw.textlength("100%", font=font)) + 8
    has_value = right - left > 2 * value_width
    right = min(right - value_width if has_value else right, left + BAR_WIDTH)
    draw.rounded_rectangle((left, top, right, bottom), 3, fill=GROOVE)
    filled = left + round((right - left) * cell.hit.relevance)
    if filled > left + 5:
        color = STRONG if cell.hit.relevance >= RELEVANCE_MIN else WEAK
        draw.rounded_rectangle((left, top, filled, bottom), 3, fill=color)
    if has_value:
        draw.text((right + 8, top - 5), f"{cell.hit.relevance:.0%}", font=font, fill=QUIET)


def font_for(size: int, text: str = "") -> Font:
    """Give Pillow's own font, or an installed one for letters that it lacks."""
    own = ImageFont.load_default(size)
    if text.isascii() or all(map(_is_in_own_font, text)):
        return own
    for name in _WIDE_FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return own


@functools.cache
def _is_in_own_font(letter: str) -> bool:
    font = ImageFont.load_default(20)
    return bytes(font.getmask(letter)) != bytes(font.getmask("\uffff"))  # which no font has: an empty box


def fitted_text(draw: ImageDraw.ImageDraw, text: str, font: Font, room: int) -> str:
    """Cut the middle out of a text wider than room pixels: a name's end tells as much as its start."""

    def is_too_wide(shown: str) -> bool:
        return draw.textlength(shown, font=font) > room

    def cut(keep: int) -> str:
        return text[: (keep + 1) // 2] + "…" + text[len(text) - keep // 2 :]

    if not is_too_wide(text):
        return text
    letters = range(2, len(text))
    fitting = bisect_left(letters, True, key=lambda keep: is_too_wide(cut(keep)))  # how many of them fit
    return cut(letters[fitting - 1]) if fitting else "…"


def save_sheet(answer: SearchAnswer, file: Path) -> None:
    """Write the contact sheet; the suffix chooses the format. Raises UsageError as `write_picture` does."""
    write_picture(contact_sheet(answer), file)
