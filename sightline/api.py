"""The public interface: a library to index, search and read from Python."""

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from indexer.encoders.base import upright_rgb
from indexer.errors import (
    EncoderUnknown,
    FolderMissing,
    LibraryEmpty,
    LibraryMissing,
    QueryInvalid,
    UsageError,
    of_system,
)
from indexer.paths import identity_of
from indexer.pipeline import IndexSettings, Progress, index_folders
from indexer.records import EncoderCard, Ids, IndexSummary, Vectors
from indexer.store.files import LIBRARY_NAME, catalog_file
from indexer.store.library import open_for_writing, open_library
from indexer.store.reader import LibraryReader
from indexer.store.records import LibraryStatus, StoredImage, VerifyReport
from search.encoding import load_for_query
from search.engine import choose_encoder
from search.places import place_of
from search.query import Query, advising_a_smaller_copy, make_query
from search.regions import Highlighter, load_highlighter
from search.regions_texts import checked_texts
from search.results import SearchAnswer

from . import choices
from .choices import make_filters
from .places import as_library, is_library, normal
from .regions_indexing import fill_regions
from .searching import find

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from indexer.encoders.base import Encoder

MAPS_BYTES_MAX = 4_000_000_000
IDS = range(-(2**63), 2**63)  # what SQLite holds as a number, hence as an id


