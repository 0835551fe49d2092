"""Matching: whether two pictures show the same, judged by their pixels, and how much of each the other shows.

Local features propose how one picture lies in the other (SIFT, Lowe 2004, with the square-root scaling of
Arandjelović and Zisserman 2012; RANSAC over affine maps); then the second picture is laid over the first and
compared cell by cell (`overlay`). The two ask different things: features, whether the same details exist in
the same arrangement; cells, whether anything in between has changed, in shape or in colour. A duplicate
passes both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .overlay import OVERLAY_SIDE, Affine, Look, Overlay, has_frame, lay_over, take_look, within

SIDE = 320  # pixels of the longer side that features are looked for in
FEATURES_MAX = 400
RATIO_MAX = 0.85  # of the nearest to the second nearest descriptor's distance, Lowe's test
INLIERS_MIN = 8
REPROJECTION_PX = 4.0
STRETCH_MAX = 2.0  # of one axis against the other: thumbnails squashed to a square reach it
SCALE_RANGE = (0.15, 7.0)


Features = tuple[NDArray[np.float32], NDArray[np.float32]]  # (n, 2) x and y; (n, 128), each of length one


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is kept of a picture to match it: a small copy, and its local features once they are asked for.

    Most copies are seen to be such by laying the one over the other: features would cost twice as much.
    """

    look: Look  # the longer side SIDE at most
    may_be_mirrored: bool  # can be matched the other way round, too
    # Not a cached_property: before Python 3.12 one thread would wait there for another's picture.
    _features: dict[bool, Features] = field(default_factory=dict, repr=False, compare=False)

    def features(self, *, mirrored: bool = False) -> Features:
        """Give its local features, or those of the mirrored picture; their places are in its look."""
        if mirrored not in self._features:
            look = self.look.mirrored() if mirrored else self.look
            self._features[mirrored] = _find_features(look.grey)
        return self._features[mirrored]


@dataclass(frozen=True, slots=True)
class Match:
    """How the second of two pictures lies in the first."""

    inliers: int  # local features that agree on it; 0 when it was only laid over whole
    agreement: float  # share of the common cells that show the same, 0 to 1
    covers_first: float  # share of the first picture's area that the second shows
    covers_second: float
    turned: str  # "", "mirrored", "rotated 90", ... of the second against the first
    framed_first: bool = False  # the first is the second with a frame around it
    framed_second: bool = False
    same_colours: bool = True  # False: the same shapes in other colours
    only_first_coloured: bool = False  # the second has hardly any colour where the first has some
    only_second_coloured: bool = False
    marked: bool = False  # seen in detail, something was put on one of them
    altered: int | None = None  # then, which of the two seems to have been changed: 0 the first, 1 the second
    # (2, 3): where a point of the second lies in the first, in shares of their widths and heights.
    placed: Affine = field(default_factory=lambda: np.eye(2, 3), compare=False)

    @property
    def covers_most(self) -> float:
        """Give the share of the picture that the other shows more of."""
        return max(self.covers_first, self.covers_second)


def sketch(image: Image.Image, *, mirrored: bool = True) -> Sketch:
    """Take down an upright RGB image; mirrored: so that it can be matched the other way round, too."""
    return Sketch(take_look(within(image, SIDE)), mirrored)


def _find_features(grey: NDArray[np.uint8]) -> Features:
    # A low threshold: pictures of sky and sand have few corners, and RANSAC sorts out bad ones.
    detector = cv2.SIFT.create(nfeatures=FEATURES_MAX, contrastThreshold=0.02)
    keypoints, descriptors = detector.detectAndCompute(grey, None)
    if not keypoints:
        return np.empty((0, 2), np.float32), np.empty((0, 128), np.float32)
    points = np.array([keypoint.pt for keypoint in keypoints], np.float32)
    roots = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6))
    return points, roots.astype(np.float32)


def match(first: Sketch, second: Sketch) -> Match | None:
    """Find how the second picture lies in the first; None when no map explains enough features.

    When the second was sketched for it, it is looked for the other way round as well.
    """
    found = _match(first, second.look, *second.features(), mirrored=False)
    if second.may_be_mirrored and (found is None or found.inliers < 2 * INLIERS_MIN):
        turned = _match(first, second.look.mirrored(), *second.features(mirrored=True), mirrored=True)
        if turned is not None and (found is None or turned.inliers > found.inliers):
            return turned
    return found


