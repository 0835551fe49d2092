"""Details: whether two pictures that look the same are so in every detail, laid over each other to the pixel.

A copy shows the same in every small cell, whatever it has been resized to, compressed with or recoloured by.
What is changed may have been put on: a label, a logo or a watermark leaves the rest the same to the pixel.
Another photo of the same things does not. And writing is never something put on: two filled forms, or two
screenshots of one page, are kept for the few words they differ in. benchmarks/README.md has the figures.
"""

from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .aligning import Aligned, Cells, Pixels, align, best_match
from .altering import altered_side
from .labels import find_label
from .lettering import SAME_WRITING_MIN, is_rewritten, may_be_page
from .overlay import Affine, Grey, over_cells
from .scene_objects import shows_another_thing

CELLS_MIN = 16  # that both show, or nothing can be said
BLUR = 1.5  # pixels: compression, noise and a little misfit vanish
FLAT = 6.0  # grey levels of spread below which a cell shows nothing to correlate
EMPTY = 1.0  # grey levels of spread below which it shows nothing at all
FLAT_DIFFERENCE_MAX = 40.0  # grey levels between flat cells, after tones are matched
SHIFT = 3  # pixels that a cell may lie off
SAME_MIN = 0.6  # correlation of a cell
CHANGED_MAX = 0.008  # share of the cells of a copy on which nothing was put
SHOWN_CHANGED_MAX = 0.1  # of the cells that show anything: two gulls may be all that a sky has
MARKED_MAX = 0.08  # share of the cells that marks may change, wherever they are
LABELLED_MAX = 0.15  # share of the cells that a label may change: one rectangle with a flat ground
LABEL_AREA_MAX = 0.25
LABEL_BESIDE_MAX = 0.03  # share of the cells changed beside it
LABEL_GROUND_MIN = 0.35  # of a rectangle
LABEL_GROUND_SPREAD = 14  # grey levels that it may waver
LABEL_FILLED_MIN = 0.2  # of its cells are changed: some of what it hides was as flat
UNTOUCHED_MIN = 0.99  # correlation that three quarters of the other cells have, when something was put on
CLIPPED = (12, 243)  # grey levels beyond which tones are not what they were


class Finding(Enum):
    """What two pictures that look the same turn out to be."""

    SAME = "the same in every detail"
    MARKED = "the same but for what was put on one of them"
    OTHER = "different pictures of the same things"
    UNKNOWN = "too little in common to tell"


@dataclass(frozen=True, slots=True)
class Seen:
    """What two pictures turn out to be, and which of them was changed."""

    finding: Finding
    altered: int | None = None  # 0 the first, 1 the second; None: neither, or it cannot be told


def compare_details(first: Image.Image, second: Image.Image, placed: Affine) -> Seen:
    """Compare two RGB images that look the same.

    placed: (2, 3), where a point of the second lies in the first, in shares of their widths and heights.
    """
    aligned = align(first, second, placed)
    if aligned.common.sum() < CELLS_MIN:
        return Seen(Finding.UNKNOWN)
    compared = _compared(aligned)
    return Seen(compared.finding, compared.altered)


@dataclass(frozen=True, slots=True)
class _Comparison:
    aligned: Aligned
    toned: Grey  # the first picture, blurred, in the tones of the second
    other: Grey  # the second, blurred
    likeness: NDArray[np.float32]  # correlation, (rows, columns); nan where nothing can be correlated
    changed: Cells  # that differ

    @property
    def finding(self) -> Finding:
        share = float(self.changed.sum() / self.aligned.common.sum())
        alike = not share and not (self.likeness < SAME_WRITING_MIN).any()
        if alike and not may_be_page(self.aligned.one):
            return Finding.SAME
        if self._is_much_of_what_shows or is_rewritten(self.aligned, self.likeness, self.changed):
            return Finding.OTHER
        if share <= MARKED_MAX:
            if shows_another_thing(self.aligned, self.toned, self.other, self.changed):
                return Finding.OTHER
            return Finding.SAME if share <= CHANGED_MAX else self._marked(sure=True)
        return self._marked(sure=share <= LABELLED_MAX and (self.is_labelled or self._is_all_a_label))

    def _marked(self, *, sure: bool) -> Finding:
        return Finding.MARKED if sure and self.untouched >= UNTOUCHED_MIN else Finding.OTHER

    @property
    def _is_much_of_what_shows(self) -> bool:
        """Tell whether what is changed is more than a little of all that is not flat in either."""
        spread = np.maximum(*(_spread(each, self.aligned.cell_side) for each in (self.toned, self.other)))
        shows = int((self.aligned.common & (spread >= FLAT)).sum())
        few = shows * SHOWN_CHANGED_MAX < CHANGED_MAX * self.aligned.common.sum()
        return bool(few and self.changed.sum() > shows * SHOWN_CHANGED_MAX)

    @property
    def _is_all_a_label(self) -> bool:
        """Tell whether hardly anything is changed but for a label on something that is no label."""
        label = find_label(self.aligned, np.abs(self.toned - self.other), self.changed)
        return bool((self.changed & ~label).sum() <= LABEL_BESIDE_MAX * self.aligned.common.sum())

    @property
    def altered(self) -> int | None:
        """Tell which of the two was changed where they differ."""
        aligned = self.aligned
        return altered_side(aligned.one, aligned.other, self.changed, aligned.cell_side)

    @property
    def untouched(self) -> float:
        """Give the correlation that three quarters of the unchanged cells have."""
        known = self.likeness[self.aligned.common & ~self.changed]
        known = known[np.isfinite(known)]
        return float(np.quantile(known, 0.25)) if len(known) else 1.0

    @property
    def is_labelled(self) -> bool:
        """Tell whether what is changed lies in one rectangle that has a flat ground in one of the two."""
        inside, box = _rectangle(self.changed, self.aligned.cell_side)
        cells = int(self.aligned.common.sum())
        if inside.sum() > LABEL_AREA_MAX * cells or self.changed[inside].mean() < LABEL_FILLED_MIN:
            return False
        if (self.changed & ~inside).sum() > LABEL_BESIDE_MAX * cells:
            return False
        return (
            max(_ground_share(each[box]) for each in (self.aligned.one, self.aligned.other))
            >= LABEL_GROUND_MIN
        )


