"""Matching: whether two pictures show the same, judged by their pixels, and how much of each the other shows.

Local features propose how one picture lies in the other (SIFT, Lowe 2004, with the square-root scaling of
Arandjelović and Zisserman 2012; RANSAC over affine maps); then the second picture is laid over the first and
compared cell by cell. The two ask different things: features, whether the same details exist in the same
arrangement; cells, whether anything in between has changed. A duplicate passes both.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 320  # pixels of the longer side that features are looked for in
FEATURES_MAX = 400
CELL_SIDE = 8  # pixels
OVERLAY_SIDE = 128  # pixels of the longer side when pictures are laid over each other
RATIO_MAX = 0.85  # of the nearest to the second nearest descriptor's distance, Lowe's test
INLIERS_MIN = 8
REPROJECTION_PX = 4.0
STRETCH_MAX = 2.0  # of one axis against the other: thumbnails squashed to a square reach it
SCALE_RANGE = (0.15, 7.0)
FLAT = 3.0  # grey levels of spread below which a cell shows nothing
CORRELATION_MIN = 0.6  # of a cell's grey levels with those laid over it
FLAT_DIFFERENCE_MAX = 30.0  # grey levels between two flat cells, after the pictures' tones are matched
COVERED_MIN = 0.9  # of a cell's pixels, before it is compared
FRAME_MIN = 0.05  # share of a picture that a frame takes at least
FRAME_SIDES_MIN = 3  # a flat strip at one side may be sky, at two the bars of a film
FRAME_FLAT_MIN = 0.8  # share of a frame that is flat: it may have buttons on it

Grey = NDArray[np.float32]  # (height, width), 0 to 255
Affine = NDArray[np.float64]  # (2, 3): where a point of the second picture lies in the first


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is kept of a picture to match it: a small grey copy and its local features."""

    grey: NDArray[np.uint8]  # (height, width), the longer side SIDE at most
    points: NDArray[np.float32]  # (n, 2), x and y in grey
    descriptors: NDArray[np.float32]  # (n, 128), each of length one
    mirrored: "tuple[NDArray[np.float32], NDArray[np.float32]] | None"  # the same of the mirrored picture


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

    @property
    def covers_most(self) -> float:
        """Give the share of the picture that the other shows more of."""
        return max(self.covers_first, self.covers_second)


def sketch(image: Image.Image, *, mirrored: bool = True) -> Sketch:
    """Take down an upright RGB image; mirrored: so that it can be matched the other way round, too."""
    grey = np.asarray(_within(image.convert("L"), SIDE))
    points, descriptors = _features(grey)
    turned = _features(np.ascontiguousarray(grey[:, ::-1])) if mirrored else None
    return Sketch(grey, points, descriptors, turned)


def _within(image: Image.Image, side: int) -> Image.Image:
    """Scale down until the longer side fits; never up."""
    scale = side / max(image.size)
    if scale >= 1:
        return image
    size = tuple(max(1, round(edge * scale)) for edge in image.size)
    return image.resize(size, Image.Resampling.BOX, reducing_gap=None)  # type: ignore[arg-type]


