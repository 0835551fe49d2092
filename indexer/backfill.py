"""Backfill: take down what an older program did not, from files that are indexed already."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path

from .features import SIDE, Features, local_features
from .opening import INDEXED_MEGAPIXELS_MAX, Undecodable, open_upright
from .store.library import open_for_writing, open_library
from .store.records import StoredImage
from .workers import usable_cores

COMMIT_EVERY = 256  # images


def fill_features(library: Path, *, progress: Callable[[int, int], None] = lambda *_: None) -> int:
    """Store the local features of contents that have none; count those that could not be read.

    Raises LibraryBusy, LibraryReadOnly, DiskFull; what is stored by then stays.
    """
    with open_library(library) as reader:
        images = reader.images(reader.without_features().tolist())
    if not images:
        return 0
    stored = 0
    with open_for_writing(library, create=False) as writer:
        for done in _taken(images):
            writer.put_features(done)
            stored += len(done)
            progress(stored, len(images))
    return len(images) - stored


def _taken(images: Mapping[int, Sequence[StoredImage]]) -> Iterator[dict[int, Features]]:
    with ThreadPoolExecutor(usable_cores(), thread_name_prefix="features") as threads:
        items = iter(images.items())
        while some := list(islice(items, COMMIT_EVERY)):
            taken = threads.map(lambda item: _features(item[1]), some)
            found = zip((content for content, _ in some), taken, strict=True)
            yield {content: features for content, features in found if features is not None}


def _features(copies: Sequence[StoredImage]) -> Features | None:
    for image in copies:
        with suppress(Undecodable, OSError):
            if image.is_as_indexed():  # else the marks of another picture would go by this one's name
                most = INDEXED_MEGAPIXELS_MAX
                return local_features(open_upright(image.path, target=(SIDE, SIDE), max_megapixels=most)[0])
    return None
