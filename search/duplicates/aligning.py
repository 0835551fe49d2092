"""Aligning: two pictures that look the same in one frame, to the pixel."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .overlay import Affine, Grey, over_cells, warp, within

SIDE = 960  # pixels of the longer side; print of a page is legible, and a 12 MP JPEG decodes at a quarter
CELLS_ALONG = 42  # of the longer side
CELL_SIDES = (8, 24)  # pixels at least and at most; the most is about a letter and a half of that print
BLOCK_SIDE = 64  # pixels of what is looked for to bring the two into line
REACH = 14  # pixels around it, more than local features leave between the two
BLOCK_SPREAD_MIN = 8.0  # grey levels
BLOCK_LIKENESS_MIN = 0.6  # correlation
BLOCKS_MIN = 6
LINE_PX = 1.5  # by which a block may miss the line of the others
MENDED_MAX = 0.05  # of scale and shear
SHARPER_MAX = 1.25  # times the other's edges
BLURS = (0.6, 0.9, 1.3, 1.8, 2.5)  # pixels

Pixels = NDArray[np.uint8]  # (height, width)
Cells = NDArray[np.bool_]  # (rows, columns)
Mask = NDArray[np.bool_]  # (height, width)


@dataclass(frozen=True, slots=True)
class Aligned:
    """Two grey pictures in the first's frame, at the size of the smaller one."""

    one: Pixels
    other: Pixels
    common: Cells  # that both show whole
    cell_side: int  # pixels


def align(first: Image.Image, second: Image.Image, placed: Affine) -> Aligned:
    """Lay the second of two RGB images over the first.

    placed: where a point of the second lies in the first, in shares of their widths and heights.
    """
    one, other = (_grey(image, SIDE) for image in (first, second))
    to_one = _in_pixels(placed, one, other)
    enlarged = float(np.sqrt(abs(np.linalg.det(to_one[:, :2]))))
    if enlarged > 1:  # the first has more pixels than the second can answer for
        one = _grey(first, max(8, round(max(one.shape) / enlarged)))
        to_one = _in_pixels(placed, one, other)
    laid, mask = warp(other, _mended(one, other, to_one), one.shape[::-1])
    side = int(np.clip(max(one.shape) // CELLS_ALONG, *CELL_SIDES))
    # Where a picture ends, its pixels are mixed with what lies beyond.
    inner = cv2.erode(mask, np.ones((side, side), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1.0)
    common = over_cells(np.asarray(inner, np.float32), side) > 0.99
    return Aligned(*_equally_sharp(one, laid, mask), common, side)


def as_pixels(cells: Cells, side: int, shape: tuple[int, ...]) -> Mask:
    """Give the pixels of some cells, in a picture of this (height, width)."""
    spread = np.repeat(np.repeat(cells, side, axis=0), side, axis=1)
    pixels = np.zeros(shape, np.bool_)
    pixels[: spread.shape[0], : spread.shape[1]] = spread[: shape[0], : shape[1]]
    return pixels


def _equally_sharp(one: Pixels, other: Pixels, mask: Grey) -> tuple[Pixels, Pixels]:
    """Blur the sharper of two pictures, or the noisier, until it shows no more than the other can."""
    within_both = mask > 0
    if _sharpness(one, within_both) < _sharpness(other, within_both):
        return one, _as_soft(other, one, within_both)
    return _as_soft(one, other, within_both), other


def _as_soft(picture: Pixels, model: Pixels, where: NDArray[np.bool_]) -> Pixels:
    aim = SHARPER_MAX * _sharpness(model, where)
    soft = picture
    for sigma in BLURS:
        if _sharpness(soft, where) <= aim:
            break
        soft = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)
    return soft


def _sharpness(picture: Pixels, where: NDArray[np.bool_]) -> float:
    return float(cv2.Laplacian(picture, cv2.CV_32F)[where].std())


def _grey(image: Image.Image, side: int) -> Pixels:
    return np.asarray(within(image, side).convert("L"))


def _in_pixels(placed: Affine, one: Pixels, other: Pixels) -> Affine:
    half = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])  # pixels are counted from their middles
    grown, shrunk = (np.diag([*map(float, each.shape[::-1]), 1.0]) for each in (one, other))
    whole = half @ grown @ np.vstack([placed, [0, 0, 1]]) @ np.linalg.inv(half @ shrunk)
    return np.asarray(whole[:2], np.float64)


def _mended(one: Pixels, other: Pixels, to_one: Affine) -> Affine:
    """Mend the map by what most blocks of the second say that are looked for around where they should be."""
    laid, mask = warp(other, to_one, one.shape[::-1])
    meant, found = _blocks_found(_smooth(one), _smooth(laid), mask)
    if len(meant) < BLOCKS_MIN:
        return to_one
    mend, agreeing = cv2.estimateAffine2D(meant, found, method=cv2.RANSAC, ransacReprojThreshold=LINE_PX)
    if mend is None or agreeing.sum() < BLOCKS_MIN or np.abs(mend[:, :2] - np.eye(2)).max() > MENDED_MAX:
        return to_one
    return np.asarray((np.vstack([mend, [0, 0, 1]]) @ np.vstack([to_one, [0, 0, 1]]))[:2], np.float64)


def _smooth(picture: Pixels) -> Pixels:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.0), np.uint8)


def _blocks_found(
    one: Pixels, laid: Pixels, mask: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give (n, 2), where blocks of the second are laid, and where they look like the first."""
    height, width = one.shape
    pairs = []
    for top in range(REACH, height - BLOCK_SIDE - REACH, BLOCK_SIDE):
        for left in range(REACH, width - BLOCK_SIDE - REACH, BLOCK_SIDE):
            here = slice(top, top + BLOCK_SIDE), slice(left, left + BLOCK_SIDE)
            if laid[here].std() < BLOCK_SPREAD_MIN or not mask[here].all():
                continue
            likeness, x, y = best_match(one, laid[here], left, top, REACH)
            if likeness >= BLOCK_LIKENESS_MIN:
                pairs.append(((left, top), (x, y)))
    places = np.array(pairs, np.float32).reshape(-1, 2, 2)
    return np.ascontiguousarray(places[:, 0]), np.ascontiguousarray(places[:, 1])


def best_match(
    picture: Pixels | Grey, piece: Pixels | Grey, left: int, top: int, reach: int
) -> tuple[float, int, int]:
    """Look for a piece within some pixels of a place; (correlation, x, y) where it fits best."""
    height, width = piece.shape
    x, y = max(0, left - reach), max(0, top - reach)
    around = picture[y : top + height + reach, x : left + width + reach]
    _, likeness, _, (right, down) = cv2.minMaxLoc(cv2.matchTemplate(around, piece, cv2.TM_CCOEFF_NORMED))
    return float(likeness), x + right, y + down
