"""Libraries, files and vectors made up for the tests of the store."""

import hashlib
from datetime import datetime
from pathlib import Path

import numpy as np

from indexer.encoders.base import unit_rows
from indexer.records import EncodedImage, EncoderCard, FoundFile, ImageFacts, Preprocessing, Vectors
from indexer.store.library import open_for_writing
from indexer.store.reader import LibraryReader
from indexer.store.records import Neighbour, StoredEncoder
from indexer.store.writer import LibraryWriter

DIMENSION = 32


def make_card(name: str = "made-up", dimension: int = DIMENSION) -> EncoderCard:
    preprocessing = Preprocessing(64, 64, "squash", "bicubic", (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), 0)
    return EncoderCard(name, hashlib.sha256(name.encode()).hexdigest(), preprocessing, dimension, "float32")


def sha_of(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()


def make_vector(name: str, dimension: int = DIMENSION) -> Vectors:
    """The vector that the made-up encoder gives to a content: a function of its hash."""
    seed = int.from_bytes(sha_of(name)[:8], "little")
    return unit_rows(np.random.default_rng(seed).standard_normal((1, dimension)).astype(np.float32))[0]


def make_file(root: Path, relative: str, size: int = 1000, mtime_ns: int = 1) -> FoundFile:
    return FoundFile(root, relative, size, mtime_ns)


def make_facts(
    content: str,
    *,
    width: int = 640,
    height: int = 480,
    taken_at: datetime | None = None,
    camera: str | None = None,
) -> ImageFacts:
    return ImageFacts(
        sha_of(content), width, height, "JPEG", taken_at, camera, 47.5, -8.25, bytes(range(32)), 90
    )


def encode(file: FoundFile, content: str | None = None, facts: ImageFacts | None = None) -> EncodedImage:
    content = file.relative if content is None else content
    return EncodedImage(file, facts or make_facts(content), make_vector(content))


def scan(
    writer: LibraryWriter,
    encoder: StoredEncoder,
    files: dict[FoundFile, str],
    root: Path | None = None,
):
    """Do what the pipeline does with a folder's files, given with their contents."""
    root = root or next(iter(files)).root
    handle = writer.use_root(root)
    writer.begin_scan([handle])
    known = writer.classify(handle, list(files), encoder)
    todo = [item.file for item in known if item.state in ("new", "hash-first")]
    embedded = writer.embedded_hashes(encoder, [sha_of(files[file]) for file in todo])
    linked = [(file, sha_of(files[file])) for file in todo if sha_of(files[file]) in embedded]
    encoded = [encode(file, files[file]) for file in todo if sha_of(files[file]) not in embedded]
    writer.commit(encoder, linked, encoded, [])
    return known, writer.finish_scan([])


def make_library(root: Path, count: int = 60, *, publish: bool = True) -> Path:
    """A library of `count` images in ten folders below `root`, which need not exist."""
    library = root / ".sightline"
    with open_for_writing(library, create=True) as writer:
        encoder = writer.use_encoder(make_card())
        files = {make_file(root, f"{i % 10}/{i}.jpg", 1000 + i): f"content {i}" for i in range(count)}
        scan(writer, encoder, files, root)
        if publish:
            writer.publish(encoder)
    return library


def by_numpy(
    reader: LibraryReader, encoder: StoredEncoder, query: Vectors, k: int, allowed: set[int] | None = None
) -> list[Neighbour]:
    """What `nearest` must answer: all scalar products, sorted by score and id."""
    ids, vectors = reader.embeddings(encoder)
    keep = np.ones(len(ids), bool) if allowed is None else np.isin(ids, list(allowed))
    ids, vectors = ids[keep], vectors[keep]
    scores = (vectors.astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
    order = np.lexsort((ids, -scores))[:k]
    return [Neighbour(int(ids[at]), float(scores[at])) for at in order]


def make_query(seed: int = 0, dimension: int = DIMENSION) -> Vectors:
    return unit_rows(np.random.default_rng(seed).standard_normal((1, dimension)).astype(np.float32))
