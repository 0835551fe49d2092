"""The pipeline: joins scan, decode, encode and store into one indexing run."""

import itertools
import os
import shlex
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .background import SAMPLE_SIZE, background_vectors, is_stale, measure_background
from .decode import AGAIN_ADVICE, ONCE_MORE_ADVICE, DecodePool, DecodeRules
from .encoders.base import Encoder
from .encoders.loading import choose_auto, load_encoder, load_encoder_for, was_renamed
from .errors import FolderMissing
from .fingerprint import content_hash
from .leaving_out import LeftOut, clear_patterns, settle_left_out
from .opening import MAX_MEGAPIXELS, MEGAPIXELS_ADVICE, told_limit
from .paths import home_expanded, refuse_file
from .raw import ADVICE as RAW_ADVICE
from .records import (
    DecodedImage,
    EncodedImage,
    FoundFile,
    IndexSummary,
    Skipped,
    Unreadable,
    Vectors,
)
from .scan import Found, OutOfReach, ScanRules, scan
from .store.library import open_for_writing, open_library
from .store.names import absolute, real
from .store.records import Changeover, Known, ScanOutcome, StoredEncoder
from .store.writer import LibraryWriter

CLASSIFY_AT_ONCE = 1000  # files: one query for many, and still only a few hundred kilobytes
COMMIT_SECONDS = 5.0  # what a kill may cost
COMMIT_IMAGES = 1024  # what may wait in memory
HISTORY_DAYS = 90
COUNTER_SECONDS = 1.0  # what the end of a run waits for the thread that counts files


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Every choice an indexing run has, with its default."""

    model: str | None = None  # None: the library's own, or `auto` for a new one
    device: str = "auto"
    batch_size: int | None = None  # None: what keeps the encoder busy
    workers: int | None = None  # decoding processes; None: one per core
    exclude: tuple[str, ...] = ()  # none: those that the library remembers of the folders
    no_exclude: bool = False  # let the library forget those of the folders
    include_hidden: bool = False
    wanted: Callable[[Path], bool] | None = None  # only files that it holds for; None: all
    max_megapixels: float | None = None  # None: the decoder's default
    retry_skipped: bool = False  # decode again what could not be decoded before
    history_days: int = HISTORY_DAYS  # how long the vector of a removed image is kept
    commit_seconds: float = COMMIT_SECONDS
    count_first: bool = False  # count the files in a second thread, for a progress bar


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come, in files."""

    done: int
    total: int | None  # None: not counted, or not yet
    indexed: int
    skipped: int
    seconds: float
    encoder_seconds: float  # of these the encoder was busy


@dataclass(frozen=True, slots=True)
class _Root:
    """A folder to scan."""

    path: Path  # without links
    typed: Path  # absolute, as it was named
    inner: tuple[Path, ...]  # folders below it that are scanned by themselves


@dataclass
class _Tally:
    """What a run has done so far; the only thing in it that changes."""

    began: float = field(default_factory=time.perf_counter)
    total: int | None = None
    indexed: int = 0
    unchanged: int = 0
    linked: int = 0
    returned: int = 0  # of the linked: their content had been kept without a file
    encoder_seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    unreadable: list[Unreadable] = field(default_factory=list)

    @property
    def skipped(self) -> int:
        return self.reasons.total()

    def progress(self) -> Progress:
        done = self.indexed + self.unchanged + self.linked + self.skipped
        seconds = time.perf_counter() - self.began
        return Progress(done, self.total, self.indexed, self.skipped, seconds, self.encoder_seconds)


@dataclass
class _Pending:
    """What waits for the next commit."""

    since: float = field(default_factory=time.perf_counter)
    linked: list[tuple[FoundFile, bytes]] = field(default_factory=list)
    encoded: list[EncodedImage] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def is_due(self, commit_seconds: float) -> bool:
        count = len(self.linked) + len(self.encoded) + len(self.skipped)
        return count >= COMMIT_IMAGES or (count > 0 and time.perf_counter() - self.since >= commit_seconds)


