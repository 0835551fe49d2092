"""Library: the images of a Sightline library, with the folders they lie in as captions."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from indexer.errors import PairsInvalid
from indexer.store.library import open_library
from indexer.store.records import StoredImage

from ..examples import ImagePlace
from .records import Gathered, LeftOut, Reading
from .wording import readable, says_something
from .written import written_captions


def read_library(library: Path) -> Reading:
    """Take what is written in each file as its captions, and else the name of its folder.

    Raises LibraryMissing, and PairsInvalid when no image has either.
    """
    gathered, left_out = Gathered(), LeftOut()
    images = _images(library)
    written = written_captions([image.path for image in images])
    for image in images:
        folder = _folder_words(image)
        if image.path in written:
            gathered.add(ImagePlace(image.path), written[image.path])
        elif folder is not None:
            gathered.add(ImagePlace(image.path), [folder], folder)
        else:
            left_out.add("images whose folder says nothing, such as 2019 or DCIM", image.path)
    if not gathered.captions:
        raise PairsInvalid(library, "none of its images has a caption, nor a folder with a word in its name")
    folders = len(set(gathered.labels.values()))
    notes = (
        f"captions: of {len(written):,} images what is written in the file, of {len(gathered.labels):,} "
        f"the folder's name ({folders:,} folders)",
    )
    return Reading(gathered.examples(), "library", (*notes, *left_out.notes()))


def _images(library: Path) -> list[StoredImage]:
    with open_library(library) as reader:
        ids, _, _ = reader.fingerprints()
        found = reader.images(ids.tolist())
    return sorted(_flat(found.values()), key=lambda image: str(image.path))


def _flat(copies: Iterable[Iterable[StoredImage]]) -> list[StoredImage]:
    return [image for images in copies for image in images]


def _folder_words(image: StoredImage) -> str | None:
    """Give the nearest folder with a word in its name, below the root or the root itself."""
    folders = PurePosixPath(image.relative).parts[-2::-1]
    root = image.path.parents[len(folders)].name
    names = (readable(name) for name in (*folders, root))
    return next((name for name in names if says_something(name)), None)
