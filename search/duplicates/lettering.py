"""Lettering: what is written in two aligned pictures, and whether it is the same.

Dark or bright strokes on a flat ground. They are told by the tones of small cells, without reading them.
"""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from .aligning import Aligned, Cells, Pixels, best_match
from .overlay import Grey, over_cells

GROUND_SPAN = 84  # pixels around a point whose median is its ground
GROUND_SPREAD = 14.0  # grey levels that a ground may waver
GROUND_MIN = 0.4  # of a cell
GROUND_APART_MAX = 40.0  # grey levels between the grounds of the same
STROKE_CONTRAST = 45.0  # grey levels against the ground
STROKES = (0.03, 0.5)  # of a cell
SAME_WRITING_MIN = 0.8  # correlation; copies in a tenth of the bytes or turned by a degree stay above .95
REWRITTEN_CELLS = 2  # with as many, something else is written
REWRITTEN_SHARE_MIN = 0.25  # of what has changed
MISSING_MIN = 0.2  # of the strokes of each are not in the other
PAGE_MIN = 0.6  # of the cells have one ground, or it is no page
EVEN_MIN = 0.4  # of the pixels have one tone, or it cannot be one
LETTER_SIDE = 12  # pixels: about a letter of the print of a page
LETTER_SPREAD = 30.0  # grey levels of a cell that has strokes; fainter ones may be clipped to white
LETTER_SHIFT = 2  # pixels that a letter may lie off
LETTERS_MIN = 100
# By what a letter may fit worse than 98 of 100 do. Pages saved at 10, scaled to .35, blurred or noisy keep to
# 2.5 times that; a digit written anew on a page of the same size is off by ten times that.
ODD_FACTOR, ODD_MIN = 4.0, 0.03


@dataclass(frozen=True, slots=True)
class _Strokes:
    """What of a picture could be writing, cell by cell."""

    mask: Pixels  # (height, width), 1 on a stroke
    cell_side: int
    has_ground: Cells
    is_written: Cells  # strokes on a ground
    ground: Grey  # (rows, columns), grey levels

    def missing_in(self, other: Self) -> Grey:
        """Give the share of each cell's strokes that are not in the other: of a watermark's ground, none."""
        gone = (self.mask > 0) & (cv2.dilate(other.mask, np.ones((3, 3), np.uint8)) == 0)
        share, whole = (over_cells(each.astype(np.float32), self.cell_side) for each in (gone, self.mask))
        return np.asarray(share / np.maximum(whole, 1e-6), np.float32)


def is_rewritten(aligned: Aligned, likeness: NDArray[np.float32], changed: Cells) -> bool:
    """Tell whether something else is written in the two.

    That is so where both have strokes on the same ground that are not the same; but for the few cells where a
    label lies on writing. On a page it is so where anything has changed.

    likeness: (rows, columns), how the cells correlate; changed: those that differ however they are toned.
    """
    one, other = (_strokes(picture, aligned.cell_side) for picture in (aligned.one, aligned.other))
    if _is_page(one, aligned.common):
        inner = changed[1:-1, 1:-1]  # at the edge a turned page shows its corners
        return int(inner.sum()) >= REWRITTEN_CELLS or _has_odd_letter(aligned)
    same_ground = np.abs(one.ground - other.ground) <= GROUND_APART_MAX
    both = aligned.common & one.is_written & other.is_written & same_ground
    both &= np.minimum(one.missing_in(other), other.missing_in(one)) >= MISSING_MIN
    rewritten = int((likeness[both] < SAME_WRITING_MIN).sum())
    return bool(rewritten >= max(REWRITTEN_CELLS, REWRITTEN_SHARE_MIN * changed.sum()))


def may_be_page(picture: Pixels) -> bool:
    """Tell quickly whether a picture could be mostly one ground with something on it."""
    counts = np.bincount(picture.ravel(), minlength=256)
    return (
        float(np.convolve(counts, np.ones(2 * int(GROUND_SPREAD)), "same").max()) >= EVEN_MIN * picture.size
    )


def _has_odd_letter(aligned: Aligned) -> bool:
    """Tell whether some letter fits far worse than the others do: one digit may be all that is not the same.

    How well letters fit depends on how a copy was scaled and compressed, and is alike all over a page.
    """
    fits = _letter_fits(*(_softened(picture) for picture in (aligned.one, aligned.other)))
    if len(fits) < LETTERS_MIN:
        return False
    usual = 1 - float(np.quantile(fits, 0.02))
    return 1 - float(fits.min()) > ODD_FACTOR * usual + ODD_MIN


def _softened(picture: Pixels) -> Grey:
    return np.asarray(cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.0), np.float32)


def _letter_fits(one: Grey, other: Grey) -> Grey:
    """Give how well small cells with strokes on them correlate, where they fit best; (n,)."""
    side = LETTER_SIDE
    spreads = [
        np.sqrt(np.maximum(over_cells(p * p, side) - over_cells(p, side) ** 2, 0)) for p in (one, other)
    ]
    written = np.maximum(*spreads) >= LETTER_SPREAD
    fits = []
    for row, column in np.argwhere(written[1:-1, 1:-1]) + 1:
        top, left = int(row) * side, int(column) * side
        piece = other[top : top + side, left : left + side]
        shows = spreads[1][row, column] >= LETTER_SPREAD / 4
        fits.append(best_match(one, piece, left, top, LETTER_SHIFT)[0] if shows else 0.0)
    return np.array(fits, np.float32)


def _is_page(strokes: "_Strokes", common: Cells) -> bool:
    """Tell whether a picture is mostly one ground with something on it."""
    tone = np.median(strokes.ground[common])
    even = strokes.has_ground & (np.abs(strokes.ground - tone) <= GROUND_SPREAD)
    return float(even[common].mean()) >= PAGE_MIN


def _strokes(picture: Pixels, side: int) -> _Strokes:
    ground = _ground(picture)
    apart = np.abs(picture.astype(np.float32) - ground)
    has_ground = over_cells((apart < GROUND_SPREAD).astype(np.float32), side) > GROUND_MIN
    mask = (apart > STROKE_CONTRAST).astype(np.uint8)
    strokes = over_cells(mask.astype(np.float32), side)
    written = has_ground & (strokes > STROKES[0]) & (strokes < STROKES[1])
    return _Strokes(mask, side, has_ground, written, over_cells(ground, side))


def _ground(picture: Pixels) -> Grey:
    """Give the median around each pixel: writing takes less than half of where it stands."""
    height, width = picture.shape
    small = cv2.resize(picture, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_NEAREST)
    median = cv2.medianBlur(small, GROUND_SPAN // 4)
    return np.asarray(cv2.resize(median, (width, height), interpolation=cv2.INTER_NEAREST), np.float32)
