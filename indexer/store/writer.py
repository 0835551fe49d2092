"""The writer: every change to a library, each in one transaction, and the files made from the catalog."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, update

from ..errors import DiskFull, LibraryReadOnly
from ..features import Features
from ..patch_grids import PackedGrid
from ..records import EncodedImage, EncoderCard, FoundFile, Skipped
from . import catalog, changes, pair_changes, patch_changes, schema
from .changes import Entry, Place
from .engines import driver_of, run_pragma
from .failures import explained
from .files import backups_folder, vectors_folder
from .lock import WriterLock
from .nearest import CATCH_UP_MAX, recorded_file
from .pairs import StoredPair
from .reader import LibraryReader
from .records import Changeover, Known, ScanOutcome, StoredEncoder
from .scans import Scan
from .vectors import IndexFile, IndexUnusable, check_file, index_name, remove_superseded, write_index
from .wal import empty_log, settle

_PUBLISH_EACH_TIME_BELOW = 50_000  # images; larger files are left to be caught up on until 1 % has changed
_PUBLISH_AFTER = CATCH_UP_MAX // 2  # or so many images, whatever the size: no search shall read all vectors
_PUBLISH_WITHIN_A_RUN = 4  # once a fourth has come: a long run writes five times its last file in all
HIDDEN_AT_MOST_ONE_IN = 20  # images that searches lose when another encoder answers them


class LibraryWriter(LibraryReader):
    """Changes a library; reading through it sees what is committed. For one thread."""

    def __init__(self, path: Path, writing: Connection, lock: WriterLock, *, faiss_from: int) -> None:
        super().__init__(path, faiss_from=faiss_from)
        self._connection = writing
        self._lock = lock
        self._folders: list[Path] = []  # a folder's handle is its position
        self._places: dict[Path, Place] = {}
        self._forgetting = False
        self._copies_tell = False  # FAISS files and backups still have what the catalog has forgotten
        self._came: Counter[int] = Counter()  # images since it was last asked whether to publish
        with self._writing() as connection:
            self._scan = Scan(connection, (), self._places, path)

    def close(self) -> None:
        """Let go of the library and let the next writer in."""
        try:
            self._connections.close()
            if not self._connection.closed:
                settle(self.path, driver_of(self._connection))
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
        """Find or make the encoder of a card, which this and the next runs index with.

        Searches go on with the former one as long as that has images (`answers_with`).
        """
        current = self.current_encoder()
        with self._writing() as connection:
            id = changes.put_encoder(connection, card)
            if current is None or not current.images:
                changes.put_default_encoder(connection, id)
            return catalog.get_encoder(driver_of(connection), id)

    def indexing_encoder(self) -> StoredEncoder | None:
        """Give the encoder last indexed with; None before the first run."""
        with self.reading() as connection:
            last, answering = (
                catalog.get_setting(connection, key) for key in ("indexing_encoder", "default_encoder")
            )
            id = last or answering  # an older library notes only what searches use
            return catalog.get_encoder(connection, int(id)) if id else None

    def answers_with(self, encoder: StoredEncoder, *, saw_all: bool = False) -> Changeover | None:
        """Let searches use an encoder from now on, unless that would hide images; None: they do already.

        One in twenty may be missing after a run that saw all of the library: files that cannot be read for
        now shall not hold up all others.
        """
        former = self.current_encoder()
        if former is None or former.id == encoder.id:
            return None
        with self.reading() as connection:
            lacking = catalog.count_lacking(connection, former.id, encoder.id)
            only_new = catalog.count_lacking(connection, encoder.id, former.id)
        changed = not lacking or (saw_all and lacking * HIDDEN_AT_MOST_ONE_IN <= former.images)
        if changed:
            with self._writing() as connection:
                changes.put_default_encoder(connection, encoder.id)
        return Changeover(former, changed, lacking, only_new)

    def use_root(self, root: Path) -> int:
        """Cover a folder; give a handle for `begin_scan` and `classify`, good for this writer.

        A folder inside a known root becomes part of it, and a folder around known roots takes them in, so
        that no file is stored twice.
        """
        return self.use_roots([root])[0]

    def use_roots(self, roots: Sequence[Path]) -> list[int]:
        """Cover folders, all or none; give their handles."""
        folders = list(dict.fromkeys([*self._folders, *roots]))
        with self._writing() as connection:
            for root in roots:
                changes.put_root(connection, root, self.path, int(time.time()))
            self._places |= changes.find_places(connection, folders, self.path)
        self._folders = folders
        return [folders.index(root) for root in roots]

    def begin_scan(self, root_ids: Sequence[int]) -> None:
        """Begin to note what is seen below these folders, given by the handles of `use_root`."""
        folders = tuple(self._folders[id] for id in root_ids)
        with self._writing() as connection:
            self._scan = Scan(connection, folders, self._places, self.path)

    def look_at(self, root_id: int) -> None:
        """Note what a folder is, right before it is listed and right after."""
        self._scan.look_at(self._folders[root_id])

    def classify(self, root_id: int, files: Sequence[FoundFile], encoder: StoredEncoder) -> list[Known]:
        """Tell what the catalog knows of each file, and note them as seen."""
        with self._writing() as connection:
            return self._scan.classify(connection, self._folders[root_id], files, encoder.id)

    def knows(self, root_id: int, relative: str) -> bool:
        """Tell whether the catalog has files at or below a path of a folder, given by its handle."""
        place = self._places[self._folders[root_id]]
        with self.reading() as connection:
            return catalog.is_known(connection, place.root_id, place.locate(relative).rstrip("/"))

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
            *(self._entry_of(skip) for skip in skipped),
        ]
        if not entries:
            return 0
        with self._writing() as connection:
            change = changes.commit_entries(connection, encoder.id, entries, encoded, int(time.time()))
            self._scan.note_commit(connection, ((entry.root_id, entry.path) for entry in entries), change)
        self._publish_within_a_run(encoder, len(linked) + len(encoded))
        return len(change.linked)

    def _entry(
        self, found: FoundFile, sha: bytes | None, *, linked: bool = False, skip_reason: str | None = None
    ) -> Entry:
        if found.root not in self._places:
            self.use_root(found.root)
        place = self._places[found.root]
        return Entry(place.root_id, place.locate(found.relative), found, sha, skip_reason, linked)

    def _entry_of(self, skipped: Skipped) -> Entry:
        entry = self._entry(skipped.file, None, skip_reason=skipped.reason)
        return replace(entry, only_if_new=skipped.again)

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
                recorded = recorded_file(driver_of(self._connection), encoder.id)
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
        changed = catalog.count_changed(driver_of(self._connection), encoder.id, recorded.generation)
        if recorded.images < _PUBLISH_EACH_TIME_BELOW:
            return changed > 0
        return changed > min(recorded.images // 100, _PUBLISH_AFTER)

    def _publish_within_a_run(self, encoder: StoredEncoder, images: int) -> None:
        """Publish when so much has come that each search would read all vectors until the run ends."""
        self._came[encoder.id] += images
        if self._came[encoder.id] <= _PUBLISH_AFTER:
            return
        self._came[encoder.id] = 0
        with self.reading() as connection:
            recorded = recorded_file(connection, encoder.id)
            generation, written = (recorded.generation, recorded.images) if recorded else (-1, 0)
            changed = catalog.count_changed(connection, encoder.id, generation)
        if changed > max(_PUBLISH_AFTER, written // _PUBLISH_WITHIN_A_RUN):
            with suppress(DiskFull, LibraryReadOnly):  # the vectors are stored; the run's end tells of it
                self.publish(encoder, always=True)

    def _write_index(self, encoder: StoredEncoder) -> IndexFile:
        connection = driver_of(self._connection)
        generation = catalog.get_generation(connection)
        vectors_folder(self.path).mkdir(exist_ok=True)
        return write_index(
            vectors_folder(self.path) / index_name(encoder.id, generation),
            dimension=encoder.card.dimension,
            images=catalog.count_vectors(connection, encoder.id),
            generation=generation,
            rows=catalog.stream_vectors(connection, encoder),
        )

    def set_background(self, encoder: StoredEncoder, background: Mapping[str, Any]) -> None:
        """Store what unrelated queries score with this encoder here, and when that was measured."""
        row = update(schema.encoder).where(schema.encoder.c.id == encoder.id)
        with self._writing() as connection:
            generation = catalog.get_generation(driver_of(connection))
            connection.execute(row.values(background={**background, "generation": generation}))

    def count_new(self, encoder: StoredEncoder) -> int:
        """Count the images that came since an encoder's background was measured; 0 if that is not known."""
        if not encoder.background or "generation" not in encoder.background:
            return 0
        with self.reading() as connection:
            return catalog.count_new(connection, encoder.id, encoder.background["generation"])

    def record_run(self, summary: Mapping[str, Any]) -> None:
        """Store what the last run did, for `status`; plain JSON values."""
        with self._writing() as connection:
            changes.put_setting(connection, "last_run", json.dumps(dict(summary)))

    def put_patches(self, encoder: StoredEncoder, recipe: str, grids: Mapping[int, PackedGrid]) -> None:
        """Store the patch vectors of contents."""
        with self._writing() as connection:
            patch_changes.put_grids(connection, encoder.id, recipe, grids)

    def keep_patches(self, kept: bool) -> None:
        """Note whether patch vectors are to be stored of what is indexed."""
        with self._writing() as connection:
            changes.put_setting(connection, "regions", "kept" if kept else "left")

    def put_features(self, marks: Mapping[int, Features]) -> None:
        """Store the marks of contents that have none."""
        with self._writing() as connection:
            pair_changes.put_features(connection, marks)

    def remember_pairs(
        self, scope: str, found: Iterable[StoredPair], *, compared: Collection[int] = ()
    ) -> None:
        """Keep pairs, and that these contents have been compared with all others of that scope."""
        with self._writing() as connection:
            pair_changes.put_pairs(connection, scope, found)
            pair_changes.put_compared(connection, scope, compared)

    def forget_scopes_but(self, kept: str) -> None:
        """Delete what searches have kept whose scopes do not begin so."""
        with self._writing() as connection:
            pair_changes.drop_other_scopes(connection, kept)

    def put_apart(self, hashes: Sequence[bytes], *, again: bool = False) -> int:
        """Remember that no two of these contents are duplicates, or take it back; count the pairs."""
        with self._writing() as connection:
            return (pair_changes.join_again if again else pair_changes.set_apart)(connection, hashes)

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
        with self.forgetting(), self._leaving_no_byte() as connection:
            count = changes.forget_files(connection, path, self.path, int(time.time()))
            self._copies_tell |= count > 0
        return count

    def forget_removed(self) -> int:
        """Delete all that is kept of contents without a file, as thoroughly as `forget`; count them."""
        with self.forgetting(), self._leaving_no_byte() as connection:
            count = changes.expire(connection)
            self._copies_tell |= count > 0
        return count

    @contextmanager
    def forgetting(self) -> Iterator[None]:
        """Have the FAISS files written anew and the backups removed once, after all that a block forgets."""
        if self._forgetting:
            yield
            return
        self._forgetting = True
        try:
            yield
        finally:  # what was forgotten until a failure shall not stay in the copies either
            self._forgetting = False
            if self._copies_tell:
                self._forget_copies()
                self._copies_tell = False

    @contextmanager
    def _leaving_no_byte(self) -> Iterator[Connection]:
        """Give a transaction that overwrites what it deletes."""
        with explained(self.path):
            run_pragma(self._connection, "secure_delete = ON")
        with self._writing() as connection:
            yield connection

    def _forget_copies(self) -> None:
        for encoder in self.encoders():
            self.publish(encoder, always=True)
        shutil.rmtree(backups_folder(self.path), ignore_errors=True)
        with explained(self.path):
            empty_log(driver_of(self._connection))

    def expire_history(self, days: int) -> int:
        """Delete contents that have been without a file for longer than some days; count them."""
        with self._writing() as connection:
            return changes.expire(connection, int(time.time()) - days * 86_400)
