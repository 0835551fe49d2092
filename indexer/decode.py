"""Decoding: found files to pixels at an encoder's input size, in worker processes ahead of the encoder."""

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, assert_never

from PIL import Image

from .errors import QueryInvalid, SightlineError
from .features import local_features
from .fingerprint import content_hash, perceptual_hash
from .formats import HEAD_BYTES, RAW_EXTENSIONS, describe_other, extension, sniff
from .opening import MAX_MEGAPIXELS, SourceFacts, Undecodable, open_upright
from .own_pictures import REASON as DRAWN
from .prepare import prepare
from .records import DecodedImage, FoundFile, ImageFacts, Pixels, Preprocessing, Skipped
from .workers import Job, Loss, WorkerPool, WorkersBroken, usable_cores

MEGABYTE: Final = 1_000_000
IN_MEMORY_BYTES: Final = 64 * MEGABYTE  # read once, hash and decode from memory; larger files are read twice
PERCEPTUAL_SIDE: Final = 128  # what perceptual_hash wants to see at least, before the decoder's margin
LOOK_AHEAD_BYTES: Final = 64 * MEGABYTE  # of decoded pixels that may wait for the encoder
LOOK_AHEAD_FILES: Final = (64, 512)  # at least, at most

# How the reasons end that may be none of the file's fault: a drive that went away, a system short of memory.
AGAIN_ADVICE: Final = "; the next `index` tries it again"
ONCE_MORE_ADVICE: Final = "; the next `index` tries it once more"


@dataclass(frozen=True, slots=True)
class DecodeRules:
    """How to decode, and what a single file may cost."""

    preprocessing: Preprocessing
    max_megapixels: float = MAX_MEGAPIXELS
    seconds_per_image: float = 60.0
    memory_per_worker_bytes: int = 2_000 * MEGABYTE


class DecodePool:
    """Worker processes that decode; a file that hangs or exhausts one becomes Skipped. A context manager."""

    def __init__(self, rules: DecodeRules, workers: int | None = None) -> None:
        self._rules = rules
        job = Job("indexer.decode:decode_file", rules, rules.seconds_per_image, rules.memory_per_worker_bytes)
        self._pool: WorkerPool[FoundFile, DecodedImage | Skipped] = WorkerPool(
            job,
            workers=workers or usable_cores(),
            look_ahead=_look_ahead(rules.preprocessing),
            lost=self._lost,
        )

    def __enter__(self) -> "DecodePool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the workers now, whatever they are doing."""
        self._pool.close()

    def decode(self, files: Iterable[FoundFile]) -> Iterator[DecodedImage | Skipped]:
        """Decode ahead of the caller, as far as the look-ahead allows; the order is not kept.

        `files` is drawn from in the caller's own thread. Closing the iterator early stops the workers.
        """
        try:
            yield from self._pool.map(files)
        except WorkersBroken as error:
            raise SightlineError(f"the decoding processes cannot be started: {error}") from error

    def _lost(self, file: FoundFile, loss: Loss) -> Skipped:
        return Skipped(file, _describe_loss(loss, self._rules))


def decode_file(file: FoundFile, rules: DecodeRules) -> DecodedImage | Skipped:
    """Decode one file in this process; whatever is wrong with it becomes a reason."""
    try:
        return _decode(file, rules)
    except Exception as error:  # a bad image must never stop a run
        again = isinstance(error, OSError) and error.errno not in (None, errno.EISDIR)
        reason = decoding_reason(error, rules.seconds_per_image, rules.memory_per_worker_bytes)
        return Skipped(file, reason + AGAIN_ADVICE * again, again)


