"""Scene objects: whether what differs between two aligned pictures belongs to the scene, or was put on one.

A camera that stood still takes the same room with and without a child. Words and watermarks are thin strokes
between which the picture goes on; a label is a flat box that does not go with what lies around it.
"""

import cv2
import numpy as np

from .aligning import Aligned, Cells, Mask, Pixels, as_pixels
from .altering import odder_side
from .overlay import Grey

SIDE_MIN = 300  # pixels; in smaller pictures the letters of a label are as thick as things
CELLS_MIN = 3  # that touch each other, or compression may have done it
DIFFERENCE_MIN = 20.0  # grey levels, after tones are matched
STROKE_WIDTH = 0.75  # of a cell; what is thicker is no stroke
THICK_MAX = 0.6  # of what differs
SOLID_MIN = 0.3  # of the shorter side of a spot; of large letters the strokes are a sixth of it
TONE_SPAN = 14  # grey levels that a flat ground may waver
GROUND_MIN = 0.45  # of a label
GROUND_AROUND_MAX = 0.35  # of what lies around it: else the ground is the picture's own


def shows_another_thing(aligned: Aligned, toned: Grey, other: Grey, changed: Cells) -> bool:
    """Tell whether the largest spot that differs is neither strokes nor a label.

    toned, other: (height, width), the two blurred pictures, the first in the tones of the second; changed:
    (rows, columns), the cells that differ.
    """
    spot = _largest_spot(changed)
    if spot.sum() < CELLS_MIN or max(aligned.one.shape) < SIDE_MIN:
        return False
    side, shape = aligned.cell_side, aligned.one.shape
    inside = as_pixels(spot, side, shape)
    if not _is_solid(np.abs(toned - other), inside, side):
        return False
    ring = as_pixels(_grown(spot, 2) & ~_grown(spot, 1) & ~changed, side, shape)
    odder = odder_side(aligned.one, aligned.other, spot, side)
    pictures = (aligned.one, aligned.other) if odder is None else ((aligned.one, aligned.other)[odder],)
    return not any(_is_label(picture, inside, ring) for picture in pictures)


def _largest_spot(changed: Cells) -> Cells:
    joined = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    count, numbers, spots, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    if count < 2:
        return np.zeros_like(changed)
    return np.asarray((numbers == 1 + int(np.argmax(spots[1:, cv2.CC_STAT_AREA]))) & changed)


def _grown(cells: Cells, by: int) -> Cells:
    return np.asarray(cv2.dilate(cells.astype(np.uint8), np.ones((2 * by + 1,) * 2, np.uint8)) > 0)


def _is_solid(difference: Grey, inside: Mask, side: int) -> bool:
    """Tell whether most of what differs in a spot is thicker than strokes are, for its size too."""
    reach = cv2.dilate(inside.astype(np.uint8), np.ones((side // 2, side // 2), np.uint8)) > 0
    differs = ((difference >= DIFFERENCE_MIN) & reach).astype(np.uint8)
    width = int(side * STROKE_WIDTH) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    if cv2.morphologyEx(differs, cv2.MORPH_OPEN, disc).sum() <= THICK_MAX * differs.sum():
        return False
    thickest = 2 * float(cv2.distanceTransform(differs, cv2.DIST_L2, 5).max())
    return thickest >= SOLID_MIN * min(cv2.boundingRect(differs)[2:])


def _is_label(picture: Pixels, inside: Mask, ring: Mask) -> bool:
    """Tell whether a spot has a flat ground of its own."""
    tone = int(np.convolve(np.bincount(picture[inside], minlength=256), np.ones(9), "same").argmax())
    ground, around = (
        float((np.abs(picture[where].astype(np.int16) - tone) < TONE_SPAN).mean()) if where.any() else 0.0
        for where in (inside, ring)
    )
    return ground >= GROUND_MIN and around < GROUND_AROUND_MAX