def _match(
    first: Sketch,
    look: Look,
    points: NDArray[np.float32],
    descriptors: NDArray[np.float32],
    *,
    mirrored: bool,
) -> Match | None:
    its_points, its_descriptors = first.features()
    mine, theirs = _partners(its_descriptors, descriptors)
    if len(mine) < INLIERS_MIN:
        return None
    found, inlier = cv2.estimateAffine2D(
        points[theirs], its_points[mine], method=cv2.RANSAC, ransacReprojThreshold=REPROJECTION_PX
    )
    if found is None or int(inlier.sum()) < INLIERS_MIN:
        return None
    affine: Affine = np.asarray(found, np.float64)
    if not _is_plausible(affine):
        return None
    # Several features at one place prove one thing.
    inliers = len({tuple(place) for place in np.round(its_points[mine][inlier.ravel() > 0]).tolist()})
    if inliers < INLIERS_MIN:
        return None
    laid = lay_over(first.look, look, affine)
    back = np.asarray(cv2.invertAffineTransform(affine), np.float64)
    return Match(
        inliers,
        laid.agreement,
        laid.covers_first,
        laid.covers_second,
        _describe(affine, mirrored),
        framed_first=has_frame(first.look.grey, back, look.grey.shape),
        framed_second=has_frame(look.grey, affine, first.look.grey.shape),
        same_colours=laid.same_colours,
        only_first_coloured=laid.only_first_coloured,
        only_second_coloured=laid.only_second_coloured,
        placed=_in_shares(affine, first.look, look) @ _turning(mirrored, 0),
    )


def _in_shares(affine: Affine, first: Look, second: Look) -> Affine:
    """Turn a map of pixels of looks into one of shares of their sides."""
    (height, width), (its_height, its_width) = first.grey.shape, second.grey.shape
    half = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])  # pixels are counted from their middles
    pixels = np.linalg.inv(half) @ np.vstack([affine, [0, 0, 1]]) @ half
    shares = np.diag([1 / width, 1 / height, 1]) @ pixels @ np.diag([its_width, its_height, 1])
    return np.asarray(shares[:2], np.float64)


def _turning(mirrored: bool, quarters: int) -> Affine:
    """Give (3, 3), where a point of a picture lies when it is mirrored and then turned to the left."""
    placed = np.diag([-1.0, 1.0, 1.0]) if mirrored else np.eye(3)
    placed[0, 2] = float(mirrored)
    quarter = np.array([[0, 1, 0], [-1, 0, 1], [0, 0, 1]])
    return np.asarray(np.linalg.matrix_power(quarter, quarters) @ placed, np.float64)


def _partners(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair each descriptor of the second with its nearest of the first, where that is clearly the nearest."""
    if len(first) < 2 or not len(second):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    distances = np.sqrt(np.maximum(2 - 2 * second @ first.T, 0))
    nearest = np.argmin(distances, axis=1)
    rows = np.arange(len(second))
    best = distances[rows, nearest]
    distances[rows, nearest] = np.inf
    clear = best < RATIO_MAX * distances.min(axis=1)
    return nearest[clear], rows[clear]


def _is_plausible(affine: Affine) -> bool:
    """Refuse maps that crush, tear or mirror; they come from chance."""
    linear = affine[:, :2]
    scales = np.linalg.svd(linear, compute_uv=False)
    return bool(
        np.linalg.det(linear) > 0
        and SCALE_RANGE[0] < scales[1]
        and scales[0] < SCALE_RANGE[1]
        and scales[0] < STRETCH_MAX * scales[1]
    )


def _describe(affine: Affine, mirrored: bool) -> str:
    degrees = np.degrees(np.arctan2(affine[1, 0] - affine[0, 1], affine[0, 0] + affine[1, 1]))
    quarter = round(degrees / 90) * 90 % 360
    words = ["mirrored"] * mirrored + [f"rotated {quarter}"] * bool(quarter)
    return ", ".join(words)


def match_whole(first: Sketch, second: Sketch, turn: int = 0, *, mirrored: bool = False) -> Match:
    """Lay the whole second picture over the first, mirrored if so and turned by quarters to the left."""
    laid = _lay_whole(first.look, (second.look.mirrored() if mirrored else second.look).turned(turn))
    words = ["mirrored"] * mirrored + [f"rotated {turn * 90}"] * bool(turn)
    return Match(
        0,
        laid.agreement,
        laid.covers_first,
        laid.covers_second,
        ", ".join(words),
        same_colours=laid.same_colours,
        only_first_coloured=laid.only_first_coloured,
        only_second_coloured=laid.only_second_coloured,
        placed=_turning(mirrored, turn)[:2],
    )


def _lay_whole(first: Look, second: Look) -> Overlay:
    (height, width), (its_height, its_width) = first.grey.shape, second.grey.shape
    scale_x, scale_y = width / its_width, height / its_height
    affine = np.array([[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2]])
    return lay_over(first, second, affine)


def show_the_same(first: Sequence[Image.Image], second: Sequence[Image.Image], *, agreement: float) -> bool:
    """Tell whether two rows of RGB pictures are the same, each laid whole over the one in its place."""
    if len(first) != len(second):
        return False
    for one, other in zip(first, second, strict=True):
        laid = _lay_whole(*(take_look(within(image, OVERLAY_SIDE)) for image in (one, other)))
        if laid.agreement < agreement or not laid.same_colours:
            return False
    return True
