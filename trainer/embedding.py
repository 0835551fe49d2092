"""Embedding: the images and texts of examples to vectors, with decoding ahead of the encoder."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from indexer.encoders.base import Encoder, prepared_batch
from indexer.errors import SightlineError
from indexer.opening import Undecodable
from indexer.records import Pixels, Preprocessing, Vectors
from indexer.workers import usable_cores

from .examples import Example, open_image

Progress: TypeAlias = Callable[[str, int, int], None]  # what is done, how much of it, of how much

TEXTS_AT_A_TIME = 512
BATCHES_AHEAD = 2  # decoded while the encoder is busy; more would only hold memory


@dataclass(frozen=True)
class Embedded:
    """The images of examples as vectors, and those that could not be read."""

    vectors: Vectors  # (n, dim)
    examples: tuple[Example, ...]  # n, those that could be read
    unreadable: tuple[tuple[str, str], ...]  # name and reason
    images_per_second: float  # decoding included


def embed_images(encoder: Encoder, examples: Sequence[Example], what: str, progress: Progress) -> Embedded:
    """Encode the image of each example, all on the way in memory; one that cannot be read is left out."""
    start = time.perf_counter()
    parts: list[Vectors] = []
    read: list[Example] = []
    unreadable: list[tuple[str, str]] = []
    done = 0
    progress(what, done, len(examples))
    for batch in _decoded(examples, encoder.card.preprocessing, encoder.batch_size):
        whole = [(example, pixels) for example, pixels in batch if not isinstance(pixels, str)]
        unreadable += [(example.image.name, reason) for example, reason in batch if isinstance(reason, str)]
        if whole:
            parts.append(encoder.encode_pixels(np.stack([pixels for _, pixels in whole])))
            read += [example for example, _ in whole]
        done += len(batch)
        progress(what, done, len(examples))
    vectors = np.concatenate(parts) if parts else np.empty((0, encoder.card.dimension), dtype=np.float32)
    pace = len(read) / max(time.perf_counter() - start, 1e-9)
    return Embedded(vectors, tuple(read), tuple(unreadable), pace)


def embed_texts(encoder: Encoder, texts: Sequence[str], what: str, progress: Progress) -> Vectors:
    """Encode texts; (n, dim) float32 unit rows."""
    parts = []
    for start in range(0, len(texts), TEXTS_AT_A_TIME):
        progress(what, start, len(texts))
        parts.append(encoder.encode_texts(texts[start : start + TEXTS_AT_A_TIME]))
    return np.concatenate(parts)


def _decoded(
    examples: Sequence[Example], preprocessing: Preprocessing, batch_size: int
) -> Iterator[list[tuple[Example, Pixels | str]]]:
    """Yield batches of examples with their pixels, or with the reason why there are none."""
    with ThreadPoolExecutor(usable_cores(), thread_name_prefix="decode") as threads:
        waiting: deque[tuple[Example, Future[Pixels | str]]] = deque()
        for example in examples:
            waiting.append((example, threads.submit(_pixels, example, preprocessing)))
            if len(waiting) >= batch_size * (1 + BATCHES_AHEAD):
                yield _taken(waiting, batch_size)
        while waiting:
            yield _taken(waiting, batch_size)


def _taken(
    waiting: "deque[tuple[Example, Future[Pixels | str]]]", most: int
) -> list[tuple[Example, Pixels | str]]:
    some = [waiting.popleft() for _ in range(min(most, len(waiting)))]
    return [(example, pixels.result()) for example, pixels in some]


def _pixels(example: Example, preprocessing: Preprocessing) -> Pixels | str:
    try:
        image = open_image(example.image, target=(preprocessing.width, preprocessing.height))
    except Undecodable as error:
        return error.reason
    except (SightlineError, OSError) as error:
        return str(error)
    pixels: Pixels = prepared_batch([image], preprocessing)[0]
    return pixels
