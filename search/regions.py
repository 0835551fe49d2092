"""Regions: where in a picture the words match, from patch vectors and text vectors.

A cosine between a patch and a text means nothing by itself, as search/rank.py tells of whole images. So each
cell's score is counted from what chance texts score there on average (search/regions_texts.py lists them), in
spreads of those scores: its height. The best cells of the chance texts in this very picture tell which
heights come about by chance; a cell reaches 0.5 where it stands as high as about five of six of those best
cells do not. Nothing is stretched to fill 0 to 1, so a map of what is not in the picture stays low, and maps
of several texts can be compared. docs/regions.md tells how far to trust them, with figures.

What is said to match has one truth: a text is present where a cell reaches PRESENT_MIN, and then `matches` is
true somewhere, since lines, boxes, masks and outlines are all made from it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.encoders.dense import PatchGrid, resized
from indexer.records import Vectors

from .regions_texts import ChanceTexts, chance_texts, checked_texts, is_noun, text_vectors

if TYPE_CHECKING:
    from PIL import Image

    from indexer.encoders.base import Encoder
    from indexer.encoders.dense import PatchEncoder

Map: TypeAlias = NDArray[np.float32]  # (height, width), 0 to 1
Mask: TypeAlias = NDArray[np.bool_]  # (height, width)
Labels: TypeAlias = NDArray[np.int16]  # (height, width), index of a text, NONE where none fits

NONE = -1  # the label of what no text names
PRESENT_MIN = 0.5  # a cell from here on is said to match
BOX_AREA_MIN = 0.002  # of the picture; what is smaller is a crumb
# How much of a text's mean over the picture is taken off when texts compete for a cell. Measured with the
# built-in model on half of the region photos, classes known: mean IoU .07 at 0, .12 at .9.
COMPETITION = 0.9


@dataclass(frozen=True, slots=True)
class RegionBox:
    """A connected part of a map that matches, in pixels of the upright picture."""

    left: int
    top: int
    right: int  # exclusive
    bottom: int  # exclusive
    score: float  # the map's highest value in it


@dataclass(frozen=True, slots=True)
class Parts:
    """The connected parts of a map that match, once found; boxes and mask are both made from them."""

    values: Map
    numbers: NDArray[np.int32]  # (height, width), of the part at each place, 0 is the ground between them
    facts: NDArray[np.int32]  # (parts, 5), as cv2 has them: left, top, width, height and area
    kept: NDArray[np.bool_]  # (parts,), false for crumbs and the ground

    @property
    def mask(self) -> Mask:
        """Tell of each place whether it matches, crumbs left out."""
        inside: Mask = self.kept[self.numbers]
        return inside

    def boxes(self) -> list[RegionBox]:
        """Box the parts, highest first."""
        boxes = [self._box(int(part)) for part in np.flatnonzero(self.kept)]
        return sorted(boxes, key=lambda box: -box.score)

    def _box(self, part: int) -> RegionBox:
        left, top, width, height = (int(value) for value in self.facts[part, :4])
        rows, columns = slice(top, top + height), slice(left, left + width)
        score = float(self.values[rows, columns][self.numbers[rows, columns] == part].max())
        return RegionBox(left, top, left + width, top + height, score)


@dataclass(frozen=True, slots=True)
class Regions:
    """Where in one picture each of some texts matches; made by `Highlighter.find`."""

    texts: tuple[str, ...]
    width: int  # of the upright picture, in pixels
    height: int
    values: NDArray[np.float32]  # (texts, rows, columns), 0 to 1, calibrated
    heights: NDArray[np.float32]  # (texts, rows, columns), in spreads of chance texts' scores
    _labels: list[Labels] = field(default_factory=list, init=False, repr=False, compare=False)  # once made

    @property
    def presence(self) -> NDArray[np.float32]:
        """Give the highest value of each map, (texts,): from 0.5 on it is said to be in the picture."""
        highest: NDArray[np.float32] = self.values.max(axis=(1, 2))
        return highest

    @property
    def present(self) -> NDArray[np.bool_]:
        """Tell of each text, (texts,), whether it is said to be in the picture."""
        said: NDArray[np.bool_] = self.presence >= PRESENT_MIN
        return said

    @property
    def contrasts(self) -> NDArray[np.float32]:
        """Give what texts compete for a cell by, (texts, rows, columns): heights above their own means."""
        usual = self.heights.mean(axis=(1, 2), keepdims=True)
        return np.asarray(self.heights - COMPETITION * usual, np.float32)

    def map_of(self, text: int, *, size: tuple[int, int] | None = None) -> Map:
        """Give one text's map, (height, width) float32, at the picture's size or another (width, height)."""
        width, height = size or (self.width, self.height)
        return enlarged(self.values[text], width, height)

    def maps(self) -> NDArray[np.float32]:
        """Give all maps at the picture's size, (texts, height, width) float32."""
        result = np.empty((len(self.texts), self.height, self.width), np.float32)
        for text in range(len(self.texts)):
            result[text] = self.map_of(text)
        return result

    def labels(self, *, size: tuple[int, int] | None = None) -> Labels:
        """Give for every pixel the text that fits best there, or NONE; at the picture's size by default.

        Texts compete where they match, each by how far it stands above its own mean in the
        picture; what no map reaches belongs to none. At the picture's size they are kept: read, do not write.
        """
        if size not in (None, (self.width, self.height)):
            return self._labelled(*size)
        if not self._labels:
            self._labels.append(self._labelled(self.width, self.height))
        return self._labels[0]

    def _labelled(self, width: int, height: int) -> Labels:
        best = np.full((height, width), -np.inf, np.float32)
        labels = np.full((height, width), NONE, np.int16)
        for text in np.flatnonzero(self.present):
            wins = self.matches(int(text), size=(width, height))  # before the next, which takes memory too
            candidate = enlarged(self.contrasts[text], width, height)
            wins &= candidate > best
            labels[wins] = text
            best[wins] = candidate[wins]
        return labels

    def is_outdone(self, text: int) -> bool:
        """Tell whether a text matches somewhere and has no pixel in `labels`: others fit better at each."""
        if not self.present[text] or self.present.sum() < 2:
            return False
        return not np.any(self.labels() == text)

    def parts(self, text: int, *, size: tuple[int, int] | None = None) -> Parts | None:
        """Give the connected parts of the picture where a text matches; None if it is not present."""
        if not self.present[text]:
            return None
        values = self.map_of(text, size=size)
        # Between two cells a map can stay a hair below its best cell.
        return parts_of(values, min(PRESENT_MIN, float(values.max())))

    def matches(self, text: int, *, size: tuple[int, int] | None = None) -> Mask:
        """Tell where one text is said to match, crumbs left out; somewhere if it is present, else nowhere."""
        parts = self.parts(text, size=size)
        width, height = size or (self.width, self.height)
        return np.zeros((height, width), np.bool_) if parts is None else parts.mask

    def boxes(self, text: int) -> list[RegionBox]:
        """Give the connected parts of the picture where a text matches, highest first."""
        parts = self.parts(text)
        return [] if parts is None else parts.boxes()


