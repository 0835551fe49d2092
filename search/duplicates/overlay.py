"""Overlay: one picture laid over another, and what of it shows the same, cell by cell."""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

CELL_SIDE = 8  # pixels
OVERLAY_SIDE = 128  # pixels of the longer side when pictures are laid over each other
FLAT = 3.0  # grey levels of spread below which a cell shows nothing
CORRELATION_MIN = 0.6  # of a cell's grey levels with those laid over it
FLAT_DIFFERENCE_MAX = 30.0  # grey levels between two flat cells, after the pictures' tones are matched
COVERED_MIN = 0.9  # of a cell's pixels, before it is compared
COLOURS_EXPLAINED_MIN = 0.2  # of the variance of the paler picture's colours, by the other's
COLOURED = 2.0  # levels of spread from which a picture has colours that would be missed
PALE = 1.0  # levels of spread below which a picture has no colours to compare
SATURATION_MAX = 1.2  # of the paler picture against the more colourful one
FRAME_MIN = 0.05  # share of a picture that a frame takes at least
FRAME_SIDES_MIN = 3  # a flat strip at one side may be sky, at two sky and sea
FRAME_FLAT_MIN = 0.8  # share of a frame that is flat: it may have buttons on it
BAR_TONE_MAX = 48.0  # grey levels: two bars are dark, for above and below a paragraph a page is light
BAR_DIFFERENCE_MAX = 2.0  # grey levels between the flat cells of two bars: skies differ by more in themselves
BAR_EVEN_MIN = 0.95  # share of these cells that are so near to their median

Grey = NDArray[np.float32]  # (height, width), 0 to 255
Chroma = NDArray[np.float32]  # (height, width, 2), the colour differences of JFIF's YCbCr, -128 to 127
Affine = NDArray[np.float64]  # (2, 3): where a point of the second picture lies in the first


@dataclass(frozen=True, slots=True)
class Look:
    """A small copy of a picture, its colours smaller than its grey."""

    grey: NDArray[np.uint8]  # (height, width)
    chroma: NDArray[np.int8]  # (height, width, 2), the longer side OVERLAY_SIDE at most

    def mirrored(self) -> Self:
        """Swap left and right."""
        return type(self)(
            np.ascontiguousarray(self.grey[:, ::-1]), np.ascontiguousarray(self.chroma[:, ::-1])
        )

    def turned(self, quarters: int) -> Self:
        """Turn to the left by quarters."""
        if not quarters:
            return self
        grey, chroma = np.rot90(self.grey, quarters), np.rot90(self.chroma, quarters)
        return type(self)(np.ascontiguousarray(grey), np.ascontiguousarray(chroma))


def take_look(image: Image.Image) -> Look:
    """Take down an upright RGB image, its grey at full size."""
    grey = np.asarray(image.convert("L"))
    colours = np.asarray(within(image, OVERLAY_SIDE).convert("YCbCr"))
    return Look(grey, (colours[:, :, 1:].astype(np.int16) - 128).astype(np.int8))


def within(image: Image.Image, side: int) -> Image.Image:
    """Scale down until the longer side fits; never up."""
    scale = side / max(image.size)
    if scale >= 1:
        return image
    size = tuple(max(1, round(edge * scale)) for edge in image.size)
    return image.resize(size, Image.Resampling.BOX, reducing_gap=None)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Overlay:
    """What two pictures have in common where one lies on the other."""

    agreement: float  # share of the common cells that show the same, 0 to 1
    covers_first: float  # share of the first picture's area that the second shows
    covers_second: float
    same_colours: bool  # False: the same shapes, but something has another hue
    only_first_coloured: bool  # the second has hardly any colour where the first has some
    only_second_coloured: bool


