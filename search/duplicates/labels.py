"""Labels: the rectangle with a ground of its own that was laid on one of two aligned pictures.

A label's ground has one tone up to four straight edges, lies around its letters, and ends where the picture
goes on. The other picture shows no even ground there: else it may have a label too, and two labels are two
texts, so that who gives up one of the pictures loses what it says.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .aligning import Aligned, Cells, Mask, Pixels, as_pixels
from .overlay import Grey

DIFFERENCE_MIN = 20.0  # grey levels, after tones are matched
TONE_SPAN = 14  # grey levels that the ground may waver
EDGE_INSET = 2  # pixels: at the edge itself two tones are mixed
EDGES_MIN = 0.75  # of the four edges show the ground; letters may touch them
EDGE_MIN = 0.3  # of each
BEYOND_MAX = 0.4  # of what lies just outside may have the ground's tone: else it goes on there
BENEATH_MAX = 0.45  # of what the other picture shows there may have one tone: else it may be a label as well
SIDE_MIN = 8  # pixels: what is smaller has no ground


@dataclass(frozen=True, slots=True)
class _Box:
    """A rectangle of pixels."""

    left: int
    top: int
    width: int
    height: int

    def of(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Cut it out."""
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]

    def grown(self, by: int) -> "_Box":
        """Move all edges outwards; inwards if negative."""
        return _Box(self.left - by, self.top - by, self.width + 2 * by, self.height + 2 * by)


def find_label(aligned: Aligned, difference: Grey, changed: Cells) -> Cells:
    """Give the cells that a label lies on, in whichever of the two pictures it is; none without one.

    difference: (height, width), grey levels after tones are matched; changed: (rows, columns).
    """
    region = cv2.dilate(changed.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    inside = as_pixels(region, aligned.cell_side, aligned.one.shape)
    differs = inside & (difference >= DIFFERENCE_MIN)
    sides = ((aligned.one, aligned.other), (aligned.other, aligned.one))
    found = (_labelled(*side, inside, differs, aligned.cell_side) for side in sides)
    return next((cells for cells in found if cells.any()), np.zeros_like(changed))


def _labelled(picture: Pixels, beneath: Pixels, inside: Mask, differs: Mask, side: int) -> Cells:
    """Give the cells of a picture that a label lies on; none where it has none of its own."""
    cells = np.zeros((picture.shape[0] // side, picture.shape[1] // side), np.bool_)
    if not differs.any():
        return cells
    ground = _near(picture, _commonest(picture[differs]))
    box = _largest_box(ground & inside)
    if _is_rectangle(ground, box) and _ground_share(box.of(beneath)) <= BENEATH_MAX:
        bottom, right = box.top + box.height, box.left + box.width
        cells[box.top // side : -(-bottom // side), box.left // side : -(-right // side)] = True
    return cells


def _near(picture: Pixels, tone: int) -> Mask:
    return np.asarray(np.abs(picture.astype(np.int16) - tone) < TONE_SPAN)


def _ground_share(picture: Pixels) -> float:
    return float(_near(picture, _commonest(picture)).mean())


def _commonest(tones: Pixels) -> int:
    return int(np.convolve(np.bincount(tones.ravel(), minlength=256), np.ones(9), "same").argmax())


def _largest_box(mask: Mask) -> _Box:
    """Give the box around the largest spot."""
    _, _, spots, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if len(spots) < 2:
        return _Box(0, 0, 0, 0)
    left, top, width, height, _ = spots[1 + int(np.argmax(spots[1:, cv2.CC_STAT_AREA]))].tolist()
    return _Box(left, top, width, height)


def _is_rectangle(ground: Mask, box: _Box) -> bool:
    """Tell whether a ground reaches the edges of a box and does not go on beyond them."""
    if min(box.width, box.height) < SIDE_MIN:
        return False
    inner = box.grown(-EDGE_INSET).of(ground)
    edges = [float(edge.mean()) for edge in (inner[0], inner[-1], inner[:, 0], inner[:, -1])]
    if min(edges) < EDGE_MIN or np.mean(edges) < EDGES_MIN:
        return False
    beyond = _beyond(ground, box)
    return bool(len(beyond)) and float(beyond.mean()) <= BEYOND_MAX


def _beyond(ground: Mask, box: _Box) -> Mask:
    """Give what lies just outside a box, at the sides that are not the picture's own."""
    height, width = ground.shape
    far = EDGE_INSET + 1
    rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
    lines = []
    if box.top >= far:
        lines.append(ground[box.top - far, columns])
    if box.top + box.height + far <= height:
        lines.append(ground[box.top + box.height + far - 1, columns])
    if box.left >= far:
        lines.append(ground[rows, box.left - far])
    if box.left + box.width + far <= width:
        lines.append(ground[rows, box.left + box.width + far - 1])
    return np.concatenate([np.zeros(0, np.bool_), *lines])