def _features(grey: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
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
    found = _match(first, second.grey, second.points, second.descriptors, mirrored=False)
    if second.mirrored is not None and (found is None or found.inliers < 2 * INLIERS_MIN):
        grey = second.grey[:, ::-1]
        turned = _match(first, grey, *second.mirrored, mirrored=True)
        if turned is not None and (found is None or turned.inliers > found.inliers):
            return turned
    return found


def _match(
    first: Sketch,
    grey: NDArray[np.uint8],
    points: NDArray[np.float32],
    descriptors: NDArray[np.float32],
    *,
    mirrored: bool,
) -> Match | None:
    mine, theirs = _partners(first.descriptors, descriptors)
    if len(mine) < INLIERS_MIN:
        return None
    found, inlier = cv2.estimateAffine2D(
        points[theirs], first.points[mine], method=cv2.RANSAC, ransacReprojThreshold=REPROJECTION_PX
    )
    if found is None or int(inlier.sum()) < INLIERS_MIN:
        return None
    affine: Affine = np.asarray(found, np.float64)
    if not _is_plausible(affine):
        return None
    # Several features at one place prove one thing.
    inliers = len({tuple(place) for place in np.round(first.points[mine][inlier.ravel() > 0]).tolist()})
    if inliers < INLIERS_MIN:
        return None
    agreement, covers_first, covers_second = lay_over(first.grey, grey, affine)
    back = np.asarray(cv2.invertAffineTransform(affine), np.float64)
    return Match(
        inliers,
        agreement,
        covers_first,
        covers_second,
        _describe(affine, mirrored),
        framed_first=has_frame(first.grey, back, grey.shape),
        framed_second=has_frame(grey, affine, first.grey.shape),
    )


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
    grey = second.grey[:, ::-1] if mirrored else second.grey
    grey = np.rot90(grey, turn)
    height, width = first.grey.shape
    scale_x, scale_y = width / grey.shape[1], height / grey.shape[0]
    affine = np.array([[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2]])
    agreement, covers_first, covers_second = lay_over(first.grey, np.ascontiguousarray(grey), affine)
    words = ["mirrored"] * mirrored + [f"rotated {turn * 90}"] * bool(turn)
    return Match(0, agreement, covers_first, covers_second, ", ".join(words))


def lay_over(
    first: NDArray[np.uint8], second: NDArray[np.uint8], affine: Affine
) -> tuple[float, float, float]:
    """Lay the second picture over the first; (agreement, share of first covered, share of second covered)."""
    height, width = first.shape
    scale = min(1.0, OVERLAY_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    base = _smooth(np.asarray(cv2.resize(first, size, interpolation=cv2.INTER_AREA), np.uint8))
    to_base = np.diag([size[0] / width, size[1] / height]) @ affine
    laid, mask = _warp(second, to_base, size)
    area = second.shape[0] * second.shape[1] * abs(float(np.linalg.det(to_base[:, :2])))
    covered = float(mask.sum())
    agreement = _agreement(base, laid, mask)
    return agreement, covered / mask.size, min(1.0, covered / max(area, 1.0))


def has_frame(picture: NDArray[np.uint8], to_other: Affine, other_shape: tuple[int, ...]) -> bool:
    """Tell whether what the other does not show of a picture is a flat frame on three sides or four.

    to_other: where a point of the picture lies in the other one; other_shape: its height and width.
    """
    grey = _smooth(picture)
    spread = np.sqrt(np.maximum(_cells(grey * grey) - _cells(grey) ** 2, 0))
    rows, columns = np.indices(spread.shape) * CELL_SIDE + CELL_SIDE / 2
    x, y = np.tensordot(to_other, np.stack([columns, rows, np.ones_like(rows)]), axes=1)
    height, width = other_shape[:2]
    edge = CELL_SIDE * float(np.sqrt(abs(np.linalg.det(to_other[:, :2]))))  # cells across it show both
    beyond = np.stack([x < -edge, x >= width + edge, y < -edge, y >= height + edge])
    outside = beyond.any(axis=0)
    if outside.mean() < FRAME_MIN or (spread[outside] < FLAT).mean() < FRAME_FLAT_MIN:
        return False
    return int((beyond.mean(axis=(1, 2)) > FRAME_MIN / 4).sum()) >= FRAME_SIDES_MIN


def _warp(second: NDArray[np.uint8], to_base: Affine, size: tuple[int, int]) -> tuple[Grey, Grey]:
    """Draw the second picture in the first's frame; where it lies is 1 in the mask."""
    shrink = float(np.sqrt(abs(np.linalg.det(to_base[:, :2]))))
    if shrink < 1:  # average before sampling, or fine texture turns into noise
        second = np.asarray(cv2.GaussianBlur(second, (0, 0), 0.5 / shrink), np.uint8)
    laid = cv2.warpAffine(second, to_base, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = np.ones(second.shape, np.float32)
    mask = cv2.warpAffine(inside, to_base, size, flags=cv2.INTER_LINEAR, borderValue=0)
    return _smooth(np.asarray(laid, np.uint8)), (mask > 0.5).astype(np.float32)


def _smooth(grey: NDArray[np.uint8]) -> Grey:
    """Blur by a pixel and a half: compression, noise and a little misfit vanish, contents do not."""
    return np.asarray(cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.5))


def _agreement(base: Grey, laid: Grey, mask: Grey) -> float:
    """Give the share of cells, among those both pictures have, that show the same."""
    mean_a, mean_b = _cells(base), _cells(laid)
    var_a = np.maximum(_cells(base * base) - mean_a**2, 0)
    var_b = np.maximum(_cells(laid * laid) - mean_b**2, 0)
    common = _cells(mask) >= COVERED_MIN
    if not common.any():
        return 0.0
    correlation = (_cells(base * laid) - mean_a * mean_b) / np.sqrt(var_a * var_b + 1e-6)
    flat = (var_a < FLAT**2) & (var_b < FLAT**2)
    tones = _matched_tones(mean_b[common], mean_a[common], mean_b)
    near = np.abs(tones - mean_a) < FLAT_DIFFERENCE_MAX
    agrees = np.where(flat, near, correlation >= CORRELATION_MIN)
    return float(agrees[common].mean())


def _cells(values: Grey) -> Grey:
    """Average over cells; what is left over at the far edges does not count."""
    rows, columns = (edge // CELL_SIDE for edge in values.shape)
    if not rows or not columns:
        return np.full((1, 1), values.mean(), np.float32)
    cut = values[: rows * CELL_SIDE, : columns * CELL_SIDE]
    return np.asarray(cut.reshape(rows, CELL_SIDE, columns, CELL_SIDE).mean(axis=(1, 3)))


def _matched_tones(given: Grey, wanted: Grey, values: Grey) -> Grey:
    """Map values by the straight line that best takes the given tones to the wanted ones."""
    spread = float(given.std())
    slope = float(np.clip(np.cov(given, wanted)[0, 1] / spread**2, 0.2, 5.0)) if spread > 1 else 1.0
    return np.asarray((values - given.mean()) * slope + wanted.mean(), np.float32)
