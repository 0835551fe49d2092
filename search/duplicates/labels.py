"""Labels: the rectangle with a ground of its own that was laid on one of two aligned pictures.

A label's ground has one tone up to four straight edges, lies around its letters, and ends where the picture
goes on; the other picture shows something else there. Two fillings of one form have the same ground instead.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from .aligning import Aligned, Cells, Mask, Pixels, as_pixels
from .overlay import Grey

DIFFERENCE_MIN = 20.0  # grey levels, after tones are matched
TONE_SPAN = 14  # grey levels that the ground may waver
EDGE_INSET = 2  # pixels: at the edge itself two tones are mixed
EDGES_MIN = 0.75  # of the four edges show the ground; letters may touch them
EDGE_MIN = 0.3  # of each
BEYOND_MAX = 0.4  # of what lies just outside may have the ground's tone: else it goes on there
OTHERS_MAX = 0.5  # of the ground's share may the other picture have in that tone
SIDE_MIN = 8  # pixels: what is smaller has no ground


@dataclass(frozen=True, slots=True)
class _Box:
    """A rectangle of pixels."""

    left: int
    top: int
    width: int
    height: int

    def of(self, mask: Mask) -> Mask:
        """Cut it out."""
        return mask[self.top : self.top + self.height, self.left : self.left + self.width]

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
    labelled = [
        cells
        for picture, beneath in ((aligned.one, aligned.other), (aligned.other, aligned.one))
        if (cells := _labelled(picture, beneath, inside, differs, aligned.cell_side)).any()
    ]
    # Two labels in one place are two texts: who gives up one of the pictures loses what it says.
    return labelled[0] if len(labelled) == 1 else np.zeros_like(changed)


def _labelled(picture: Pixels, beneath: Pixels, inside: Mask, differs: Mask, side: int) -> Cells:
    """Give the cells of a picture that a label lies on; none where it has none of its own."""
    cells = np.zeros((picture.shape[0] // side, picture.shape[1] // side), np.bool_)
    if not differs.any():
        return cells
    tone = _commonest(picture[differs])
    ground, hidden = (np.abs(each.astype(np.int16) - tone) < TONE_SPAN for each in (picture, beneath))
    box = _largest_box(ground & inside)
    if _is_rectangle(ground, box) and box.of(hidden).mean() <= OTHERS_MAX * box.of(ground).mean():
        bottom, right = box.top + box.height, box.left + box.width
        cells[box.top // side : -(-bottom // side), box.left // side : -(-right // side)] = True
    return cells


def _commonest(tones: Pixels) -> int:
    return int(np.convolve(np.bincount(tones, minlength=256), np.ones(9), "same").argmax())


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