def _compared(aligned: Aligned) -> _Comparison:
    """Compare the cells, the one's tones brought to the other's and the other way round.

    What the one has clipped to white or black differs one way only.
    """
    one, other = _blurred(aligned.one), _blurred(aligned.other)
    common, side = aligned.common, aligned.cell_side
    differing = _differing(one, _toned(other, one, aligned), common, side)
    toned = _toned(one, other, aligned)
    if differing.any():
        differing &= _differing(toned, other, differing, side)
    return _Comparison(aligned, toned, other, _likeness(one, other, common, side), differing)


def _blurred(picture: Pixels) -> Grey:
    return np.asarray(cv2.GaussianBlur(picture.astype(np.float32), (0, 0), BLUR), np.float32)


def _spread(picture: Grey, side: int) -> Grey:
    variance = over_cells(picture * picture, side) - over_cells(picture, side) ** 2
    return np.asarray(np.sqrt(np.maximum(variance, 0)), np.float32)


def _likeness(one: Grey, other: Grey, wanted: Cells, side: int, shows: float = FLAT) -> NDArray[np.float32]:
    """Correlate the wanted cells with what lies there or a little beside; nan where one shows nothing."""
    spreads = _spread(one, side), _spread(other, side)
    product = over_cells(one * other, side) - over_cells(one, side) * over_cells(other, side)
    alike = product / np.maximum(spreads[0] * spreads[1], 1e-6)
    wanted = wanted & (np.minimum(*spreads) >= shows)
    for row, column in np.argwhere(wanted & (alike < UNTOUCHED_MIN)):
        top, left = int(row) * side, int(column) * side
        piece = other[top : top + side, left : left + side]
        alike[row, column] = best_match(one, piece, left, top, SHIFT)[0]
    return np.where(wanted, alike, np.nan).astype(np.float32)


def _differing(one: Grey, other: Grey, wanted: Cells, side: int) -> Cells:
    """Tell which of the wanted cells differ: neither flat in both and of one tone, nor alike."""
    spreads = _spread(one, side), _spread(other, side)
    flat, empty = np.maximum(*spreads) < FLAT, np.minimum(*spreads) < EMPTY
    apart = np.abs(over_cells(one, side) - over_cells(other, side)) > FLAT_DIFFERENCE_MAX
    unlike = _likeness(one, other, wanted & ~flat, side, EMPTY) < SAME_MIN
    return np.asarray(wanted & np.where(flat, apart, empty | unlike))


def _toned(picture: Grey, wanted: Grey, aligned: Aligned) -> Grey:
    """Bring a picture's tones to another's by a straight line through those of most cells, and clip."""
    given, aim = (over_cells(each, aligned.cell_side)[aligned.common] for each in (picture, wanted))
    low, high = CLIPPED
    whole = (np.minimum(given, aim) > low) & (np.maximum(given, aim) < high)
    if whole.sum() >= CELLS_MIN // 2:
        given, aim = given[whole], aim[whole]
    slope, level = _line(given, aim)
    off = np.abs(aim - slope * given - level)
    most = off <= np.quantile(off, 0.8)  # the rest may be changed
    slope, level = _line(given[most], aim[most])
    return np.asarray(np.clip(picture * slope + level, 0, 255), np.float32)


def _line(given: Grey, aim: Grey) -> tuple[float, float]:
    variance = float(given.var())
    slope = float(np.clip(np.cov(given, aim, bias=True)[0, 1] / variance, 0.2, 5.0)) if variance > 1 else 1.0
    return slope, float(np.median(aim - slope * given))


def _rectangle(cells: Cells, side: int) -> tuple[Cells, tuple[slice, slice]]:
    """Give the box around the largest cluster of cells; as cells, and as pixels."""
    joined = cv2.morphologyEx(cells.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, _, clusters, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    left, top, width, height, _ = clusters[1 + int(np.argmax(clusters[1:, cv2.CC_STAT_AREA]))]
    inside = np.zeros_like(cells)
    inside[top : top + height, left : left + width] = True
    return inside, (slice(top * side, (top + height) * side), slice(left * side, (left + width) * side))


def _ground_share(box: Pixels) -> float:
    """Give the share of pixels that have the commonest tone, or nearly."""
    counts = np.bincount(box.ravel(), minlength=256)
    tone = int(np.convolve(counts, np.ones(9), "same").argmax())
    return float((np.abs(box.astype(np.int16) - tone) < LABEL_GROUND_SPREAD).mean())
