"""The FAISS files: written whole from the catalog, and checked before anything in them is believed."""

import hashlib
import os
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..records import Ids, Vectors
from .files import replacing, vectors_folder

SUFFIX = ".faiss"
_FP16, _INNER_PRODUCT = 4, 0  # FAISS's numbers for QT_fp16 and METRIC_INNER_PRODUCT


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A FAISS file as the catalog records it."""

    name: str
    generation: int
    images: int
    byte_size: int
    mtime_ns: int
    sha256: bytes


class IndexUnusable(Exception):
    """A recorded FAISS file that must not be believed, and why."""

    def __init__(self, reason: str, *, missing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.missing = missing


class Base(Protocol):
    """Vectors as of some generation, which can be searched."""

    generation: int
    images: int

    def search(self, queries: Vectors, k: int, allowed: Ids | None, excluded: Ids) -> tuple[Vectors, Ids]:
        """Give the scores and ids of the k best, (q, k), best first; the id -1 where there are fewer."""
        ...


def index_name(encoder_id: int, generation: int) -> str:
    """Name the FAISS file of an encoder's generation."""
    return f"{encoder_id}-{generation}{SUFFIX}"


def faiss_header(dimension: int, images: int) -> bytes:
    """Give the bytes before the codes: an IndexIDMap2 over an IndexScalarQuantizer of float16.

    The codes are the catalog's own blobs, so writing the file ourselves needs neither FAISS nor the memory
    that an index takes; a test compares each byte with FAISS's own file.
    """
    size = dimension * 2
    common = struct.pack("<iqqqBi", dimension, images, 1 << 20, 1 << 20, 1, _INNER_PRODUCT)
    quantizer = struct.pack("<iifQQQ", _FP16, 0, 0.0, dimension, size, 0)
    return b"IxM2" + common + b"IxSQ" + common + quantizer + struct.pack("<Q", images * size)


def write_index(
    path: Path, *, dimension: int, images: int, generation: int, rows: Iterable[tuple[Ids, bytes]]
) -> IndexFile:
    """Write a FAISS file whole from ids and float16 rows; an older one is safe until the end."""
    digest = hashlib.sha256()
    ids: list[NDArray[np.int64]] = []
    with replacing(path) as file:

        def put(data: bytes) -> None:
            digest.update(data)
            file.write(data)

        put(faiss_header(dimension, images))
        for some, codes in rows:
            ids.append(some)
            put(codes)
        put(struct.pack("<Q", images))
        for some in ids:
            put(some.astype("<i8").tobytes())
    told = path.stat()
    return IndexFile(path.name, generation, images, told.st_size, told.st_mtime_ns, digest.digest())


def open_index(library: Path, recorded: IndexFile, dimension: int) -> "FaissBase":
    """Map a FAISS file that agrees with its record; raise IndexUnusable otherwise."""
    faiss = _faiss()
    path = vectors_folder(library) / recorded.name
    check_file(path, recorded)
    try:
        if os.name == "nt" and not str(path).isascii():  # FAISS opens files there by their ANSI names
            index = read_through_python(path)
        else:  # mapped: 200,000 vectors open in 6 ms instead of 150; adding to it would kill the process
            index = faiss.read_index(str(path), getattr(faiss, "IO_FLAG_MMAP_IFC", 0))
    except (RuntimeError, TypeError, UnicodeError) as problem:  # the latter: a path that is no UTF-8
        raise IndexUnusable("FAISS cannot read it") from problem
    if (index.d, index.ntotal) != (dimension, recorded.images):
        raise IndexUnusable("it holds other vectors than the catalog says")
    return FaissBase(index, recorded.generation, recorded.name)


def read_through_python(path: Path) -> Any:
    """Read a FAISS file that FAISS itself could not open by its name."""
    faiss = _faiss()
    with path.open("rb") as file:
        return faiss.read_index(faiss.PyCallbackIOReader(file.read))


def check_file(path: Path, recorded: IndexFile, *, thorough: bool = False) -> None:
    """Raise IndexUnusable when a file is not the one that was recorded.

    A file with the recorded size and time is taken for it; any other, such as a copied one, must have the
    recorded digest.
    """
    try:
        told = path.stat()
    except OSError:
        raise IndexUnusable("it is missing", missing=True) from None
    if told.st_size != recorded.byte_size:
        raise IndexUnusable(f"it has {told.st_size} bytes instead of {recorded.byte_size}")
    if (thorough or told.st_mtime_ns != recorded.mtime_ns) and file_digest(path) != recorded.sha256:
        raise IndexUnusable("its bytes have changed since it was written")


