"""The library: a folder with a catalog and vectors, opened by many readers and one writer."""

import json
import shutil
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, update

from ..errors import LibraryEmpty, LibraryMissing
from ..features import Features
from ..patch_grids import PackedGrid
from ..records import EncodedImage, EncoderCard, FoundFile, Ids, Skipped, Vectors
from . import catalog, changes, pairs, patches, schema
from .changes import Entry, Place
from .engines import engine_to_read, engine_to_write, run_pragma
from .failures import explained
from .files import (
    LIBRARY_NAME,
    backups_folder,
    catalog_file,
    find_library,
    left_behind,
    size_below,
    vectors_folder,
)
from .lock import WriterLock
from .migrate import check_revision, revision_of, upgrade
from .names import absolute
from .nearest import FAISS_FROM_IMAGES, NearestVectors, recorded_file
from .opening import BUSY_SECONDS
from .pairs import StoredPair
from .records import (
    Filters,
    Known,
    LibraryStatus,
    Neighbour,
    ScanOutcome,
    StoredEncoder,
    StoredImage,
)
from .scans import Scan
from .vectors import IndexFile, IndexUnusable, check_file, index_name, remove_superseded, write_index

__all__ = ["LibraryReader", "LibraryWriter", "find_library", "open_for_writing", "open_library"]

_PUBLISH_EACH_TIME_BELOW = 50_000  # images; larger files are left to be caught up on until 1 % has changed


class LibraryReader:
    """Answers from a library; safe to share between threads.

    Each method sees the library as of one commit; `snapshot` makes several see it as of the same one.
    """

    def __init__(self, path: Path, engine: Engine, *, faiss_from: int) -> None:
        self.path = path
        self._engine = engine
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
        self._engine.dispose()

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
                with self._engine.connect() as connection:
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
        """Give the encoder last indexed with, also when it has no image yet; None before the first run."""
        with self.reading() as connection:
            id = catalog.get_setting(connection, "default_encoder")
            return catalog.get_encoder(connection, int(id)) if id else None

    def default_encoder(self) -> StoredEncoder:
        """Give the encoder last indexed with; raise LibraryEmpty when it has no image."""
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
            ids = [np.empty(0, np.int64)]
            vectors = [np.empty((0, dimension), np.float32)]
            for some, codes in catalog.stream_vectors(connection, encoder):
                ids.append(some)
                vectors.append(catalog.as_vectors(codes, dimension))
            return np.concatenate(ids), np.concatenate(vectors)

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
            return patches.ids_of(connection, hashes)

    def keeps_patches(self) -> bool:
        """Tell whether patch vectors are to be stored of what is indexed."""
        with self.reading() as connection:
            return catalog.get_setting(connection, "regions") == "kept"

    def status(self) -> LibraryStatus:
        """Give the library in numbers."""
        with self.reading() as connection:
            told = catalog.get_setting(connection, "last_run")
            return LibraryStatus(
                path=self.path,
                roots=tuple(catalog.get_roots(connection, self.path).values()),
                skipped=catalog.skipped_reasons(connection),
                encoders=catalog.get_encoders(connection),
                catalog_bytes=size_below(self.path, "catalog.sqlite*"),
                vectors_bytes=size_below(vectors_folder(self.path)),
                backups_bytes=size_below(backups_folder(self.path)),
                last_run=json.loads(told) if told else None,
                patches=patches.count_grids(connection),
                **catalog.count_rows(connection),
            )


