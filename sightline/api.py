"""The public interface: a library to index, search and read from Python."""

import functools
import operator
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from indexer.encoders.base import upright_rgb
from indexer.errors import FolderMissing, LibraryEmpty, LibraryMissing, QueryInvalid
from indexer.paths import home_expanded
from indexer.pipeline import IndexSettings, Progress, index_folders
from indexer.records import EncoderCard, Ids, IndexSummary, Vectors
from indexer.store.files import LIBRARY_NAME
from indexer.store.library import open_for_writing, open_library
from indexer.store.reader import LibraryReader
from indexer.store.records import LibraryStatus, StoredImage, VerifyReport
from search.encoding import load_for_query
from search.engine import choose_encoder, search
from search.parts import by_parts as order_by_parts
from search.parts import images_ahead
from search.query import Query, make_query
from search.regions import Highlighter, load_highlighter
from search.regions_texts import checked_texts
from search.results import SearchAnswer

from .choices import make_filters
from .places import as_library, is_library
from .regions_indexing import fill_regions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from indexer.encoders.base import Encoder

MAPS_BYTES_MAX = 4_000_000_000


class Library:
    """Images that have been indexed; open one with `sightline.open`.

    It reads what `index` committed, also by another process; encoders are loaded once and kept, so the
    second search is faster than the first. Use it from one thread, and close it or use `with`.
    """

    def __init__(self, folder: Path, path: Path) -> None:
        self.folder = folder  # of images; what `index` takes by default
        self.path = path  # the library's own folder
        self._reader: LibraryReader | None = None
        self._encoders: dict[tuple[str, bool], Encoder] = {}

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

    def index(
        self,
        *folders: str | Path,
        model: str | None = None,
        device: str = "auto",
        batch_size: int | None = None,
        workers: int | None = None,
        exclude: Sequence[str] = (),
        include_hidden: bool = False,
        max_megapixels: float | None = None,
        retry_skipped: bool = False,
        regions: bool | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        on_notice: Callable[[str], None] = lambda line: None,
        stop: threading.Event | None = None,
    ) -> IndexSummary:
        """Bring the library up to date with folders: its own by default; make it when absent.

        regions: store patch vectors too, so that hits are highlighted without reading them; None: as it was
        said last. on_progress hears how far the run is, on_notice one-line remarks; setting stop ends it
        cleanly.
        What was committed before an error stays. Raises FolderMissing, LibraryBusy, LibraryReadOnly,
        EncoderError, DiskFull.
        """
        self.close()
        summary = index_folders(
            self.path,
            [home_expanded(Path(folder)) for folder in folders] or self._folders(),
            IndexSettings(
                model=model,
                device=device,
                batch_size=batch_size,
                workers=workers,
                exclude=tuple(exclude),
                include_hidden=include_hidden,
                max_megapixels=max_megapixels,
                retry_skipped=retry_skipped,
            ),
            on_progress=on_progress,
            on_notice=on_notice,
            stop=stop,
        )
        if not summary.interrupted:
            fill_regions(self.path, regions, device=device, notify=on_notice, stop=stop)
        return summary

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
        get here, and answer.nothing_matches whether no hit does (see search/rank.py). by_parts orders the
        nearest images anew by how well parts of them match the words (search/parts.py).
        Raises LibraryMissing, LibraryEmpty, VectorsMissing, QueryInvalid, EncoderMismatch, EncoderError.
        """
        limit = _count(limit)
        parts = make_query(_words(query), without=_words(without), like=_files(like))
        filters = make_filters(
            folder=folder,
            after=after,
            before=before,
            camera=camera,
            min_width=min_width,
            min_height=min_height,
        )
        answer = search(
            self._opened(),
            parts,
            filters=filters,
            limit=images_ahead(limit) if by_parts else limit,
            min_score=min_score,
            min_relevance=min_relevance,
            model=model,
            load=self._encoder_for,
        )
        return order_by_parts(answer, self.path, limit=limit) if by_parts else answer

    def embeddings(self, *, model: str | None = None) -> tuple[Ids, Vectors]:
        """Give all vectors: ids (n,) int64, and (n, dim) float32 rows of length one; model: see `status`."""
        reader = self._opened()
        return reader.embeddings(choose_encoder(reader, model))

    def images(self, ids: Iterable[int]) -> dict[int, list[StoredImage]]:
        """Give the files of each id of `embeddings`: several when exact copies exist."""
        return self._opened().images([int(number) for number in ids], None)

    def status(self) -> LibraryStatus:
        """Count images, files, skipped files, encoders and bytes; raises LibraryMissing."""
        return self._opened().status()

    def verify(self, *, repair: bool = True, deep: bool = False) -> VerifyReport:
        """Check catalog, vectors and files against each other; repair rewrites what can be derived.

        deep reads every image again and compares it with its hash. Raises LibraryMissing, CatalogDamaged,
        LibraryBusy when something is to be repaired while another process writes.
        """
        from indexer.store.verify import verify, verify_and_repair

        self.close()
        path = self._existing()
        return verify_and_repair(path, deep=deep) if repair else verify(path, deep=deep)

    def forget(self, path: str | Path) -> int:
        """Take a file, or all below a folder, out of the library; give how many files left it.

        The images on disk stay; the next `index` over them takes them in again.
        """
        self.close()
        with open_for_writing(self._existing(), create=False) as writer:
            return writer.forget(home_expanded(Path(path)).absolute())

    def _folders(self) -> list[Path]:
        """Give what `index` takes when no folder is named."""
        if self.folder != self.path:
            return [self.folder]
        if not is_library(self.path):
            raise LibraryEmpty(self.path)
        roots = list(self._opened().roots())
        self.close()
        return roots

    def _existing(self) -> Path:
        if not is_library(self.path):
            raise LibraryMissing(self.folder)
        return self.path

    def _opened(self) -> LibraryReader:
        if self._reader is None:
            self._reader = open_library(self._existing())
        return self._reader

    def _encoder_for(self, card: EncoderCard, query: Query) -> "Encoder":
        """Load an encoder once; one that reads images serves texts too."""
        whole = bool(query.examples)
        for kept in ((card.weights_hash, True), (card.weights_hash, whole)):
            if kept in self._encoders:
                return self._encoders[kept]
        return self._encoders.setdefault((card.weights_hash, whole), load_for_query(card, query))


def highlight_image(
    image: "str | Path | Image.Image", texts: str | Sequence[str], model: str, device: str
) -> "NDArray[np.float32]":
    """Find texts in an image; see `sightline.highlight`."""
    from .regions_output import open_photo

    wanted = checked_texts(_words(texts))
    if isinstance(image, str | Path):
        opened, size = open_photo(home_expanded(Path(image)))
    else:
        opened, size = _upright(image), None
    width, height = size or opened.size
    if len(wanted) * width * height * 4 > MAPS_BYTES_MAX:
        raise QueryInvalid(
            f"{len(wanted)} maps of {width:,} x {height:,} pixels would take over 4 GB; ask for fewer texts "
            "at a time, or make the image smaller"
        )
    return _highlighter(model, device).find(opened, wanted, size=size).maps()


def _words(texts: object) -> Sequence[str]:
    words = [texts] if isinstance(texts, str) else texts
    if not isinstance(words, Sequence) or not all(isinstance(word, str) for word in words):
        raise QueryInvalid(f"texts are a str or a list of str, not {type(texts).__name__}: {texts!r:.60}")
    return words


def _upright(image: object) -> "Image.Image":
    from PIL import Image

    if not isinstance(image, Image.Image):
        what = type(image).__name__
        raise QueryInvalid(f"an image is a path or a Pillow image, not {what}; Image.fromarray makes one")
    if not all(image.size):
        raise QueryInvalid(f"the image has no pixels: it is {image.width} x {image.height}")
    try:
        return upright_rgb(image)
    except OSError as error:
        raise QueryInvalid(f"the image cannot be decoded: {error}") from error


@functools.lru_cache(maxsize=2)
def _highlighter(model: str, device: str) -> Highlighter:
    return load_highlighter(model, device=device)


def open_folder(path: str | Path, library: str | Path | None) -> Library:
    """Open the library of a folder of images, or a library by its own folder."""
    folder = home_expanded(Path(path)).absolute()
    if library is not None:
        return Library(_existing_folder(folder), as_library(Path(library)))
    if is_library(folder) or folder.name == LIBRARY_NAME:
        return Library(folder, folder)
    return Library(_existing_folder(folder), folder / LIBRARY_NAME)


def _existing_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise FolderMissing(folder)
    return folder


def _files(files: object) -> Sequence[str | Path]:
    some = [files] if isinstance(files, str | Path) else files
    if not isinstance(some, Sequence) or not all(isinstance(file, str | Path) for file in some):
        raise QueryInvalid(f"like is a path or a list of paths, not {type(files).__name__}: {files!r:.60}")
    return some


def _count(limit: object) -> int:
    """Read a whole number, numpy's too."""
    try:
        count = operator.index(limit)  # type: ignore[arg-type]  # it is what tells
    except TypeError as error:
        raise QueryInvalid(f"limit is a whole number, not {type(limit).__name__}: {limit!r:.60}") from error
    if count < 1:
        raise QueryInvalid(f"limit is {count}; ask for 1 image at least")
    return count