def decoding_reason(cause: Exception | Loss, seconds: float, memory_bytes: int) -> str:
    """Say why a file gave no image: by an error, or by what took its worker, which had so much of both."""
    match cause:
        case Undecodable():
            return cause.reason
        case OSError():
            return _describe_reading(cause)
        case MemoryError() | "memory":
            return f"needs more than {memory_bytes // MEGABYTE:,} MB to decode"
        case Exception():  # the type helps whoever looks into it
            return f"damaged: decoding it failed ({type(cause).__name__})"
        case "time":
            return f"took longer than {seconds:g} s to decode"
        case "killed":
            return "the system ended its decoder, perhaps short of memory"
        case "crash":
            return "damaged: the decoder crashed on it"
    assert_never(cause)


def query_image(
    path: Path, preprocessing: Preprocessing, *, max_megapixels: float = MAX_MEGAPIXELS
) -> tuple[Pixels, bytes]:
    """Decode an example picture exactly as indexing would; its pixels and content hash, or QueryInvalid."""
    rules = DecodeRules(preprocessing, max_megapixels=max_megapixels)
    with readable(path):
        image, _, digest = _open(path, rules)
    return prepare(image, preprocessing), digest


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong when a file is decoded inside the block into QueryInvalid."""
    try:
        yield
    except Undecodable as error:
        raise QueryInvalid(f"{path}: {error.reason}") from error
    except MemoryError as error:
        raise QueryInvalid(f"{path}: too large to decode in the memory there is") from error
    except OSError as error:
        raise QueryInvalid(f"{path}: {_describe_reading(error)}") from error


def _decode(file: FoundFile, rules: DecodeRules) -> DecodedImage:
    image, source, digest = _open(file.path, rules)
    if source.drawn:
        raise Undecodable(DRAWN)
    grey = image.convert("L")  # once for both
    fingerprint, quality = perceptual_hash(grey)
    facts = ImageFacts(
        content_hash=digest,
        width=source.width,
        height=source.height,
        format=source.format,
        taken_at=source.taken_at,
        camera=source.camera,
        latitude=source.latitude,
        longitude=source.longitude,
        perceptual_hash=fingerprint,
        perceptual_quality=quality,
        features=local_features(grey),
        pixel_hash=source.pixel_hash,
    )
    return DecodedImage(file, facts, prepare(image, rules.preprocessing))


def _open(path: Path, rules: DecodeRules) -> tuple[Image.Image, SourceFacts, bytes]:
    """Read, hash and decode a file; the bytes are read once unless there are very many."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if not head:
            raise Undecodable("the file is empty")
        if sniff(head) is None and extension(path.name) not in RAW_EXTENSIONS:
            raise Undecodable(f"not an image: {describe_other(head)}")  # before reading gigabytes of it
        small = os.fstat(file.fileno()).st_size <= IN_MEMORY_BYTES
        data = head + file.read() if small else b""
    digest = hashlib.sha256(data).digest() if small else content_hash(path)
    image, facts = open_upright(
        data if small else path,
        target=_target(rules.preprocessing),
        max_megapixels=rules.max_megapixels,
        name=path.name,
        hash_pixels=True,
    )
    return image, facts, digest


def _target(preprocessing: Preprocessing) -> tuple[int, int]:
    return max(preprocessing.width, PERCEPTUAL_SIDE), max(preprocessing.height, PERCEPTUAL_SIDE)


def _look_ahead(preprocessing: Preprocessing) -> int:
    fewest, most = LOOK_AHEAD_FILES
    return min(most, max(fewest, LOOK_AHEAD_BYTES // (preprocessing.width * preprocessing.height * 3)))


def _describe_loss(loss: Loss, rules: DecodeRules) -> str:
    reason = decoding_reason(loss, rules.seconds_per_image, rules.memory_per_worker_bytes)
    return reason + ONCE_MORE_ADVICE * (loss in ("time", "killed"))


def _describe_reading(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "no such file"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "cannot be read: permission denied"
    if error.errno == errno.EISDIR:
        return "a folder, not an image"
    if error.errno is None:
        return "damaged: its data cannot be decoded"
    return f"cannot be read: {(error.strerror or 'input or output error').lower()}"