@contextmanager
def _our_errors() -> Iterator[None]:
    """Raise what the system refuses of a file or folder as one of our errors.

    Without the name of one it is the caller's own: raised by a callback, or by a signal's deadline.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise
        raise of_system(error) from error


class Library:
    """Images that have been indexed; open one with `sightline.open`.

    It reads what `index` committed, also by another process; encoders are loaded once and kept, so the
    second search is faster than the first. Use it from one thread, and close it or use `with`.
    """

    def __init__(self, folder: Path, path: Path) -> None:
        self.folder = folder  # of images; what `index` takes by default
        self.path = path  # the library's own folder
        self._reader: LibraryReader | None = None
        self._catalog: tuple[int, int] | None = None  # which file the reader knows
        self._encoders: dict[tuple[EncoderCard, bool], Encoder] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<sightline.Library {str(self.path)!r}>"

    def close(self) -> None:
        """Let go of the files; the library can be used again and opens by itself."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    @_our_errors()
    def index(
        self,
        *folders: str | Path,
        model: str | None = None,
        device: str = "auto",
        batch_size: int | None = None,
        workers: int | None = None,
        exclude: str | Sequence[str] = (),
        no_exclude: bool = False,
        include_hidden: bool = False,
        max_megapixels: float | None = None,
        retry_skipped: bool = False,
        regions: bool | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        on_notice: Callable[[str], None] = lambda line: None,
        stop: threading.Event | None = None,
    ) -> IndexSummary:
        """Bring the library up to date with folders: its own by default; make it when absent.

        One that was opened by its own folder takes what it covers, passing over what is not there.
        regions: store patch vectors too, so that hits are highlighted without reading them; None: as it was
        said last. on_progress hears how far the run is, on_notice one-line remarks; setting stop ends it
        cleanly.
        exclude: a glob of paths to leave out, or several, which the library remembers of these folders;
        no_exclude: take in again what they left out. What was committed before an error stays. Raises
        FolderMissing, UsageError for what no such choice can be, EncoderUnknown, LibraryBusy,
        LibraryReadOnly, EncoderError, DiskFull.
        """
        choices.function("on_progress", on_progress)
        choices.function("on_notice", on_notice)
        if not isinstance(stop, threading.Event | None):
            raise UsageError(f"stop is a threading.Event, not {type(stop).__name__}: {stop!r:.60}")
        self.close()
        summary = index_folders(
            self.path,
            [choices.path("folder", folder) for folder in folders] or self._own_folder(),
            IndexSettings(
                model=choices.optional(choices.model_name, "model", model),
                device=choices.device("device", device),
                batch_size=choices.optional(choices.count, "batch_size", batch_size),
                workers=choices.optional(choices.count, "workers", workers),
                exclude=choices.texts("exclude", exclude),
                no_exclude=no_exclude,
                include_hidden=include_hidden,
                max_megapixels=choices.optional(choices.above_zero, "max_megapixels", max_megapixels),
                retry_skipped=retry_skipped,
            ),
            on_progress=on_progress,
            on_notice=on_notice,
            stop=stop,
        )
        if summary.interrupted:
            return summary
        filled = fill_regions(self.path, regions, device=device, notify=on_notice, stop=stop)
        return replace(summary, interrupted=filled is not None and filled.interrupted)

    @_our_errors()
    def search(
        self,
        query: str | Sequence[str] = (),
        *,
        like: str | Path | Sequence[str | Path] = (),
        without: str | Sequence[str] = (),
        limit: int = 10,
        folder: str | Path | None = None,
        after: str | date | None = None,
        before: str | date | None = None,
        camera: str | None = None,
        min_width: int | None = None,
        min_height: int | None = None,
        min_score: float | None = None,
        min_relevance: float | None = None,
        model: str | None = None,
        by_parts: bool = False,
    ) -> SearchAnswer:
        """Find images by words, by example images (like), or both; a sequence of hits, best first.

        Each string of query and without is one part: words, with a weight if it begins as in "2:sunset". It
        is never read as a file name; files go to like. An example image and its exact copies are left out.
        after includes its date, before does not; both take a date or "2024", "2024-05", "2024-05-17".
        A hit's score is a cosine; its relevance, 0 to 1, says how far it stands above what unrelated queries
        get here, and answer.nothing_matches whether no hit does (see search/rank.py); what `without` alone
        finds gets 0.5, for neither can be told. by_parts orders the nearest images anew by how well parts of
        them match the words (search/parts.py).
        Raises LibraryMissing, LibraryEmpty, VectorsMissing, FolderMissing, EncoderUnknown for what cannot be
        the name of a model, QueryInvalid for whatever else was asked that cannot be, EncoderMismatch,
        EncoderError.
        """
        with _asking():
            limit = choices.count("limit", limit)
            parts = make_query(
                choices.texts("query", query),
                without=choices.texts("without", without),
                like=choices.paths("like", like),
            )
            filters = make_filters(
                folder=folder,
                after=after,
                before=before,
                camera=camera,
                min_width=min_width,
                min_height=min_height,
            )
            min_score = choices.optional(choices.finite, "min_score", min_score)
            min_relevance = choices.optional(choices.finite, "min_relevance", min_relevance)
            model = choices.optional(choices.model_name, "model", model)
        return find(
            self._opened(),
            parts,
            filters=filters,
            limit=limit,
            min_score=min_score,
            min_relevance=min_relevance,
            model=model,
            by_parts=by_parts,
            load=self._encoder_for,
        )

    @_our_errors()
    def embeddings(self, *, model: str | None = None) -> tuple[Ids, Vectors]:
        """Give all vectors: ids (n,) int64, and (n, dim) float32 rows of length one; model: see `status`.

        Raises LibraryMissing, LibraryEmpty, VectorsMissing, EncoderMismatch, and UsageError for a model that
        is no name.
        """
        model = choices.optional(choices.model_name, "model", model)
        reader = self._opened()
        return reader.embeddings(choose_encoder(reader, model))

    @_our_errors()
    def images(self, ids: Iterable[int]) -> dict[int, list[StoredImage]]:
        """Give the files of each id of `embeddings`: several when exact copies exist.

        An id that no image has is left out. Raises LibraryMissing, and UsageError for ids that are no whole
        numbers.
        """
        if not isinstance(ids, Iterable):
            raise UsageError(f"ids is a list of whole numbers, not {type(ids).__name__}: {ids!r:.60}")
        asked = [choices.integer("an id", number) for number in ids]
        return self._opened().images([number for number in asked if number in IDS], None)

    @_our_errors()
    def status(self) -> LibraryStatus:
        """Count images, files, skipped files, encoders and bytes; raises LibraryMissing."""
        return self._opened().status()

    @_our_errors()
    def verify(self, *, repair: bool = True, deep: bool = False) -> VerifyReport:
        """Check catalog, vectors and files against each other; repair rewrites what can be derived.

        deep reads every image again and compares it with its hash. Raises LibraryMissing, CatalogDamaged,
        LibraryBusy when something is to be repaired while another process writes.
        """
        from indexer.store.verify import verify, verify_and_repair

        self.close()
        path = self._existing()
        return verify_and_repair(path, deep=deep) if repair else verify(path, deep=deep)

    @_our_errors()
    def forget(self, path: str | Path) -> int:
        """Take a file, or all below a folder, out of the library; give how many files left it.

        The images on disk stay; the next `index` over them takes them in again. Raises LibraryMissing,
        LibraryBusy, LibraryReadOnly, and UsageError for what is no path.
        """
        named = choices.path("path", path)
        self.close()
        with open_for_writing(self._existing(), create=False) as writer:
            return writer.forget(place_of(writer, normal(named)))

    @_our_errors()
    def forget_removed(self) -> int:
        """Delete at once what is kept of images that no file has any more; give how many these were.

        It is kept for 90 days, so that an image that returns need not be encoded again.
        """
        self.close()
        with open_for_writing(self._existing(), create=False) as writer:
            return writer.forget_removed()

    def _own_folder(self) -> list[Path] | None:
        """Give what `index` takes when no folder is named; None: what the library covers."""
        if self.folder != self.path:
            return [self.folder]
        if not is_library(self.path):
            raise LibraryEmpty(self.path)
        return None

    def _existing(self) -> Path:
        if not is_library(self.path):
            raise LibraryMissing(self.folder)
        return self.path

    def _opened(self) -> LibraryReader:
        """Give the reader; of a library that was made anew, nothing may be left in it of the one before."""
        catalog = identity_of(catalog_file(self._existing()))
        if catalog != self._catalog:
            self.close()
        if self._reader is None:
            self._reader, self._catalog = open_library(self.path), catalog
        return self._reader

    def _encoder_for(self, card: EncoderCard, query: Query) -> "Encoder":
        """Load an encoder once; one that reads images serves texts too."""
        whole = bool(query.examples)
        for kept in ((card, True), (card, whole)):
            if kept in self._encoders:
                return self._encoders[kept]
        return self._encoders.setdefault((card, whole), load_for_query(card, query))


