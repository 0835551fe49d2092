"""Regions at index time: patch vectors stored beside the image vectors, when the user wants that."""

import threading
from collections.abc import Callable
from pathlib import Path

from indexer.encoders.dense_loading import load_patch_encoder
from indexer.errors import LibraryEmpty
from indexer.patch_filling import PatchesFilled, fill_patches
from indexer.store.library import open_for_writing, open_library


def fill_regions(
    library: Path,
    wanted: bool | None,
    *,
    device: str = "auto",
    progress: Callable[[int, int], None] = lambda *_: None,
    notify: Callable[[str], None] = lambda _line: None,
    stop: threading.Event | None = None,
) -> PatchesFilled | None:
    """Store the patch vectors that a library lacks; None when it is to have none, or has no images.

    wanted: from now on; None: as it was said last. Raises NoPatchVectors and what `fill_patches` raises.
    """
    with open_library(library) as reader:
        before = reader.keeps_patches()
        try:
            name = reader.default_encoder().card.name
        except LibraryEmpty:
            return None
    kept = before if wanted is None else wanted
    encoder = load_patch_encoder(name, device=device, notify=notify) if kept else None
    if kept != before:
        with open_for_writing(library, create=False) as writer:
            writer.keep_patches(kept)
    return fill_patches(library, encoder, progress=progress, stop=stop) if encoder else None