def index_folders(
    library: Path,
    folders: Sequence[Path] | None,
    settings: IndexSettings | None = None,
    *,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_notice: Callable[[str], None] = lambda line: None,
    stop: threading.Event | None = None,
) -> IndexSummary:
    """Bring the library up to date with the folders: new, changed, moved and removed files.

    library is the library's own folder, made when absent. folders None are those that it covers already;
    of these the ones that are not there are passed over with a notice, unless none is there. What was
    committed (every few seconds) stays, whatever happens later; setting `stop` ends the run cleanly after the
    batch at hand, and the next run goes on from there. What `exclude` leaves out of these folders, the
    library remembers for the next runs. Raises FolderMissing, UsageError for a file or for patterns beside
    `no_exclude`, LibraryBusy, LibraryReadOnly, DiskFull, EncoderError, and LibraryMissing when neither
    folders nor a library are given.
    """
    there, away = (folders, []) if folders is not None else _covered_folders(library)
    roots = _roots(there)
    settings = settings or IndexSettings()
    exclude = clear_patterns(settings.exclude, no_exclude=settings.no_exclude)
    settings = replace(settings, exclude=exclude)
    with open_for_writing(library, create=True) as writer:
        run = _Run(writer, settings, on_progress, on_notice, stop or threading.Event())
        run.leave_out([*(root.path for root in roots), *away])
        with _counting(run, roots):
            return run.index(roots, away)


