"""Images for training: decoded ahead of the model by threads, cropped by chance, kept in memory if small."""

import math
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.encoders.base import PixelBatch
from indexer.prepare import prepare
from indexer.records import Preprocessing
from indexer.workers import usable_cores

from ..examples import Example, open_again

KEPT_BYTES_MAX = 3_000_000_000  # of decoded pixels
BATCHES_AHEAD = 3
STRETCH = 0.29  # natural logarithm of the largest change of a crop's shape, 4 to 3
MARGIN = 1.15  # of kept pixels over the model's input: crops of a part must not be blown up much


@dataclass(frozen=True, slots=True)
class Crops:
    """A batch to be cropped: which images, and the seed of its chance."""

    rows: NDArray[np.int64]
    seed: tuple[int, ...]


class Images:
    """The images of a set of examples, by row; an image is decoded once while memory lasts."""

    def __init__(self, examples: Sequence[Example], preprocessing: Preprocessing) -> None:
        self._examples = examples
        self._preprocessing = preprocessing
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._kept_bytes = 0
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=max(2, usable_cores()))

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown(cancel_futures=True)

    def __len__(self) -> int:
        return len(self._examples)

    def whole(self, batch_size: int) -> Iterator[PixelBatch]:
        """Give all images in their order, prepared as `index` prepares them."""
        rows = range(len(self))
        tasks = (rows[start : start + batch_size] for start in range(0, len(rows), batch_size))
        yield from self._ahead([self._pool.submit(self._prepared, row) for row in task] for task in tasks)

    def cropped(self, batches: Iterable[Crops], *, least_area: float, flips: bool) -> Iterator[PixelBatch]:
        """Give batches of these rows, each image cropped by its own chance, the same for the same seed."""
        yield from self._ahead(
            [
                self._pool.submit(self._crop, int(row), least_area, flips, (*batch.seed, int(row)))
                for row in batch.rows
            ]
            for batch in batches
        )

    def _ahead(self, tasks: Iterable[list["Future[NDArray[np.uint8]]"]]) -> Iterator[PixelBatch]:
        """Keep a few batches in the making."""
        waiting: deque[list[Future[NDArray[np.uint8]]]] = deque()
        for task in tasks:
            waiting.append(task)
            if len(waiting) > BATCHES_AHEAD:
                yield np.stack([future.result() for future in waiting.popleft()])
        while waiting:
            yield np.stack([future.result() for future in waiting.popleft()])

    def _prepared(self, row: int) -> NDArray[np.uint8]:
        size = self._preprocessing.width, self._preprocessing.height
        return prepare(open_again(self._examples[row].image, target=size), self._preprocessing)

    def _crop(self, row: int, least_area: float, flips: bool, seed: tuple[int, ...]) -> NDArray[np.uint8]:
        image = self._decoded(row, least_area)
        chance = np.random.default_rng(seed)
        size = self._preprocessing.width, self._preprocessing.height
        squashed = self._preprocessing.resize_mode == "squash"
        box = crop_box(image.size, None if squashed else size, least_area, chance)
        cut = image.resize(size, Image.Resampling[self._preprocessing.interpolation.upper()], box=box)
        if flips and chance.random() < 0.5:
            cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.asarray(cut)

    def _decoded(self, row: int, least_area: float) -> Image.Image:
        with self._lock:
            kept = self._kept.get(row)
        if kept is not None:
            return Image.fromarray(kept)
        image = self._small(
            open_again(self._examples[row].image, target=self._wanted(least_area)), least_area
        )
        pixels = np.asarray(image)
        with self._lock:
            if self._kept_bytes + pixels.nbytes <= KEPT_BYTES_MAX:
                self._kept[row] = pixels
                self._kept_bytes += pixels.nbytes
        return image

    def _wanted(self, least_area: float) -> tuple[int, int]:
        more = MARGIN / math.sqrt(least_area)
        return math.ceil(more * self._preprocessing.width), math.ceil(more * self._preprocessing.height)

    def _small(self, image: Image.Image, least_area: float) -> Image.Image:
        """Reduce until the smallest crop just fills the model's input; never enlarge."""
        width, height = self._wanted(least_area)
        scale = max(width / image.width, height / image.height)
        if scale >= 1:
            return image
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)


def crop_box(
    size: tuple[int, int], target: tuple[int, int] | None, least_area: float, chance: np.random.Generator
) -> tuple[float, float, float, float]:
    """Draw a crop (left, top, right, bottom) of at least this share of what a plain preparation keeps.

    target: the shape to keep, width and height; None: the picture's own, as when it is squashed.
    """
    width, height = size
    shape = width / height if target is None else target[0] / target[1]
    whole_width, whole_height = min(width, height * shape), min(height, width / shape)
    side = math.sqrt(chance.uniform(least_area, 1.0))
    stretch = math.exp(chance.uniform(-STRETCH, STRETCH) * (1 - least_area))
    cut_width, cut_height = (
        min(whole_width, whole_width * side * stretch),
        min(whole_height, whole_height * side / stretch),
    )
    left, top = chance.uniform(0, width - cut_width), chance.uniform(0, height - cut_height)
    return left, top, left + cut_width, top + cut_height