def file_digest(path: Path) -> bytes:
    """Give the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def remove_superseded(library: Path, encoder_id: int, keep: str | None) -> None:
    """Remove an encoder's FAISS files but the one that is recorded."""
    for path in vectors_folder(library).glob(f"{encoder_id}-*{SUFFIX}"):
        if path.name != keep:
            with suppress(OSError):  # Windows keeps a file that a reader has mapped; the next time gets it
                path.unlink()


class FaissBase:
    """Vectors in a FAISS index, never written to."""

    def __init__(self, index: Any, generation: int, name: str | None = None) -> None:
        self._index = index
        self.generation = generation
        self.images: int = index.ntotal
        self.name = name  # of the file; None when made in memory

    def search(self, queries: Vectors, k: int, allowed: Ids | None, excluded: Ids) -> tuple[Vectors, Ids]:
        """Give the k best; the selectors act inside the scan, before the cut."""
        if self.images == 0:
            return _nothing(len(queries), k)
        faiss = _faiss()
        parameters = None
        if allowed is not None:
            bits = _bitmap(np.setdiff1d(allowed, excluded))
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        elif len(excluded):
            bits = _bitmap(excluded)
            inner = faiss.IDSelectorBitmap(bits)
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorNot(inner))
        scores, ids = self._index.search(queries, k, params=parameters)
        return scores, ids


class MatrixBase:
    """Vectors in a matrix: for a small library quicker than importing FAISS."""

    name = None

    def __init__(self, ids: Ids, vectors: Vectors, generation: int) -> None:
        self._ids = ids
        self._vectors = vectors
        self.generation = generation
        self.images = len(ids)

    def search(self, queries: Vectors, k: int, allowed: Ids | None, excluded: Ids) -> tuple[Vectors, Ids]:
        """Give the k best among those that may answer."""
        may = np.ones(len(self._ids), bool) if allowed is None else np.isin(self._ids, allowed)
        if len(excluded):
            may &= ~np.isin(self._ids, excluded)
        ids = self._ids[may]
        scores = queries @ self._vectors[may].T if len(ids) < len(may) else queries @ self._vectors.T
        return best(scores, np.broadcast_to(ids, scores.shape), k)


def best(scores: Vectors, ids: Ids, k: int) -> tuple[Vectors, Ids]:
    """Cut rows of scores and ids to the k best, best first, filled up with the id -1."""
    queries, count = scores.shape
    if count > k:
        chosen = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        scores, ids = np.take_along_axis(scores, chosen, 1), np.take_along_axis(ids, chosen, 1)
    order = np.argsort(-scores, axis=1, kind="stable")
    out_scores, out_ids = _nothing(queries, k)
    out_scores[:, : scores.shape[1]] = np.take_along_axis(scores, order, 1)
    out_ids[:, : scores.shape[1]] = np.take_along_axis(ids, order, 1)
    return out_scores, out_ids


def memory_index(dimension: int, rows: Iterable[tuple[Ids, bytes]], generation: int) -> FaissBase:
    """Make the index in memory that the file should have held."""
    faiss = _faiss()
    quantizer = faiss.IndexScalarQuantizer(
        dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    index = faiss.IndexIDMap2(quantizer)
    for ids, codes in rows:
        vectors = np.frombuffer(codes, "<f2").reshape(-1, dimension).astype(np.float32)
        index.add_with_ids(vectors, ids)
    return FaissBase(index, generation)


def _faiss() -> Any:
    import faiss  # its type stubs know the C++ signatures only, not the Python ones on top

    return faiss


def _nothing(queries: int, k: int) -> tuple[Vectors, Ids]:
    return np.full((queries, k), -np.inf, np.float32), np.full((queries, k), -1, np.int64)


def _bitmap(ids: Ids) -> NDArray[np.uint8]:
    bits = np.zeros((int(ids.max()) // 8 + 1) * 8 if len(ids) else 8, bool)
    bits[ids] = True
    return np.packbits(bits, bitorder="little")