class _Run:
    """One indexing run: what its steps share."""

    def __init__(
        self,
        writer: LibraryWriter,
        settings: IndexSettings,
        on_progress: Callable[[Progress], None],
        on_notice: Callable[[str], None],
        stop: threading.Event,
    ) -> None:
        self.writer = writer
        self.on_progress = on_progress
        self.on_notice = on_notice
        self.stop = stop
        self.settings = settings
        self.left_out = LeftOut((), {})
        self.tally = _Tally()
        self.found: Counter[Path] = Counter()  # files below each root
        self.encoder: Encoder | None = None
        self.tried_before: set[Path] = set()  # files that get their second and last chance
        self.stored = self._choose_encoder()
        self.pending = _Pending()

    def leave_out(self, folders: Iterable[Path]) -> None:
        """Settle what this run leaves out of its folders."""
        said, no_exclude = self.settings.exclude, self.settings.no_exclude
        self.left_out = settle_left_out(
            self.writer, folders, said, no_exclude=no_exclude, on_notice=self.on_notice
        )

    def scan(self, root: _Root, stopped: Callable[[], bool]) -> Iterator[Found]:
        """List what is below a root."""
        excludes = tuple((each.folder, each.pattern) for each in self.left_out.excludes)
        rules = ScanRules(exclude_in=excludes, include_hidden=self.settings.include_hidden)
        place = self.left_out.places[root.path]
        return scan(root.path, rules, typed=root.typed, placed=place, apart=root.inner, stopped=stopped)

    def _choose_encoder(self) -> StoredEncoder:
        """Find which encoder this run is for, without loading it when the library knows."""
        current = self.writer.indexing_encoder()
        if self.settings.model is None and current is not None and not was_renamed(current.card):
            return current
        name = self.settings.model or (current.card.name if current else "auto")
        if name == "auto":
            name = choose_auto(self.on_notice, self.settings.device)
        self.encoder = self._load(name)
        return self.writer.use_encoder(self.encoder.card)

    def _load(self, name: str) -> Encoder:
        settings = self.settings
        return load_encoder(
            name, device=settings.device, batch_size=settings.batch_size, notify=self.on_notice
        )

    def _loaded_encoder(self) -> Encoder:
        if self.encoder is None:
            settings = self.settings
            self.encoder = load_encoder_for(
                self.stored.card,
                device=settings.device,
                batch_size=settings.batch_size,
                notify=self.on_notice,
            )
        return self.encoder

    def index(self, roots: Sequence[_Root], away: Sequence[Path] = ()) -> IndexSummary:
        """Bring the library up to date with what is below the roots; tell of those that are away."""
        handles = self.writer.use_roots([root.path for root in roots])
        # Nothing is found where a drive is away; but what was there may be found to have moved.
        self.writer.begin_scan([*handles, *self.writer.use_roots(away)])
        wanted = itertools.chain.from_iterable(map(self._wanted, roots, handles))
        first = next(wanted, None)
        if first is not None and not self.stop.is_set():
            self._decode_and_encode(itertools.chain([first], wanted))
        self._commit()
        outcome = ScanOutcome(0, 0) if self.stop.is_set() else self._finish_scan(roots)
        self._publish()
        self._let_answer(saw_all=self._covers_library(roots) and self._missed_nothing(outcome))
        summary = self._summary(outcome)
        self.writer.record_run(summary_as_dict(summary))
        return summary

    def _found(self, root: _Root, handle: int) -> Iterator[FoundFile]:
        """List files, and keep aside what could not be listed."""
        self.writer.look_at(handle)
        for item in self.scan(root, self.stop.is_set):
            if self.stop.is_set():
                return
            if isinstance(item, Unreadable):
                self.tally.unreadable.append(item)
            elif isinstance(item, OutOfReach):
                if self.writer.knows(handle, item.relative):
                    self.tally.unreadable.append(Unreadable(item.path, item.reason))
            elif self.settings.wanted is None or self.settings.wanted(item.path):
                self.found[root.path] += 1
                yield item
        self.writer.look_at(handle)

    def _wanted(self, root: _Root, handle: int) -> Iterator[FoundFile]:
        """Let through what must be decoded; count the rest, and link what is known by its content."""
        found = self._found(root, handle)
        while files := list(itertools.islice(found, CLASSIFY_AT_ONCE)):
            known = self.writer.classify(handle, files, self.stored)
            yield from (item.file for item in known if self._is_new(item))
            yield from self._not_linked([item.file for item in known if item.state == "hash-first"])
            self._commit_when_due()  # where all is known nothing comes to be encoded
            self.on_progress(self.tally.progress())

    def _is_new(self, known: Known) -> bool:
        if known.state == "unchanged":
            self.tally.unchanged += 1
        elif known.state == "skipped" and ONCE_MORE_ADVICE in (known.reason or ""):
            self.tried_before.add(known.file.path)
        elif known.state == "skipped" and not self._may_succeed_now(known.reason or ""):
            self.tally.reasons[known.reason or "unknown"] += 1
            return False
        return known.state in ("new", "skipped")

    def _may_succeed_now(self, reason: str) -> bool:
        """Tell whether a file that was skipped is worth another try: the user has done what was advised."""
        return (
            self.settings.retry_skipped
            or AGAIN_ADVICE in reason
            or (MEGAPIXELS_ADVICE in reason and self._may_be_within_limit(reason))
            or (RAW_ADVICE in reason and find_spec("rawpy") is not None)
        )

    def _may_be_within_limit(self, reason: str) -> bool:
        """Tell whether the limit is named by this run, or was lower when the file was skipped."""
        limit = told_limit(reason)
        was_lower = limit is not None and limit < MAX_MEGAPIXELS
        return was_lower or self.settings.max_megapixels is not None

    def _not_linked(self, files: Sequence[FoundFile]) -> Iterator[FoundFile]:
        """Link files whose content already has a vector; let through the others."""
        with ThreadPoolExecutor(thread_name_prefix="hash") as threads:
            hashes = list(threads.map(self._hash_or_none, files))
        embedded = self.writer.embedded_hashes(self.stored, [digest for digest in hashes if digest])
        self.tally.returned += len(self.writer.kept_hashes(embedded))
        for file, digest in zip(files, hashes, strict=True):
            if digest is not None and digest in embedded:
                self.pending.linked.append((file, digest))
            elif not self.stop.is_set():
                yield file

    def _hash_or_none(self, file: FoundFile) -> bytes | None:
        """Hash a file; one that cannot be read is left to the decoder, which says why."""
        if self.stop.is_set():
            return None
        try:
            return content_hash(file.path)
        except OSError:
            return None

    def _decode_and_encode(self, wanted: Iterator[FoundFile]) -> None:
        encoder = self._loaded_encoder()
        rules = _decode_rules(self.settings, encoder)
        with DecodePool(rules, self.settings.workers) as pool:
            for batch in _batches(self._decoded(pool.decode(wanted)), encoder.batch_size):
                self._encode(encoder, batch)
                self._commit_when_due()
                self.on_progress(self.tally.progress())

    def _decoded(self, results: Iterable[DecodedImage | Skipped]) -> Iterator[DecodedImage]:
        """Let through the images, and keep aside the files that gave none."""
        for result in results:
            if isinstance(result, Skipped):
                skipped = self._for_good(result)
                self.pending.skipped.append(skipped)
                self.tally.reasons[skipped.reason] += 1
                self._commit_when_due()
            else:
                yield result
            if self.stop.is_set():
                return

    def _for_good(self, skipped: Skipped) -> Skipped:
        """Promise no further try to a file that has had its second one."""
        if skipped.file.path not in self.tried_before:
            return skipped
        return replace(skipped, reason=skipped.reason.replace(ONCE_MORE_ADVICE, ", twice"))

    def _encode(self, encoder: Encoder, batch: Sequence[DecodedImage]) -> None:
        began = time.perf_counter()
        vectors = encoder.encode_pixels(np.stack([image.pixels for image in batch]))
        self.tally.encoder_seconds += time.perf_counter() - began
        for image, vector in zip(batch, vectors, strict=True):
            self.pending.encoded.append(EncodedImage(image.file, image.facts, vector))
        self.tally.indexed += len(batch)

    def _commit_when_due(self) -> None:
        if self.pending.is_due(self.settings.commit_seconds):
            self._commit()

    def _commit(self) -> None:
        pending, self.pending = self.pending, _Pending()
        newly_linked = self.writer.commit(
            self.stored, linked=pending.linked, encoded=pending.encoded, skipped=pending.skipped
        )
        self.tally.linked += newly_linked
        self.tally.unchanged += len(pending.linked) - newly_linked  # only their times had changed

    def _finish_scan(self, roots: Sequence[_Root]) -> ScanOutcome:
        unreadable = [item.path for item in self.tally.unreadable]
        outcome = self.writer.finish_scan(unreadable)
        self._tell_absent(outcome.absent)
        if self.settings.wanted is None:
            self._tell_empty([root for root in roots if root.path not in (*outcome.absent, *unreadable)])
        self.writer.expire_history(self.settings.history_days)
        return outcome

    def _tell_absent(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            self.on_notice(
                f"{folder}: nothing was found there any more; its images are kept, in case a drive is not "
                f"mounted. If they are gone for good: sightline forget {shlex.quote(str(folder))}"
            )

    def _tell_empty(self, roots: Sequence[_Root]) -> None:
        besides = " besides what is left out" if self.left_out.excludes else ""
        for root in roots:
            if not any(self.found[folder] for folder in (root.path, *root.inner)):
                self.on_notice(f"{root.typed}: no picture was found there{besides}")

    def _publish(self) -> None:
        """Write the derived parts: the FAISS file and the background statistics."""
        self.writer.publish(self.stored)
        stored = next(known for known in self.writer.encoders() if known.id == self.stored.id)
        if stored.images and is_stale(stored.background, stored.images, self.writer.count_new(stored)):
            self._measure_background(stored)

    def _measure_background(self, stored: StoredEncoder) -> None:
        encoder = self._loaded_encoder()
        text_vectors = background_vectors(encoder)
        sample = self.writer.sample_vectors(stored, SAMPLE_SIZE, seed=0)

        def best_image(vectors: Vectors) -> Vectors:
            best = self.writer.nearest(stored, vectors, k=1, filters=None)
            return self.writer.vectors_of(stored, [neighbours[0].content_id for neighbours in best])

        background = measure_background(text_vectors, sample, best_image, stored.images)
        self.writer.set_background(stored, background.as_dict())

    def _covers_library(self, roots: Sequence[_Root]) -> bool:
        return set(map(real, self.writer.roots())) <= {root.path for root in roots}

    def _missed_nothing(self, outcome: ScanOutcome) -> bool:
        return not (outcome.absent or self.tally.unreadable or self.stop.is_set())

    def _let_answer(self, *, saw_all: bool) -> None:
        """Let searches use this run's encoder and say what that hides, or why they keep the former one."""
        change = self.writer.answers_with(self.stored, saw_all=saw_all)
        if change is not None and change.lacking:
            words = _hidden_words if change.changed else _kept_words
            self.on_notice(words(change, self.stored.card.name))

    def _summary(self, outcome: ScanOutcome) -> IndexSummary:
        """Count a link as moved when its content lost another path or had been kept without one."""
        tally = self.tally
        moved = min(tally.linked, outcome.moved + tally.returned)
        return IndexSummary(
            indexed=tally.indexed + tally.linked - moved,
            unchanged=tally.unchanged,
            moved=moved,
            removed=max(0, outcome.removed - outcome.moved),
            skipped=tally.skipped,
            seconds=time.perf_counter() - tally.began,
            skipped_reasons=tuple(tally.reasons.most_common()),
            unreadable=tuple(tally.unreadable),
            interrupted=self.stop.is_set(),
            encoder_seconds=tally.encoder_seconds,
        )


def summary_as_dict(summary: IndexSummary) -> dict[str, Any]:
    """Give a summary as plain JSON values, for `index --json` and for the catalog's note of its last run."""
    return {
        "indexed": summary.indexed,
        "unchanged": summary.unchanged,
        "moved": summary.moved,
        "removed": summary.removed,
        "skipped": summary.skipped,
        "seconds": round(summary.seconds, 3),
        "encoder_seconds": round(summary.encoder_seconds, 3),
        "skipped_reasons": dict(summary.skipped_reasons),
        "unreadable": [{"path": str(folder.path), "reason": folder.reason} for folder in summary.unreadable],
        "interrupted": summary.interrupted,
    }


def _hidden_words(change: Changeover, name: str) -> str:
    former, images = change.former.card.name, change.former.images
    return (
        f"searches use {name} from now on and no longer find {change.lacking:,} of the {images:,} images of "
        f"{former}, which could not be read; once they can be, this takes them in: sightline index"
    )


def _kept_words(change: Changeover, name: str) -> str:
    former, images = change.former.card.name, change.former.images
    unfound = f", and {change.only_new:,} indexed with it only cannot be found yet" if change.only_new else ""
    return (
        f"searches go on with {former}: {change.lacking:,} of its {images:,} images have not been indexed "
        f"with {name} yet{unfound}; to go on with all of the library: sightline index; "
        f"to stay with {former}: sightline index --model {shlex.quote(former)}"
    )


def _covered_folders(library: Path) -> tuple[list[Path], list[Path]]:
    """Give the folders that a library covers: those that are there, and those that are away.

    Raises LibraryMissing, and FolderMissing when none is there.
    """
    with open_library(library) as reader:
        folders = reader.roots()
    # Path.is_dir raises where a drive died without being unmounted.
    there = [folder for folder in folders if os.path.isdir(folder)]  # noqa: PTH112
    if folders and not there:
        raise FolderMissing(folders[0])
    return there, [folder for folder in folders if folder not in there]


def _roots(folders: Sequence[Path]) -> list[_Root]:
    """Make a root of each folder, but one of a folder that is named twice."""
    names: dict[Path, Path] = {}
    for folder in folders:
        names.setdefault(_existing_folder(folder), absolute(home_expanded(folder)))
    return [_Root(path, typed, _below(path, names)) for path, typed in names.items()]


def _below(folder: Path, others: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(other for other in others if folder in other.parents)


def _existing_folder(folder: Path) -> Path:
    refuse_file(folder)
    resolved = home_expanded(folder).resolve()
    if not resolved.is_dir():
        raise FolderMissing(folder)
    return resolved


def _decode_rules(settings: IndexSettings, encoder: Encoder) -> DecodeRules:
    rules = DecodeRules(encoder.card.preprocessing)
    if settings.max_megapixels is None:
        return rules
    return replace(rules, max_megapixels=settings.max_megapixels)


def _batches(images: Iterator[DecodedImage], size: int) -> Iterator[list[DecodedImage]]:
    while batch := list(itertools.islice(images, size)):
        yield batch


@contextmanager
def _counting(run: _Run, roots: Sequence[_Root]) -> Iterator[None]:
    """Count the files in a second thread while the run goes on, if the settings ask for it."""
    ended = threading.Event()

    def stopped() -> bool:
        return ended.is_set() or run.stop.is_set()

    def count() -> None:
        found = itertools.chain.from_iterable(run.scan(root, stopped) for root in roots)
        files = sum(isinstance(item, FoundFile) for item in found)
        if not stopped():
            run.tally.total = files

    thread = threading.Thread(target=count, name="count", daemon=True)
    if run.settings.count_first:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if run.settings.count_first:
            thread.join(COUNTER_SECONDS)  # it may hang in a drive that does not answer
