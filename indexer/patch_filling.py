"""Filling in patches: the patch vectors of images that are indexed, so that regions need no picture."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from .encoders.dense import PatchEncoder
from .errors import DiskFull, EncoderMismatch, LibraryBusy, LibraryReadOnly
from .opening import INDEXED_MEGAPIXELS_MAX, Undecodable, open_upright
from .patch_grids import Grids, PackedGrid, pack_grid
from .store.library import open_for_writing, open_library
from .store.reader import LibraryReader
from .store.records import StoredEncoder, StoredImage
from .workers import usable_cores

if TYPE_CHECKING:
    from PIL import Image

# Images: a kill loses the patches of so many at most. Decoded they take up to 14 MB each, all at once.
COMMIT_EVERY = 32


@dataclass(frozen=True, slots=True)
class PatchesFilled:
    """What a run took down."""

    stored: int  # images
    unreadable: int
    stored_bytes: int
    interrupted: bool


def fill_patches(
    library: Path,
    encoder: PatchEncoder,
    *,
    progress: Callable[[int, int], None] = lambda *_: None,
    stop: threading.Event | None = None,
) -> PatchesFilled:
    """Store the patch vectors of all images that have none of this encoder.

    Raises EncoderMismatch, LibraryBusy, LibraryReadOnly, DiskFull; what is stored by then stays.
    """
    with open_library(library) as reader:
        mine = stored_encoder(reader, encoder)
        images = reader.images(reader.without_patches(mine, encoder.recipe).tolist())
    seen = stored = size = 0
    with open_for_writing(library, create=False) as writer:
        for some in _portions(images):
            if stop is not None and stop.is_set():
                break
            grids = take_patches(some, encoder)
            writer.put_patches(mine, encoder.recipe, grids)
            seen, stored = seen + len(some), stored + len(grids)
            size += sum(len(grid.cells) for grid in grids.values())
            progress(seen, len(images))
    return PatchesFilled(stored, seen - stored, size, interrupted=seen < len(images))


def patches_of(
    library: Path,
    encoder: PatchEncoder,
    hashes: Sequence[bytes],
    *,
    notify: Callable[[str], None] = lambda _line: None,
) -> Grids:
    """Give the grids of some contents; what is not stored yet is taken now, and stored if that can be.

    A picture that cannot be read has none. notify is told when many are to be taken; what is stored when
    that is broken off stays. Raises EncoderMismatch.
    """
    with open_library(library) as reader:
        mine = stored_encoder(reader, encoder)
        found = reader.patch_grids(mine, encoder.recipe, hashes)
        images = reader.images(reader.content_ids([each for each in hashes if each not in found]))
    if len(images) > COMMIT_EVERY:
        notify(f"taking the patch vectors of {len(images):,} images; they are kept if that can be")
    for some in _portions(images):
        taken = take_patches(some, encoder)
        _keep_if_possible(library, mine, encoder.recipe, taken)
        found |= {some[content][0].content_hash: grid for content, grid in taken.items()}
    return Grids(found)


def _keep_if_possible(
    library: Path, encoder: StoredEncoder, recipe: str, grids: Mapping[int, PackedGrid]
) -> None:
    """Store patch vectors that a search took, unless the library cannot be written now."""
    if not grids:
        return
    with (
        suppress(LibraryBusy, LibraryReadOnly, DiskFull),
        open_for_writing(library, create=False) as writer,
    ):
        writer.put_patches(encoder, recipe, grids)


def stored_encoder(reader: LibraryReader, encoder: PatchEncoder) -> StoredEncoder:
    """Find the library's encoder with these weights; raises EncoderMismatch."""
    encoders = reader.encoders()
    for each in encoders:
        if each.card.weights_hash == encoder.card.weights_hash:
            return each
    raise EncoderMismatch(encoder.card.name, tuple(each.card.name for each in encoders))


def _portions(images: Mapping[int, Sequence[StoredImage]]) -> Iterator[dict[int, Sequence[StoredImage]]]:
    items = iter(images.items())
    while some := dict(islice(items, COMMIT_EVERY)):
        yield some


def take_patches(images: Mapping[int, Sequence[StoredImage]], encoder: PatchEncoder) -> dict[int, PackedGrid]:
    """Read pictures and encode their patches; what cannot be read, or has changed, is left out."""
    side = max(encoder.settings.short_sides)
    with ThreadPoolExecutor(usable_cores(), thread_name_prefix="patches") as threads:
        opened = threads.map(lambda copies: _opened(copies, side), images.values())
        readable = {
            content: image for content, image in zip(images, opened, strict=True) if image is not None
        }
    grids = encoder.encode_patches(list(readable.values()))
    return {content: pack_grid(grid) for content, grid in zip(readable, grids, strict=True)}


def _opened(copies: Sequence[StoredImage], side: int) -> "Image.Image | None":
    for image in copies:
        with suppress(Undecodable, OSError):
            if image.is_as_indexed():  # else the patches of another picture would go by this one's name
                return open_upright(image.path, target=(side, side), max_megapixels=INDEXED_MEGAPIXELS_MAX)[0]
    return None
