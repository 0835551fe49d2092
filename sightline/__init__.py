"""Sightline: find pictures by words or by example; the public Python interface.

    import sightline

    with sightline.open("~/Pictures") as library:
        library.index()
        for hit in library.search("a dog on the beach", limit=10):
            print(hit.path, hit.score, hit.relevance)

    encoder = sightline.load_encoder("builtin")
    vectors = encoder.encode_texts(["a dog", "a cat"])  # (2, dim) float32, rows of length one

    maps = sightline.highlight("photo.jpg", ["a dog", "a cat"])  # (2, height, width) float32, 0 to 1

Every error is a `sightline.SightlineError`; `indexer/errors.py` draws the family. Importing this module is
cheap: what is heavy is imported when it is used.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from indexer.encoders.base import Encoder
    from indexer.errors import (
        CatalogDamaged,
        CatalogNewerThanProgram,
        DeletedForGood,
        DiskFull,
        EncoderError,
        EncoderMismatch,
        EncoderUnknown,
        ExampleMissing,
        FileSystemUnfit,
        FolderMissing,
        HeadUnfit,
        JournalUnreadable,
        LibraryBusy,
        LibraryEmpty,
        LibraryError,
        LibraryMissing,
        LibraryReadOnly,
        NoPatchVectors,
        PairsInvalid,
        QueryInvalid,
        RunUnknown,
        SightlineError,
        SystemRefused,
        TemporaryFolderFull,
        TrainingFailed,
        UsageError,
        VectorsMissing,
        WeightsUnavailable,
    )
    from indexer.pipeline import Progress
    from indexer.records import EncoderCard, IndexSummary
    from indexer.store.records import LibraryStatus, StoredImage, VerifyReport
    from search.results import Hit, SearchAnswer

    from .api import Library

__all__ = [
    "CatalogDamaged",
    "CatalogNewerThanProgram",
    "DeletedForGood",
    "DiskFull",
    "Encoder",
    "EncoderCard",
    "EncoderError",
    "EncoderMismatch",
    "EncoderUnknown",
    "ExampleMissing",
    "FileSystemUnfit",
    "FolderMissing",
    "HeadUnfit",
    "Hit",
    "IndexSummary",
    "JournalUnreadable",
    "Library",
    "LibraryBusy",
    "LibraryEmpty",
    "LibraryError",
    "LibraryMissing",
    "LibraryReadOnly",
    "LibraryStatus",
    "NoPatchVectors",
    "PairsInvalid",
    "Progress",
    "QueryInvalid",
    "RunUnknown",
    "SearchAnswer",
    "SightlineError",
    "StoredImage",
    "SystemRefused",
    "TemporaryFolderFull",
    "TrainingFailed",
    "UsageError",
    "VectorsMissing",
    "VerifyReport",
    "WeightsUnavailable",
    "highlight",
    "load_encoder",
    "open",
]

_HOMES = {  # of what is no error
    "Encoder": "indexer.encoders.base",
    "EncoderCard": "indexer.records",
    "Hit": "search.results",
    "IndexSummary": "indexer.records",
    "Library": "sightline.api",
    "LibraryStatus": "indexer.store.records",
    "Progress": "indexer.pipeline",
    "SearchAnswer": "search.results",
    "StoredImage": "indexer.store.records",
    "VerifyReport": "indexer.store.records",
}


def open(path: str | Path, *, library: str | Path | None = None) -> "Library":
    """Open the library of a folder of images: its .sightline, which the first `index` makes.

    A path that is a library itself is opened too. With library it is kept there instead: for folders that
    cannot be written, or several in one library.
    Raises FolderMissing, and UsageError for what is no path; searching before anything is indexed raises
    LibraryMissing or LibraryEmpty.
    """
    from .api import open_folder

    return open_folder(path, library)


def load_encoder(name: str = "auto", *, device: str = "auto", batch_size: int | None = None) -> "Encoder":
    """Load an encoder: `auto`, `builtin`, `ARCHITECTURE/TAG`, `ARCHITECTURE@FILE` or a folder of our trainer.

    It has encode_images (Pillow images of any size and mode) and encode_texts; both give (n, dim) float32
    rows of length one; both raise UsageError for what they do not take. device: auto, cpu, cuda, cuda:1.
    Raises EncoderUnknown, WeightsUnavailable, EncoderError, and UsageError for what is no name, no device or
    no batch size.
    """
    from indexer.encoders.loading import load_encoder as load

    from . import choices

    name, device = choices.model_name("name", name), choices.device("device", device)
    batch_size = choices.optional(choices.count, "batch_size", batch_size)
    return load(name, device=device, batch_size=batch_size)


def highlight(
    image: "str | Path | Image.Image",
    texts: str | Sequence[str],
    *,
    model: str = "builtin",
    device: str = "auto",
) -> "NDArray[np.float32]":
    """Show where in an image each text matches: (texts, height, width) float32, 0 to 1, at its upright size.

    image: a file, or a Pillow image of any size and mode. From 0.5 on a place is said to match; a text whose
    map stays below is not in the image, and maps of several texts can be compared. The last two models stay
    loaded. Raises QueryInvalid for no text, an empty one, a file that cannot be read, or what is no image,
    text or name; EncoderUnknown and WeightsUnavailable as `load_encoder`; EncoderError for a model that
    cannot tell places.
    """
    from .api import highlight_image

    return highlight_image(image, texts, model, device)


if not TYPE_CHECKING:  # which knows all names from above, and shall miss any other

    def __getattr__(name: str) -> Any:
        if name in __all__:
            return getattr(import_module(_HOMES.get(name, "indexer.errors")), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