class LibraryWriter(LibraryReader):
    """Changes a library; reading through it sees what is committed. For one thread."""

    def __init__(
        self, path: Path, engine: Engine, writing: Connection, lock: WriterLock, *, faiss_from: int
    ) -> None:
        super().__init__(path, engine, faiss_from=faiss_from)
        self._connection = writing
        self._lock = lock
        self._folders: list[Path] = []  # a folder's handle is its position
        self._places: dict[Path, Place] = {}
        with self._writing() as connection:
            self._scan = Scan(connection, (), self._places)

    def close(self) -> None:
        """Let go of the library and let the next writer in."""
        try:
            super().close()
            self._connection.close()
            self._connection.engine.dispose()
        finally:
            self._lock.release()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Give the writer's connection within one transaction."""
        with explained(self.path), self._connection.begin():
            yield self._connection

    def use_encoder(self, card: EncoderCard) -> StoredEncoder:
        """Find or make the encoder of a card, and make it the library's default."""
        with self._writing() as connection:
            return catalog.get_encoder(connection, changes.put_encoder(connection, card))

    def use_root(self, root: Path) -> int:
        """Cover a folder; give a handle for `begin_scan` and `classify`, good for this writer.

        A folder inside a known root becomes part of it, and a folder around known roots takes them in, so
        that no file is stored twice.
        """
        with self._writing() as connection:
            changes.put_root(connection, root, self.path)
            for folder in (*self._folders, root):
                self._places[folder] = changes.put_root(connection, folder, self.path)
        if root not in self._folders:
            self._folders.append(root)
        return self._folders.index(root)

    def begin_scan(self, root_ids: Sequence[int]) -> None:
        """Begin to note what is seen below these folders, given by the handles of `use_root`."""
        folders = tuple(self._folders[id] for id in root_ids)
        with self._writing() as connection:
            self._scan = Scan(connection, folders, self._places)

    def classify(self, root_id: int, files: Sequence[FoundFile], encoder: StoredEncoder) -> list[Known]:
        """Tell what the catalog knows of each file, and note them as seen."""
        with self._writing() as connection:
            return self._scan.classify(connection, self._folders[root_id], files, encoder.id)

    def commit(
        self,
        encoder: StoredEncoder,
        linked: Sequence[tuple[FoundFile, bytes]] = (),
        encoded: Sequence[EncodedImage] = (),
        skipped: Sequence[Skipped] = (),
    ) -> int:
        """Store a batch in one transaction: all of it, or none after a failure or a kill.

        A linked file has a content that has a vector of this encoder already, given by its hash; the answer
        counts those that did not hold that content before.
        """
        entries = [
            *(self._entry(file, sha, linked=True) for file, sha in linked),
            *(self._entry(image.file, image.facts.content_hash) for image in encoded),
            *(self._entry(skip.file, None, skip_reason=skip.reason) for skip in skipped),
        ]
        if not entries:
            return 0
        with self._writing() as connection:
            change = changes.commit_entries(connection, encoder.id, entries, encoded, int(time.time()))
            self._scan.note_commit(connection, ((entry.root_id, entry.path) for entry in entries), change)
            return len(change.linked)

    def _entry(
        self, found: FoundFile, sha: bytes | None, *, linked: bool = False, skip_reason: str | None = None
    ) -> Entry:
        if found.root not in self._places:
            self.use_root(found.root)
        place = self._places[found.root]
        return Entry(place.root_id, place.locate(found.relative), found, sha, skip_reason, linked)

    def finish_scan(self, unreadable: Sequence[Path] = ()) -> ScanOutcome:
        """Let the files leave that the scan has not seen, but those it could not see (scans.py)."""
        with self._writing() as connection:
            return self._scan.finish(connection, unreadable, int(time.time()))

    def publish(self, encoder: StoredEncoder, *, always: bool = False) -> None:
        """Bring an encoder's FAISS file up to the catalog, replaced whole.

        A large file of which little has changed is left as it is: readers catch up in milliseconds.
        """
        with explained(self.path):
            with self._connection.begin():
                recorded = recorded_file(self._connection, encoder.id)
                if not always and recorded is not None and not self._is_due(encoder, recorded):
                    return
                written = self._write_index(encoder)
            with self._connection.begin():
                changes.put_index_file(self._connection, encoder.id, written)
            remove_superseded(self.path, encoder.id, written.name)

    def _is_due(self, encoder: StoredEncoder, recorded: IndexFile) -> bool:
        try:
            check_file(vectors_folder(self.path) / recorded.name, recorded)
        except IndexUnusable:
            return True
        changed = catalog.count_changed(self._connection, encoder.id, recorded.generation)
        if recorded.images < _PUBLISH_EACH_TIME_BELOW:
            return changed > 0
        return changed > recorded.images // 100

    def _write_index(self, encoder: StoredEncoder) -> IndexFile:
        generation = catalog.get_generation(self._connection)
        vectors_folder(self.path).mkdir(exist_ok=True)
        return write_index(
            vectors_folder(self.path) / index_name(encoder.id, generation),
            dimension=encoder.card.dimension,
            images=catalog.count_vectors(self._connection, encoder.id),
            generation=generation,
            rows=catalog.stream_vectors(self._connection, encoder),
        )

    def set_background(self, encoder: StoredEncoder, background: Mapping[str, Any]) -> None:
        """Store what unrelated queries score with this encoder here."""
        row = update(schema.encoder).where(schema.encoder.c.id == encoder.id)
        with self._writing() as connection:
            connection.execute(row.values(background=dict(background)))

    def record_run(self, summary: Mapping[str, Any]) -> None:
        """Store what the last run did, for `status`; plain JSON values."""
        with self._writing() as connection:
            changes.put_setting(connection, "last_run", json.dumps(dict(summary)))

    def put_patches(self, encoder: StoredEncoder, recipe: str, grids: Mapping[int, PackedGrid]) -> None:
        """Store the patch vectors of contents."""
        with self._writing() as connection:
            patches.put_grids(connection, encoder.id, recipe, grids)

    def keep_patches(self, kept: bool) -> None:
        """Note whether patch vectors are to be stored of what is indexed."""
        with self._writing() as connection:
            changes.put_setting(connection, "regions", "kept" if kept else "left")

    def put_features(self, marks: Mapping[int, Features]) -> None:
        """Store the marks of contents that have none."""
        with self._writing() as connection:
            pairs.put_features(connection, marks)

    def remember_pairs(
        self, scope: str, found: Iterable[StoredPair], *, compared: Collection[int] = ()
    ) -> None:
        """Keep pairs, and that these contents have been compared with all others of that scope."""
        with self._writing() as connection:
            pairs.put_pairs(connection, scope, found)
            pairs.put_compared(connection, scope, compared)

    def forget_scopes_but(self, kept: str) -> None:
        """Delete what searches have kept whose scopes do not begin so."""
        with self._writing() as connection:
            pairs.drop_other_scopes(connection, kept)

    def put_apart(self, hashes: Sequence[bytes], *, again: bool = False) -> int:
        """Remember that no two of these contents are duplicates, or take it back; count the pairs."""
        with self._writing() as connection:
            return (pairs.join_again if again else pairs.set_apart)(connection, hashes)

    def mend_links(self, without_file: Sequence[int], with_file: Sequence[int]) -> None:
        """Hide contents that have no file, and bring back those that have one (for `verify`)."""
        if not without_file and not with_file:
            return
        with self._writing() as connection:
            generation = changes.next_generation(connection)
            changes.orphan(connection, without_file, generation, int(time.time()))
            changes.revive(connection, with_file, generation)

    def remove_vectors(self, encoder: StoredEncoder, content_ids: Sequence[int]) -> None:
        """Delete vectors that cannot be right; the next `index` makes them again (for `verify`)."""
        with self._writing() as connection:
            changes.delete_vectors(connection, encoder.id, content_ids)

    def forget(self, path: Path) -> int:
        """Delete all that is known of the files at or below a path; count the files.

        Contents that no other file has go with their vectors, out of the catalog's pages, the FAISS files and
        the backups. The files themselves stay, and the next `index` finds them again.
        """
        with explained(self.path):
            run_pragma(self._connection, "secure_delete = ON")
        with self._writing() as connection:
            count = changes.forget_files(connection, path, self.path, int(time.time()))
        if count:
            self._forget_copies()
        return count

    def _forget_copies(self) -> None:
        for encoder in self.encoders():
            self.publish(encoder, always=True)
        shutil.rmtree(backups_folder(self.path), ignore_errors=True)
        with explained(self.path):
            run_pragma(self._connection, "busy_timeout = 500")  # milliseconds; a reader may stay for hours
            run_pragma(self._connection, "wal_checkpoint(TRUNCATE)")
            run_pragma(self._connection, f"busy_timeout = {int(BUSY_SECONDS * 1000)}")

    def expire_history(self, days: int) -> int:
        """Delete contents that have been without a file for longer than some days; count them."""
        with self._writing() as connection:
            return changes.expire(connection, int(time.time()) - days * 86_400)


