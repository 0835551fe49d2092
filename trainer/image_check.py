"""The image check: every image of a set is decoded once, before anything is learned from it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from indexer.decode import decoding_reason
from indexer.errors import SightlineError
from indexer.fingerprint import perceptual_hash
from indexer.workers import Job, Loss, WorkerPool, WorkersBroken, usable_cores

from .examples import ImagePlace, open_image

Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much

HASHED_SIDE = 128  # pixels; what a perceptual hash wants to see at least
SECONDS_PER_IMAGE = 60.0
MEMORY_PER_WORKER_BYTES = 2_000_000_000
LOOK_AHEAD = 256  # images
PROGRESS_EVERY = 50  # images


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of an image that could be decoded."""

    content_hash: bytes  # sha256 of its bytes
    perceptual_hash: bytes  # PDQ, 32 bytes
    quality: int  # PDQ's, 0 to 100


def look_at(
    places: Sequence[ImagePlace], *, workers: int | None = None, progress: Progress = lambda *_: None
) -> list[Seen | str]:
    """Decode all images; give for each what was seen, or why it cannot be read.

    workers: processes, all cores by default, so that a file which hangs or crashes a decoder costs only
    itself; with 0 the images are decoded in this process.
    """
    found: dict[int, Seen | str] = {}
    for number, seen in _look(enumerate(places), workers):
        found[number] = seen
        if len(found) % PROGRESS_EVERY == 0 or len(found) == len(places):
            progress("reading images", len(found), len(places))
    return [found[number] for number in range(len(places))]


def _look(
    numbered: Iterable[tuple[int, ImagePlace]], workers: int | None
) -> Iterator[tuple[int, Seen | str]]:
    if workers == 0:
        yield from (look(item, None) for item in numbered)
        return
    job = Job("trainer.image_check:look", None, SECONDS_PER_IMAGE, MEMORY_PER_WORKER_BYTES)
    pool: WorkerPool[tuple[int, ImagePlace], tuple[int, Seen | str]] = WorkerPool(
        job, workers=workers or usable_cores(), look_ahead=LOOK_AHEAD, lost=_lost
    )
    with pool:
        try:
            yield from pool.map(numbered)
        except WorkersBroken as error:
            raise SightlineError(f"the decoding processes cannot be started: {error}") from error


def _lost(item: tuple[int, ImagePlace], loss: Loss) -> tuple[int, Seen | str]:
    return item[0], _reason(loss)


def look(item: tuple[int, ImagePlace], _: object) -> tuple[int, Seen | str]:
    """Look at one image, in a worker; whatever is wrong with it becomes a reason."""
    number, place = item
    try:
        return number, _see(place)
    except Exception as error:  # a bad image must never stop a run
        return number, _reason(error)


def _reason(cause: Exception | Loss) -> str:
    return decoding_reason(cause, SECONDS_PER_IMAGE, MEMORY_PER_WORKER_BYTES)


def _see(place: ImagePlace) -> Seen:
    digest = hashlib.sha256(place.read()).digest()
    image = open_image(place, target=(HASHED_SIDE, HASHED_SIDE))
    fingerprint, quality = perceptual_hash(image)
    return Seen(digest, fingerprint, quality)
