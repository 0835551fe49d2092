"""The cache folder: what encoders exported or worked out once, so that the next start is quick."""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..records import EncoderCard, Vectors

CACHE_VARIABLE = "SIGHTLINE_CACHE"
LEFT_OVER_SECONDS = 24 * 3600


def cache_folder() -> Path:
    """Give the folder of all that can be thrown away: `SIGHTLINE_CACHE`, else the user's cache folder."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("sightline", appauthor=False)


def towers_folder() -> Path:
    """Give the folder that holds one folder of exported towers per model."""
    return cache_folder() / "towers"


def recall(kind: str, key: str) -> Any | None:
    """Read what `remember` kept; None when there is nothing readable."""
    try:
        return json.loads(_note_path(kind, key).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def remember(kind: str, key: str, value: Mapping[str, Any]) -> None:
    """Keep a small JSON value; a cache that cannot be written costs time, not the run."""
    content = json.dumps(value)
    with contextlib.suppress(OSError):
        put(_note_path(kind, key), lambda file: file.write_text(content, encoding="utf-8"))


def _note_path(kind: str, key: str) -> Path:
    digest = hashlib.sha256(os.fsencode(key)).hexdigest()[:32]
    return cache_folder() / kind / f"{digest}.json"


def put(target: Path, write: Callable[[Path], object]) -> None:
    """Have a file written beside its place and put there whole; raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target.parent)
    beside = target.with_name(f".{secrets.token_hex(4)}.{target.name}")  # numpy wants its own ending
    try:
        write(beside)
        beside.replace(target)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give a folder to fill that becomes `target` in one step; one that is there already stays.

    Two processes may fill the same target at once: the first to end wins, the other's work is dropped.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target.parent)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    beside.mkdir()
    try:
        yield beside
        for file in beside.iterdir():
            _to_disk(file)
        with contextlib.suppress(OSError):  # another process was first
            beside.rename(target)
        if not target.is_dir():
            raise OSError(f"{target} cannot be written")
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _to_disk(file: Path) -> None:
    """Have the system write a file out, so that a power cut leaves no empty one under its final name."""
    if file.is_file():
        with file.open("rb+") as stream:
            os.fsync(stream.fileno())


def _sweep(folder: Path) -> None:
    """Remove what writers in a folder left that were killed; a day is more than any writer needs."""
    for left in folder.glob(".*.*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_OVER_SECONDS:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def weights_hash(path: Path) -> str:
    """Give the sha256 of a model's file, hexadecimal; remembered by path, size and time of change."""
    facts = path.stat()
    stamp = [facts.st_size, facts.st_mtime_ns]
    known = recall("hashes", str(path.resolve()))
    if isinstance(known, dict) and known.get("stamp") == stamp:
        return str(known["sha256"])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    remember("hashes", str(path.resolve()), {"stamp": stamp, "sha256": digest})
    return digest


def kept_vectors(
    card: EncoderCard,
    kind: str,
    texts: Sequence[str],
    encode: Callable[[], Vectors],
    *,
    rows: int | None = None,
) -> Vectors:
    """Give (n, dim) vectors that are worked out once per encoder; rows: how many, where not one a text.

    texts: all that the vectors depend on, but for the encoder, its tokenizer and how it is exported. A cache
    that cannot be read or written costs time, not the run.
    """
    from .names import EXPORT_FORMAT, own_tokenizer  # which reads hashes from here

    parts = [*texts, f"format {EXPORT_FORMAT}", *filter(None, [own_tokenizer(card.name)])]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    # Vectors differ by precision.
    folder = cache_folder() / "encoders" / f"{card.weights_hash[:24]}-{card.precision}"
    path = folder / f"{kind}-{digest}.npy"
    shape = (len(texts) if rows is None else rows, card.dimension)
    with contextlib.suppress(OSError, ValueError, EOFError):
        found: Vectors = np.load(path, allow_pickle=False)
        if found.shape == shape:
            return found
    vectors = encode()
    with contextlib.suppress(OSError):
        put(path, lambda file: np.save(file, vectors, allow_pickle=False))
    return vectors
