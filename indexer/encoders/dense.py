"""Patch vectors: what each part of a picture shows, as vectors in the space of the texts.

A picture is brought to one or more sizes, its longer side may be taken in overlapping windows, and a tower
gives a vector for every cell of each. All of them are averaged on the finest grid.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..records import EncoderCard
from .base import PixelBatch, unit_rows, upright_rgb

if TYPE_CHECKING:
    from PIL import Image

    from .patch_head import PatchHead

PatchGrid: TypeAlias = NDArray[np.float32]  # (rows, columns, dim), each vector has length one
RawPatches: TypeAlias = NDArray[np.float32]  # (n, rows, columns, dim), of any length

# A strip of 1 x 20,000 pixels would take hundreds of windows; it is squeezed to this aspect.
ASPECT_MAX = 8
# A change of what vectors come out counts this up, and stored ones are taken anew. In version 1 large JPEGs
# were decoded to half the size: cosines with what `highlight` sees were .98 to .999, now they are over .999.
RECIPE_VERSION = 2


class Variant(StrEnum):
    """How the last block of a vision transformer is changed so that patches keep what is at their place.

    vanilla   the block as it is
    maskclip  each patch's own value (Zhou et al. 2022, arXiv 2112.01071)
    sclip     attention of queries to queries plus keys to keys (Wang et al. 2023, arXiv 2312.01597)
    clearclip queries to queries, without residual and MLP (Lan et al. 2024, arXiv 2407.12442)
    naclip    keys to keys, neighbours preferred, without residual and MLP (Hajimiri et al. 2024, 2404.08181)
    """

    VANILLA = "vanilla"
    MASKCLIP = "maskclip"
    SCLIP = "sclip"
    CLEARCLIP = "clearclip"
    NACLIP = "naclip"


@dataclass(frozen=True, slots=True)
class PatchSettings:
    """At which sizes a picture is looked at, and how."""

    short_sides: tuple[int, ...]  # pixels of the shorter side, one for each look
    window: int  # pixels; a longer side than this is taken in windows of this length that overlap by half
    variant: Variant = Variant.NACLIP  # for vision transformers


class PatchTower(Protocol):
    """Takes pixels to one vector a cell; cells divide the input evenly."""

    @property
    def stride(self) -> int:
        """Give the side of a cell in pixels; inputs are multiples of it."""
        ...

    @property
    def settings(self) -> PatchSettings:
        """Give the settings that suit this model."""
        ...

    @property
    def precision(self) -> str:
        """Name the arithmetic, as a card does."""
        ...

    def __call__(self, pixels: PixelBatch) -> RawPatches:
        """Run one batch."""
        ...


@dataclass(frozen=True, slots=True)
class _Piece:
    """A window of a picture at one size, and where its cells belong."""

    image: int
    look: int
    pixels: NDArray[np.uint8]  # (height, width, 3)
    row: int  # of its first cell
    column: int


class PatchEncoder:
    """Gives patch vectors of pictures of any size and aspect."""

    def __init__(
        self,
        tower: PatchTower,
        card: EncoderCard,
        *,
        settings: PatchSettings | None = None,
        head: "PatchHead | None" = None,
        batch_size: int = 8,
    ) -> None:
        self._tower = tower
        self.card = card
        self.head = head
        self.settings = settings or tower.settings
        self._batch_size = batch_size

    @property
    def recipe(self) -> str:
        """Tell in a line how vectors are taken: those of one encoder and one recipe can be compared."""
        sides = "+".join(map(str, self.settings.short_sides))
        head = f", head {self.head.digest}" if self.head else ""
        window = self.settings.window
        return f"{self.settings.variant} {sides} px, windows {window} px, version {RECIPE_VERSION}{head}"

    @property
    def cells(self) -> int:
        """Count the cells along a picture's shorter side."""
        return max(1, round(max(self.settings.short_sides) / self._tower.stride))

    def encode_patch_pixels(self, pixels: PixelBatch) -> NDArray[np.float32]:
        """Encode pixels as they are, sides multiples of the cells'; (n, rows, columns, dim) unit vectors."""
        return _unit(self._tower(pixels))

    def encode_patches(self, images: "Sequence[Image.Image]") -> list[PatchGrid]:
        """Encode Pillow images of any size and mode, each to a (rows, columns, dim) grid over all of it.

        Where there is a head, the vectors have gone through it.
        """
        shapes: dict[tuple[int, int], tuple[int, int]] = {}
        pieces: dict[tuple[int, ...], list[_Piece]] = defaultdict(list)
        for number, image in enumerate(images):
            for look, short_side in enumerate(self.settings.short_sides):
                fitted = _fitted(upright_rgb(image), short_side, self._tower.stride)
                shapes[number, look] = self._cells(fitted.shape[0]), self._cells(fitted.shape[1])
                for piece in self._windows(number, look, fitted):
                    pieces[piece.pixels.shape].append(piece)
        looks = self._looks(shapes, pieces)
        merged = [
            _merged([looks[number, look] for look in range(len(self.settings.short_sides))])
            for number in range(len(images))
        ]
        return [self.head(grid) for grid in merged] if self.head else merged

    def _cells(self, pixels: int) -> int:
        return pixels // self._tower.stride

    def _windows(self, number: int, look: int, pixels: NDArray[np.uint8]) -> Iterator[_Piece]:
        stride = self._tower.stride
        size = max(stride, self.settings.window // stride * stride)
        height, width = pixels.shape[:2]
        for top in _starts(height, size, stride):
            for left in _starts(width, size, stride):
                window = pixels[top : top + size, left : left + size]
                yield _Piece(number, look, window, self._cells(top), self._cells(left))

    def _looks(
        self, shapes: dict[tuple[int, int], tuple[int, int]], pieces: dict[tuple[int, ...], list[_Piece]]
    ) -> dict[tuple[int, int], NDArray[np.float32]]:
        """Run all windows, those of one size together, and lay their cells side by side."""
        sums = {key: np.zeros((*shape, self.card.dimension), np.float32) for key, shape in shapes.items()}
        counts = {key: np.zeros((*shape, 1), np.float32) for key, shape in shapes.items()}
        for some in pieces.values():
            for start in range(0, len(some), self._batch_size):
                batch = some[start : start + self._batch_size]
                for piece, cells in zip(batch, self._tower(_stack(batch)), strict=True):
                    rows = slice(piece.row, piece.row + cells.shape[0])
                    columns = slice(piece.column, piece.column + cells.shape[1])
                    sums[piece.image, piece.look][rows, columns] += cells
                    counts[piece.image, piece.look][rows, columns] += 1
        return {key: total / counts[key] for key, total in sums.items()}


def _fitted(image: "Image.Image", short_side: int, stride: int) -> NDArray[np.uint8]:
    """Bring a picture to this shorter side, each side then to the nearest multiple of the cells'."""
    from PIL import Image

    shorter = min(image.size)
    sides = (min(side / shorter, ASPECT_MAX) * short_side for side in image.size)
    width, height = (max(1, round(side / stride)) * stride for side in sides)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def _starts(length: int, window: int, stride: int) -> list[int]:
    """Give where windows begin that cover a length, overlapping by half or more."""
    if length <= window:
        return [0]
    step = max(stride, window // 2 // stride * stride)
    return [*range(0, length - window, step), length - window]


def _stack(batch: Sequence[_Piece]) -> PixelBatch:
    return np.stack([piece.pixels for piece in batch])


def _merged(looks: Sequence[NDArray[np.float32]]) -> PatchGrid:
    """Average grids of one picture on the finest of them."""
    rows, columns = max(look.shape[:2] for look in looks)
    total = np.zeros((rows, columns, looks[0].shape[2]), np.float32)
    for look in looks:
        total += resized(look, rows, columns)
    return _unit(total)


def resized(grid: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """Interpolate (r, c, channels) linearly to (rows, columns, channels), as pictures are."""
    if grid.shape[:2] == (rows, columns):
        return grid
    across = _weights(grid.shape[1], columns)
    along = _weights(grid.shape[0], rows)
    enlarged = np.einsum("ar,bc,rcd->abd", along, across, grid, optimize=True)
    return np.asarray(enlarged, dtype=np.float32)


def _weights(before: int, after: int) -> NDArray[np.float32]:
    """Give the (after, before) weights of linear interpolation between the centres of cells."""
    places = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    low = np.minimum(places.astype(int), max(before - 2, 0))
    weights = np.zeros((after, before), np.float32)
    weights[np.arange(after), low] = 1 - (places - low)
    weights[np.arange(after), np.minimum(low + 1, before - 1)] += places - low
    return weights


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return unit_rows(vectors.reshape(-1, vectors.shape[-1])).reshape(vectors.shape)
