"""Altering: which of two pictures that are the same but for a part was changed there.

What was blurred or blotted out does not go with what lies around it: it has fewer strokes, or another tone.
What was written on a picture has more strokes than what is below. Of 880 pairs of a photo and one that was
written on, labelled, blurred in a place or cut off 658 are told rightly, 88 wrongly, and 134 are not told
(benchmarks/duplicates_altered.py).
"""

import cv2
import numpy as np

from .aligning import Cells, Mask, Pixels, as_pixels

FINE = 1.0  # pixels of blur against noise, before strokes are measured
RING = 2  # cells around what is changed
STROKES_MIN = 1.0  # grey levels: what hardly shows any is flat
TONE_SPAN = 64.0  # grey levels off that weigh as much as twice the strokes
CELLS_MIN = 4  # that differ, or compression may have done it
ODDER_MIN = 0.9  # by so much one must go less with what lies around, or strokes are counted
MORE_STROKES = 1.1  # times as many, or nothing can be said


def altered_side(one: Pixels, other: Pixels, changed: Cells, cell_side: int) -> int | None:
    """Tell whether the first (0) or the second (1) was changed; None where that cannot be told.

    one, other: (height, width) uint8, aligned; changed: (rows, columns), the cells in which they differ.
    """
    odder = odder_side(one, other, changed, cell_side)
    inside, ring = _inside_and_ring(changed, cell_side, one.shape)
    if odder is not None or changed.sum() < CELLS_MIN or not ring.any():
        return odder
    # More than around it, or the one is but the sharper picture.
    first, second = (_strokes(picture, inside) / _strokes(picture, ring) for picture in (one, other))
    if max(first, second) >= MORE_STROKES * min(first, second):
        return 0 if first > second else 1
    return None


def odder_side(one: Pixels, other: Pixels, changed: Cells, cell_side: int) -> int | None:
    """Tell in which of the two (0, 1) what is changed goes less with what lies around it, if in one."""
    inside, ring = _inside_and_ring(changed, cell_side, one.shape)
    if changed.sum() < CELLS_MIN or not ring.any():
        return None
    first, second = (_oddness(picture, inside, ring) for picture in (one, other))
    if abs(first - second) < ODDER_MIN:
        return None
    return 0 if first > second else 1


def _inside_and_ring(changed: Cells, cell_side: int, shape: tuple[int, ...]) -> tuple[Mask, Mask]:
    around = cv2.dilate(changed.astype(np.uint8), np.ones((2 * RING + 1, 2 * RING + 1), np.uint8)) > 0
    return as_pixels(changed, cell_side, shape), as_pixels(around & ~changed, cell_side, shape)


def _oddness(picture: Pixels, inside: Mask, ring: Mask) -> float:
    """Give by how much a part goes not with what lies around it: in octaves of strokes, and in tones."""
    within, beside = _strokes(picture, inside), _strokes(picture, ring)
    tones = abs(float(np.median(picture[inside])) - float(np.median(picture[ring])))
    return abs(float(np.log2(within / beside))) + tones / TONE_SPAN


def _strokes(picture: Pixels, where: Mask) -> float:
    fine = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), FINE)
    return max(float(np.abs(cv2.Laplacian(fine, cv2.CV_32F))[where].mean()), STROKES_MIN)
