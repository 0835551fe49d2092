"""Synthetic images: rows with random unit vectors, put into both libraries through their own code."""

import hashlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ours import Ours
from peer import Peer

AT_ONCE = 5_000
DIMENSION = 512


def unit_vectors(count: int) -> NDArray[np.float32]:
    """Make vectors of length one, the same every time."""
    vectors = np.random.default_rng(0).standard_normal((count, DIMENSION), dtype=np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def fill_ours(ours: Ours, folder: Path, vectors: NDArray[np.float32]) -> None:
    """Commit one image per vector to a library that has its encoder already."""
    from indexer.records import EncodedImage, FoundFile, ImageFacts
    from indexer.store.library import open_for_writing

    def image(number: int) -> EncodedImage:
        digest = hashlib.sha256(str(number).encode()).digest()
        facts = ImageFacts(digest, 560, 400, "JPEG", None, None, None, None, digest, 100)
        file = FoundFile(folder, f"synthetic/{number:06d}.jpg", 50_000 + number, 10**18 + number)
        return EncodedImage(file, facts, vectors[number])

    with open_for_writing(ours.library, create=False) as writer:
        encoder = writer.default_encoder()
        writer.use_root(folder)
        for start in range(0, len(vectors), AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, len(vectors)))
            writer.commit(encoder, encoded=[image(number) for number in numbers])
        writer.publish(encoder, always=True)


def fill_peer(peer: Peer, rows: Sequence[tuple[str, float, int]], vectors: NDArray[np.float32]) -> None:
    """Add one image per row (path, time of change, size) to the peer's catalog."""
    table, array = peer.data / "rows.tsv", peer.data / "vectors.npy"
    table.write_text("".join(f"{path}\t{time!r}\t{size}\n" for path, time, size in rows), encoding="utf-8")
    np.save(array, vectors)
    script = Path(__file__).with_name("fill_peer.py")
    catalog = peer.data / "db.sqlite3"
    command = [str(peer.python), str(script), str(catalog), str(table), str(array)]
    subprocess.run(command, check=True, env=peer.environment())
    table.unlink()
    array.unlink()


def synthetic_rows(folder: Path, count: int) -> Iterator[tuple[str, float, int]]:
    """Give the peer's rows for the images that `fill_ours` makes."""
    for number in range(count):
        yield str(folder / "synthetic" / f"{number:06d}.jpg"), 1e9 + number / 1e9, 50_000 + number