@_our_errors()
def highlight_image(
    image: "str | Path | Image.Image", texts: str | Sequence[str], model: str, device: str
) -> "NDArray[np.float32]":
    """Find texts in an image; see `sightline.highlight`."""
    from .regions_output import open_photo

    with _asking():
        wanted = checked_texts(choices.texts("texts", texts))
        model, device = choices.model_name("model", model), choices.device("device", device)
        photo = choices.path("image", image) if isinstance(image, str | Path) else None
    with advising_a_smaller_copy():
        opened, size = open_photo(photo) if photo else (_upright(image), None)
    width, height = size or opened.size
    if len(wanted) * width * height * 4 > MAPS_BYTES_MAX:
        raise QueryInvalid(
            f"{len(wanted)} maps of {width:,} x {height:,} pixels would take over 4 GB; ask for fewer texts "
            "at a time, or make the image smaller"
        )
    return _highlighter(model, device).find(opened, wanted, size=size).maps()


@contextmanager
def _asking() -> Iterator[None]:
    """Say of what is off about a query's words and choices that the query is."""
    try:
        yield
    except (EncoderUnknown, FolderMissing, QueryInvalid):
        raise
    except UsageError as error:
        raise QueryInvalid(str(error)) from error


def _upright(image: object) -> "Image.Image":
    from PIL import Image

    if not isinstance(image, Image.Image):
        what = type(image).__name__
        raise QueryInvalid(f"an image is a path or a Pillow image, not {what}; Image.fromarray makes one")
    if not all(image.size):
        raise QueryInvalid(f"the image has no pixels: it is {image.width} x {image.height}")
    try:
        return upright_rgb(image)
    except UsageError as error:
        raise QueryInvalid(str(error)) from error


def _highlighter(model: str, device: str) -> Highlighter:
    """Give the model that a name stands for now: the working folder or what is in its files may change."""
    from indexer.encoders.names import resolve
    from indexer.encoders.patch_head import HEAD_CARD_FILE, HEAD_FILE

    files = resolve(model, lambda _line: None)
    heads = [files.folder / name for name in (HEAD_CARD_FILE, HEAD_FILE)] if files.folder else []
    return _loaded(model, device, files.name, files.export_key, *map(_stamp, heads))


@functools.lru_cache(maxsize=2)
def _loaded(model: str, device: str, *_what_it_stands_for: object) -> Highlighter:
    return load_highlighter(model, device=device)


def _stamp(file: Path) -> tuple[int, int] | None:
    """Tell a file from what it was before; None where it is not there."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


@_our_errors()
def open_folder(path: str | Path, library: str | Path | None) -> Library:
    """Open the library of a folder of images, or a library by its own folder."""
    folder = normal(choices.path("path", path))
    if library is not None:
        return Library(_existing_folder(folder), as_library(choices.path("library", library)))
    if is_library(folder) or folder.name == LIBRARY_NAME:
        return Library(folder, folder)
    return Library(_existing_folder(folder), folder / LIBRARY_NAME)


def _existing_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise FolderMissing(folder)
    return folder