def open_library(path: Path, *, faiss_from: int = FAISS_FROM_IMAGES) -> LibraryReader:
    """Open a library for reading; `path` is the .sightline folder itself.

    A catalog of an older program is upgraded first. Raises LibraryMissing, CatalogNewerThanProgram,
    CatalogDamaged.
    """
    path = absolute(path)
    reader = LibraryReader(path, engine_to_read(path), faiss_from=faiss_from)
    try:
        if _revision(reader, path) != schema.HEAD:
            open_for_writing(path, create=False).close()
    except BaseException:
        reader.close()
        raise
    return reader


def open_for_writing(path: Path, *, create: bool, faiss_from: int = FAISS_FROM_IMAGES) -> LibraryWriter:
    """Open a library as its one writer, made when absent and `create` is set.

    Raises LibraryBusy at once when another process writes, LibraryReadOnly, DiskFull,
    CatalogNewerThanProgram.
    """
    path = absolute(path)
    if not catalog_file(path).exists():
        if not create:
            raise LibraryMissing(path.parent if path.name == LIBRARY_NAME else path)
        with explained(path):
            path.mkdir(parents=True, exist_ok=True)
    lock = WriterLock(path)
    with explained(path):
        lock.acquire()
    try:
        return _writer(path, lock, faiss_from)
    except BaseException:
        lock.release()
        raise


def _writer(path: Path, lock: WriterLock, faiss_from: int) -> LibraryWriter:
    with explained(path):
        for rest in left_behind(path):
            rest.unlink(missing_ok=True)
        connection = engine_to_write(path).connect()
        try:
            upgrade(connection, path)
            return LibraryWriter(path, engine_to_read(path), connection, lock, faiss_from=faiss_from)
        except BaseException:
            connection.close()
            connection.engine.dispose()
            raise


def _revision(reader: LibraryReader, path: Path) -> str:
    with reader.reading() as connection:
        revision = revision_of(connection)
    check_revision(revision, path, schema.REVISIONS)
    if revision is None:
        raise LibraryMissing(path.parent if path.name == LIBRARY_NAME else path)
    return revision