def lay_over(first: Look, second: Look, affine: Affine) -> Overlay:
    """Lay the second picture over the first."""
    height, width = first.grey.shape
    scale = min(1.0, OVERLAY_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    base = _smooth(np.asarray(cv2.resize(first.grey, size, interpolation=cv2.INTER_AREA), np.uint8))
    to_base = np.diag([size[0] / width, size[1] / height]) @ affine
    laid_grey, mask = warp(second.grey, to_base, size)
    laid = _smooth(laid_grey)
    area = second.grey.size * abs(float(np.linalg.det(to_base[:, :2])))
    covered = float(mask.sum())
    common = over_cells(mask) >= COVERED_MIN
    agrees = _agreeing_cells(base, laid, common)
    one, other = (_colour_cells(chroma)[agrees] for chroma in _lay_colours(first, second, to_base, size))
    return Overlay(
        agreement=float(agrees[common].mean()) if common.any() else 0.0,
        covers_first=covered / mask.size,
        covers_second=min(1.0, covered / max(area, 1.0)),
        same_colours=_same_colours(one, other),
        only_first_coloured=_spread(other) < PALE and _spread(one) >= COLOURED,
        only_second_coloured=_spread(one) < PALE and _spread(other) >= COLOURED,
    )


def _lay_colours(first: Look, second: Look, to_base: Affine, size: tuple[int, int]) -> tuple[Chroma, Chroma]:
    base = cv2.resize(first.chroma.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    height, width = second.chroma.shape[:2]
    to_grey = np.diag([second.grey.shape[1] / width, second.grey.shape[0] / height, 1.0])
    laid = cv2.warpAffine(
        second.chroma.astype(np.float32),
        to_base @ to_grey,
        size,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(base), np.asarray(laid)


def has_frame(picture: NDArray[np.uint8], to_other: Affine, other_shape: tuple[int, ...]) -> bool:
    """Tell whether what the other does not show of a picture is a flat frame on three sides or four.

    So are two dark bars of one tone on opposite sides, as telephones put around a photo that they show, and
    films around their pictures.

    to_other: where a point of the picture lies in the other one; other_shape: its height and width.
    """
    grey = _smooth(picture)
    mean = over_cells(grey)
    spread = np.sqrt(np.maximum(over_cells(grey * grey) - mean**2, 0))
    rows, columns = np.indices(spread.shape) * CELL_SIDE + CELL_SIDE / 2
    x, y = np.tensordot(to_other, np.stack([columns, rows, np.ones_like(rows)]), axes=1)
    height, width = other_shape[:2]
    edge = CELL_SIDE * float(np.sqrt(abs(np.linalg.det(to_other[:, :2]))))  # cells across it show both
    beyond = np.stack([x < -edge, x >= width + edge, y < -edge, y >= height + edge])
    outside = beyond.any(axis=0)
    if outside.mean() < FRAME_MIN or (spread[outside] < FLAT).mean() < FRAME_FLAT_MIN:
        return False
    left, right, above, below = beyond.mean(axis=(1, 2)) > FRAME_MIN / 4
    if int(left) + right + above + below >= FRAME_SIDES_MIN:
        return True
    return bool((left and right) or (above and below)) and _are_bars(mean[outside & (spread < FLAT)])


def _are_bars(tones: Grey) -> bool:
    tone = float(np.median(tones))
    even = float((np.abs(tones - tone) <= BAR_DIFFERENCE_MAX).mean())
    return tone <= BAR_TONE_MAX and even >= BAR_EVEN_MIN


def warp(second: NDArray[np.uint8], to_base: Affine, size: tuple[int, int]) -> tuple[NDArray[np.uint8], Grey]:
    """Draw the second picture in the first's frame, of (width, height); where it lies is 1 in the mask."""
    shrink = float(np.sqrt(abs(np.linalg.det(to_base[:, :2]))))
    if shrink < 1:  # average before sampling, or fine texture turns into noise
        second = np.asarray(cv2.GaussianBlur(second, (0, 0), 0.5 / shrink), np.uint8)
    laid = cv2.warpAffine(second, to_base, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = np.ones(second.shape, np.uint8)
    mask = cv2.warpAffine(inside, to_base, size, flags=cv2.INTER_NEAREST, borderValue=0)
    return np.asarray(laid, np.uint8), mask.astype(np.float32)


def _smooth(grey: NDArray[np.uint8]) -> Grey:
    """Blur by a pixel and a half: compression, noise and a little misfit vanish, contents do not."""
    return np.asarray(cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.5))


def _agreeing_cells(base: Grey, laid: Grey, common: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which of the cells that both pictures have show the same."""
    if not common.any():
        return common
    mean_a, mean_b = over_cells(base), over_cells(laid)
    var_a = np.maximum(over_cells(base * base) - mean_a**2, 0)
    var_b = np.maximum(over_cells(laid * laid) - mean_b**2, 0)
    correlation = (over_cells(base * laid) - mean_a * mean_b) / np.sqrt(var_a * var_b + 1e-6)
    flat = (var_a < FLAT**2) & (var_b < FLAT**2)
    tones = _matched_tones(mean_b[common], mean_a[common], mean_b)
    near = np.abs(tones - mean_a) < FLAT_DIFFERENCE_MAX
    return np.asarray(common & np.where(flat, near, correlation >= CORRELATION_MIN))


def _spread(colours: NDArray[np.float32]) -> float:
    """Tell how far (n, 2) cells lie from their mean: a tint all over is no colour."""
    return float(np.sqrt(((colours - colours.mean(axis=0)) ** 2).sum(axis=1).mean())) if len(colours) else 0.0


def _same_colours(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Tell whether the colours of (n, 2) cells follow the other's, up to one saturation and one tint.

    That is what filters change. A product in another colour has cells that follow nothing. Where one picture
    has hardly any colour there is nothing to tell.
    """
    if len(one) < 2:
        return True
    pale, rich = sorted(
        (one - one.mean(axis=0), other - other.mean(axis=0)), key=lambda c: float((c**2).sum())
    )
    spread = float((pale**2).sum())
    if spread < len(pale) * PALE**2:
        return True
    saturation = np.clip(float((pale * rich).sum()) / float((rich**2).sum()), 0.0, SATURATION_MAX)
    left = float(((pale - saturation * rich) ** 2).sum())
    return left <= (1 - COLOURS_EXPLAINED_MIN) * spread


def over_cells(values: Grey, side: int = CELL_SIDE) -> Grey:
    """Average over square cells; what is left over at the far edges does not count."""
    rows, columns = (edge // side for edge in values.shape)
    if not rows or not columns:
        return np.full((1, 1), values.mean(), np.float32)
    cut = values[: rows * side, : columns * side].astype(np.float32, copy=False)
    return np.asarray(cv2.resize(cut, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def _colour_cells(chroma: Chroma) -> NDArray[np.float32]:
    return np.stack([over_cells(np.ascontiguousarray(chroma[:, :, channel])) for channel in (0, 1)], axis=-1)


def _matched_tones(given: Grey, wanted: Grey, values: Grey) -> Grey:
    """Map values by the straight line that best takes the given tones to the wanted ones."""
    spread = float(given.std())
    slope = float(np.clip(np.cov(given, wanted)[0, 1] / spread**2, 0.2, 5.0)) if spread > 1 else 1.0
    return np.asarray((values - given.mean()) * slope + wanted.mean(), np.float32)