def boxes_of(values: Map, threshold: float = PRESENT_MIN) -> list[RegionBox]:
    """Box the connected parts of (height, width) values that reach a threshold; crumbs are left out."""
    return parts_of(values, threshold).boxes()


def matching(values: Map, threshold: float = PRESENT_MIN) -> Mask:
    """Tell which of (height, width) values `boxes_of` has boxes around."""
    return parts_of(values, threshold).mask


def parts_of(values: Map, threshold: float) -> Parts:
    """Find the connected parts of (height, width) values that reach a threshold.

    A crumb is left out only beside something larger: where there are but crumbs, the largest is the finding.
    """
    import cv2

    reached = (values >= threshold).astype(np.uint8)
    _, numbers, facts, _ = cv2.connectedComponentsWithStats(reached, connectivity=8)
    areas = facts[:, cv2.CC_STAT_AREA]
    kept = areas >= min(BOX_AREA_MIN * values.size, areas[1:].max(initial=0))
    kept[0] = False  # the ground between the parts
    return Parts(values, np.asarray(numbers, np.int32), np.asarray(facts, np.int32), kept)


def enlarged(grid: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Interpolate (rows, columns) to (height, width)."""
    return np.ascontiguousarray(resized(grid[:, :, None], height, width)[:, :, 0])


def find_regions(
    patches: PatchGrid, texts: Vectors, chance_vectors: Vectors
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compare (rows, columns, dim) patches with (t, dim) texts; calibrated values and heights of each cell.

    chance_vectors: (u, dim) of texts that are about little in the picture, of the same kind. Both results
    are (t, rows, columns) float32; see the module's docstring for what they mean.
    """
    chance = patches @ chance_vectors.T
    usual = chance.mean(axis=2, keepdims=True)
    spread = max(float((chance - usual).std()), 1e-6)
    heights = ((patches @ texts.T - usual) / spread).transpose(2, 0, 1)
    tops = ((chance - usual) / spread).max(axis=(0, 1))
    low, middle = np.percentile(tops, [16, 50])
    above = (heights - middle) / max(middle - low, 0.1) - 1.0
    return _normal_share_below(above), np.asarray(heights, np.float32)


def _normal_share_below(values: NDArray[np.float32]) -> NDArray[np.float32]:
    share = np.frompyfunc(lambda value: 0.5 * math.erfc(-value / math.sqrt(2)), 1, 1)
    return np.asarray(share(values), dtype=np.float32)


def _judged(
    patches: PatchGrid, texts: Sequence[str], vectors: Vectors, chance: ChanceTexts
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Judge nouns by nouns and phrases by phrases."""
    shape = (len(texts), *patches.shape[:2])
    values, heights = np.empty(shape, np.float32), np.empty(shape, np.float32)
    noun = np.array([is_noun(text) for text in texts])
    for chosen, usual in ((noun, chance.nouns), (~noun, chance.phrases)):
        if chosen.any():
            values[chosen], heights[chosen] = find_regions(patches, vectors[chosen], usual)
    return values, heights


class Highlighter:
    """Finds where texts match in pictures; the model is loaded once and kept."""

    def __init__(self, patches: "PatchEncoder", texts: "Encoder") -> None:
        self.patches = patches
        self._texts = texts
        self._chance = chance_texts(texts)
        self._known: dict[str, NDArray[np.float32]] = {}

    @property
    def model(self) -> str:
        """Give the model's name."""
        return self.patches.card.name

    @property
    def has_head(self) -> bool:
        """Tell whether patches go through a head that was learned for them."""
        return self.patches.head is not None

    @property
    def weights_hash(self) -> str:
        """Tell the model's weights from others of the same name."""
        return self.patches.card.weights_hash

    @property
    def dimension(self) -> int:
        """Give the length of a patch vector."""
        return self.patches.card.dimension

    def find(
        self, image: "Image.Image", texts: Sequence[str], *, size: tuple[int, int] | None = None
    ) -> Regions:
        """Find texts in a picture of any size and mode; size: (width, height) of the upright whole.

        Raises QueryInvalid for no text, or an empty one.
        """
        return next(iter(self.find_all([image], texts, sizes=[size])))

    def find_all(
        self,
        images: "Sequence[Image.Image]",
        texts: Sequence[str],
        *,
        sizes: Sequence[tuple[int, int] | None] | None = None,
    ) -> list[Regions]:
        """Find texts in several pictures at once, which keeps a GPU busy."""
        from indexer.encoders.base import upright_rgb

        wanted = checked_texts(texts)
        upright = [upright_rgb(image) for image in images]
        return [
            self.find_in(grid, wanted, size=(sizes and sizes[number]) or upright[number].size)
            for number, grid in enumerate(self.patches.encode_patches(upright))
        ]

    def find_in(self, grid: PatchGrid, texts: Sequence[str], *, size: tuple[int, int]) -> Regions:
        """Find texts among patch vectors, stored ones too; size: (width, height) of the upright picture."""
        wanted = checked_texts(texts)
        values, heights = _judged(grid, wanted, self._vectors(wanted), self._chance)
        return Regions(wanted, *size, values, heights)

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, text_vectors(self._texts, new), strict=True))
        return np.stack([self._known[text] for text in texts])


def load_highlighter(
    model: str,
    *,
    device: str = "auto",
    with_head: bool = True,
    notify: Callable[[str], None] | None = None,
) -> Highlighter:
    """Load a model for finding regions, with the head beside it if there is one.

    Raises NoPatchVectors, HeadUnfit, EncoderUnknown, WeightsUnavailable.
    """
    from indexer.encoders.dense_loading import load_patch_encoder
    from indexer.encoders.loading import load_text_encoder

    patches = load_patch_encoder(model, device=device, with_head=with_head, notify=notify)
    return Highlighter(patches, load_text_encoder(patches.card, notify=notify))
