"""Regions at index time: patch vectors stored beside the image vectors, when the user wants that."""

import threading
from collections.abc import Callable
from pathlib import Path

from indexer.encoders.dense import PatchEncoder
from indexer.encoders.dense_loading import load_patch_encoder
from indexer.errors import LibraryEmpty, NoPatchVectors
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

    wanted: from now on; None: as it was said last, and then notify is told of a model that has no patch
    vectors. Raises NoPatchVectors where they are wanted now, and what `fill_patches` raises.
    """
    with open_library(library) as reader:
        before = reader.keeps_patches()
        try:
            name = reader.default_encoder().card.name
        except LibraryEmpty:
            return None
    kept = before if wanted is None else wanted
    encoder = _load(name, device, notify, wanted_now=bool(wanted)) if kept else None
    if kept != before:
        with open_for_writing(library, create=False) as writer:
            writer.keep_patches(kept)
    return fill_patches(library, encoder, progress=progress, stop=stop) if encoder else None


def _load(name: str, device: str, notify: Callable[[str], None], *, wanted_now: bool) -> PatchEncoder | None:
    """Load what gives patch vectors; None, and a line about it, where only an earlier run wanted them."""
    try:
        return load_patch_encoder(name, device=device, notify=notify)
    except NoPatchVectors as error:
        if wanted_now:
            raise
        told = f"no regions are stored: {error.name} cannot tell where something is"
        notify(f"{told}; `--no-regions` ends this")
        return None
