"""The reader: every answer that a library gives, by many readers at once."""

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from sqlite3 import Connection
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..errors import LibraryEmpty
from ..features import Features
from ..patch_grids import PackedGrid
from ..records import Ids, Vectors
from . import catalog, pairs, patches
from .connections import ReadingConnections
from .failures import explained
from .files import backups_folder, size_below, vectors_folder
from .names import absolute
from .nearest import NearestVectors
from .pairs import StoredPair
from .records import Filters, LibraryStatus, Neighbour, StoredEncoder, StoredImage
from .vectors import IndexUnusable
from .wal import settle_what_was_left


class LibraryReader:
    """Answers from a library; safe to share between threads.

    Each method sees the library as of one commit; `snapshot` makes several see it as of the same one.
    """

    def __init__(self, path: Path, *, faiss_from: int) -> None:
        self.path = path
        self._connections = ReadingConnections(path)
        self._nearest = NearestVectors(path, faiss_from)
        self._local = threading.local()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the library."""
        self._connections.close()
        settle_what_was_left(self.path)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Tell what was found wrong and got around since opening, in words for a person."""
        return tuple(dict.fromkeys(self._nearest.warnings))

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Make all reading of this thread within the block see the library as of one commit."""
        with self.reading() as connection:
            outer = getattr(self._local, "connection", None)
            self._local.connection = connection
            try:
                yield
            finally:
                self._local.connection = outer

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection within one reading transaction, to put own questions to the tables."""
        held = getattr(self._local, "connection", None)
        with explained(self.path):
            if held is not None:
                yield held
            else:
                with self._connections.transaction() as connection:
                    yield connection

    def roots(self) -> tuple[Path, ...]:
        """Give the folders this library covers, absolute."""
        with self.reading() as connection:
            return tuple(catalog.get_roots(connection, self.path).values())

    def encoders(self) -> tuple[StoredEncoder, ...]:
        """Give the encoders that vectors were made with, oldest first."""
        with self.reading() as connection:
            return catalog.get_encoders(connection)

    def current_encoder(self) -> StoredEncoder | None:
        """Give the encoder that searches use, also when it has no image yet; None before the first run."""
        with self.reading() as connection:
            id = catalog.get_setting(connection, "default_encoder")
            return catalog.get_encoder(connection, int(id)) if id else None

    def default_encoder(self) -> StoredEncoder:
        """Give the encoder that searches use; raise LibraryEmpty when it has no image."""
        found = self.current_encoder()
        if found is None or not found.images:
            raise LibraryEmpty(self.path)
        return found

    def nearest(
        self, encoder: StoredEncoder, vectors: Vectors, *, k: int, filters: Filters | None = None
    ) -> list[list[Neighbour]]:
        """Give the k nearest live contents of each query vector (q, dim), best first, equal scores by id.

        The filters act before the cut. The answer is exact: what numpy gives over the catalog's vectors.
        """
        queries = np.ascontiguousarray(vectors, np.float32).reshape(-1, encoder.card.dimension)
        if not np.isfinite(queries).all():
            raise ValueError("a query vector is not finite")
        if getattr(self._local, "connection", None) is None:
            with suppress(IndexUnusable):  # a writer replaced the file between our look at the catalog and it
                return self._nearest_once(encoder, queries, k, filters or Filters(), may_retry=True)
        return self._nearest_once(encoder, queries, k, filters or Filters(), may_retry=False)

    def _nearest_once(
        self, encoder: StoredEncoder, queries: Vectors, k: int, filters: Filters, *, may_retry: bool
    ) -> list[list[Neighbour]]:
        with self.reading() as connection:
            allowed = catalog.filtered_ids(connection, filters, self.path)
            excluded = np.array(
                sorted(catalog.ids_of(connection, filters.exclude_contents).values()), np.int64
            )
            return self._nearest.find(connection, encoder, queries, k, allowed, excluded, may_retry=may_retry)

    def images(
        self, content_ids: Sequence[int], filters: Filters | None = None
    ) -> dict[int, list[StoredImage]]:
        """Give the files of each content that pass the filters; a content without any is left out."""
        with self.reading() as connection:
            return catalog.find_images(connection, content_ids, filters, self.path)

    def embeddings(self, encoder: StoredEncoder) -> tuple[Ids, Vectors]:
        """Give all live contents' ids, in order, and their vectors."""
        with self.reading() as connection:
            dimension = encoder.card.dimension
            count = catalog.count_vectors(connection, encoder.id)
            ids = np.empty(count, np.int64)
            vectors = np.empty((count, dimension), np.float32)  # joined from parts they would be held twice
            at = 0
            for some, codes in catalog.stream_vectors(connection, encoder):
                ids[at : at + len(some)] = some
                vectors[at : at + len(some)] = catalog.as_vectors(codes, dimension)
                at += len(some)
            return ids[:at], vectors[:at]

    def count_files(self) -> int:
        """Count the files that hold an image."""
        with self.reading() as connection:
            return catalog.count_files(connection)

    def has_images(self, folder: Path) -> bool:
        """Tell whether there is an image at or below a folder, as the catalog names it."""
        with self.reading() as connection:
            return catalog.has_images(connection, folder, self.path)

    def hashes_at(self, files: Iterable[Path]) -> frozenset[bytes]:
        """Give the content hashes that these files had when they were indexed."""
        with self.reading() as connection:
            held = (catalog.hashes_at(connection, absolute(file), self.path) for file in files)
            return frozenset().union(*held)

    def folders(self) -> set[tuple[Path, str]]:
        """Give the folders that files with an image lie in: the root, and the path below it."""
        with self.reading() as connection:
            return catalog.get_folders(connection, self.path)

    def vectors_of(self, encoder: StoredEncoder, content_ids: Sequence[int]) -> Vectors:
        """Give the vectors of contents in the order asked; raise KeyError for one that has none."""
        with self.reading() as connection:
            ids, vectors = catalog.find_vectors(connection, encoder, set(map(int, content_ids)))
        row_of = {int(id): row for row, id in enumerate(ids)}
        return vectors[[row_of[int(id)] for id in content_ids]]

    def sample_vectors(self, encoder: StoredEncoder, n: int, seed: int) -> Vectors:
        """Give n live vectors (or all, when fewer) chosen evenly; the same seed gives the same ones."""
        with self.reading() as connection:
            ids = catalog.live_ids(connection, encoder.id)
            if len(ids) > n:
                ids = np.sort(np.random.default_rng(seed).choice(ids, n, replace=False))
            found, vectors = catalog.find_vectors(connection, encoder, ids)
        return vectors[np.argsort(found)]

    def fingerprints(self) -> tuple[Ids, NDArray[np.uint8], NDArray[np.int64]]:
        """Give all live contents' ids, in order, their PDQ hashes (n, 32) and the quality of these.

        A content without a hash has quality 0.
        """
        with self.reading() as connection:
            rows = list(catalog.live_fingerprints(connection))
        ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        hashes = np.frombuffer(b"".join(row[1] or bytes(32) for row in rows), np.uint8).reshape(-1, 32)
        quality = np.fromiter((row[2] or 0 if row[1] else 0 for row in rows), np.int64, len(rows))
        return ids, hashes, quality

    def pixel_hashes(self) -> tuple[Ids, NDArray[np.uint8]]:
        """Give the ids, in order, of all live contents whose pixels were hashed, and the hashes (n, 32)."""
        with self.reading() as connection:
            rows = catalog.live_pixel_hashes(connection)
        ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        return ids, np.frombuffer(b"".join(row[1] for row in rows), np.uint8).reshape(-1, 32)

    def local_features(self) -> tuple[Ids, Ids, Features]:
        """Give the marks of all live contents that have them: ids in order, how many each has, all marks."""
        with self.reading() as connection:
            return pairs.get_features(connection)

    def features_of(self, content_ids: Sequence[int]) -> dict[int, Features]:
        """Give the marks of these contents; those that have none stored are left out."""
        with self.reading() as connection:
            return pairs.features_of(connection, content_ids)

    def without_features(self) -> Ids:
        """Give the live contents that no marks were taken of: an older program indexed them."""
        with self.reading() as connection:
            return pairs.without_features(connection)

    def incomplete(self, encoder: StoredEncoder) -> Ids:
        """Give the live contents without marks, or without a vector of this encoder, in order."""
        with self.reading() as connection:
            return pairs.incomplete(connection, encoder.id)

    def compared(self, scope: str) -> Ids:
        """Give the contents that searches of this scope have compared, in order."""
        with self.reading() as connection:
            return pairs.get_compared(connection, scope)

    def pairs(self, scope: str) -> Iterator[StoredPair]:
        """Yield the pairs that searches of this scope have kept."""
        with self.reading() as connection:
            yield from pairs.get_pairs(connection, scope)

    def set_apart(self) -> set[frozenset[bytes]]:
        """Give the pairs of contents that the user said are no duplicates."""
        with self.reading() as connection:
            return pairs.apart(connection)

    def content_by_hash(self, sha: bytes) -> int | None:
        """Give the id of a content the library knows."""
        with self.reading() as connection:
            return catalog.ids_of(connection, [sha]).get(sha)

    def embedded_hashes(self, encoder: StoredEncoder, hashes: Sequence[bytes]) -> set[bytes]:
        """Give those contents that have a vector of this encoder."""
        with self.reading() as connection:
            return catalog.embedded_hashes(connection, encoder.id, hashes)

    def kept_hashes(self, hashes: Iterable[bytes]) -> set[bytes]:
        """Give those contents that are kept without a file, in case they return."""
        with self.reading() as connection:
            return catalog.kept_hashes(connection, list(hashes))

    def skipped_files(self) -> list[tuple[Path, str]]:
        """Give every skipped file with its reason."""
        with self.reading() as connection:
            return catalog.skipped_files(connection, self.path)

    def patch_grids(
        self, encoder: StoredEncoder, recipe: str, hashes: Sequence[bytes]
    ) -> dict[bytes, PackedGrid]:
        """Give the patch vectors of contents, by their hash, that were taken so; not all have some."""
        with self.reading() as connection:
            return patches.get_grids(connection, encoder.id, recipe, hashes)

    def without_patches(self, encoder: StoredEncoder, recipe: str) -> Ids:
        """Give the live contents of an encoder that have no patch vectors that were taken so, in order."""
        with self.reading() as connection:
            return patches.without_grids(connection, encoder.id, recipe)

    def content_ids(self, hashes: Sequence[bytes]) -> list[int]:
        """Give the ids of contents with these hashes."""
        with self.reading() as connection:
            return list(catalog.ids_of(connection, hashes).values())

    def keeps_patches(self) -> bool:
        """Tell whether patch vectors are to be stored of what is indexed."""
        with self.reading() as connection:
            return catalog.get_setting(connection, "regions") == "kept"

    def status(self) -> LibraryStatus:
        """Give the library in numbers."""
        with self.reading() as connection:
            told = catalog.get_setting(connection, "last_run")
            searched_with = catalog.get_setting(connection, "default_encoder")
            return LibraryStatus(
                path=self.path,
                roots=tuple(catalog.get_roots(connection, self.path).values()),
                skipped=catalog.skipped_reasons(connection),
                encoders=catalog.get_encoders(connection),
                catalog_bytes=size_below(self.path, "catalog.sqlite*"),
                vectors_bytes=size_below(vectors_folder(self.path)),
                backups_bytes=size_below(backups_folder(self.path)),
                last_run=json.loads(told) if told else None,
                searched_with=int(searched_with) if searched_with else None,
                patches=patches.count_grids(connection),
                **catalog.count_rows(connection),
            )
