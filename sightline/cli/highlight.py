"""`sightline highlight`: where in a photo is what the words say?"""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from indexer.errors import (
    EncoderError,
    EncoderUnknown,
    ExampleMissing,
    LibraryMissing,
    SightlineError,
    WeightsUnavailable,
)
from indexer.typed_paths import rejoined

from ..writing import check_drawing, write_picture
from .options import AnyPath, FiniteRange, device_option

if TYPE_CHECKING:
    from PIL import Image

    from search.regions import Highlighter, Regions

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
# A name holds 255 bytes on most disks; what is put behind the stem takes up to 20.
STEM_BYTES_MAX = 220
BUILTIN_REMARK = (
    "the built-in model is small and often errs; --model NAME sees better, `sightline models` lists names"
)
MASK_TEXTS_MAX = 255  # eight bits a pixel, and 0 is none of the texts

EPILOG = """\b
Examples:
  sightline highlight photo.jpg "red umbrella"
  sightline highlight photo.jpg "red umbrella" --out umbrella.png --boxes
  sightline highlight photo.jpg dog sofa window --mask labels.png
  sightline highlight photo.jpg dog --json | jq '.texts[0].boxes'

One text gives a heat map; several give a segmentation, in which grey is none of these. Without
--out the picture is written beside the photo, under a name that is free yet.

\b
Each map says from 0 to 1 how far a place stands above what chance texts get in this picture; from
0.5 on it is said to match (the white line). A text whose map stays below is told as not found, and
may be there all the same; the small built-in model often errs both ways.
--mask: 255 where one text matches; with several, 1 for the first text, 2 for the second, 0 for none
(255 texts at most).
--json: boxes as [left, top, right, bottom], 0 to 1; masks run-length encoded as COCO does.
docs/regions.md tells how far to trust a map.
"""


@click.command("highlight", epilog=EPILOG)
@click.argument("photo", type=AnyPath())
@click.argument("texts", nargs=-1)
@click.option("--out", type=AnyPath(), metavar="FILE.png", help="Write the photo with its regions there.")
@click.option("--boxes", is_flag=True, help="Draw boxes with scores around what matches.")
@click.option("--mask", type=AnyPath(), metavar="FILE.png", help="Write a mask of what matches.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; no picture unless --out is given.")
@click.option(
    "--model",
    metavar="NAME",
    help="See `sightline models`. Default: that of the library at the photo, else at the current folder, if "
    "it is here and tells places; else builtin.",
)
@click.option("--no-head", is_flag=True, help="Leave out the head that was learned for the model's patches.")
@device_option
@click.option("--max-megapixels", type=FiniteRange(min=0, min_open=True), help="Refuse larger photos.")
def command(
    photo: Path,
    texts: tuple[str, ...],
    out: Path | None,
    boxes: bool,
    mask: Path | None,
    as_json: bool,
    model: str | None,
    no_head: bool,
    device: str,
    max_megapixels: float | None,
) -> None:
    """Show where in a photo the words match."""
    _check_names(photo, out, mask)
    if mask:
        _check_mask_holds(texts)
    if not photo.exists() and (meant := rejoined([str(photo), *texts], 0)):
        raise ExampleMissing(photo, meant=meant)
    from search.regions_texts import checked_texts

    from .. import show
    from ..regions_output import open_photo, regions_dict, regions_lines

    checked_texts(texts)
    image, size = open_photo(photo, max_megapixels, notify=show.remark)
    highlighter = _highlighter(model, photo, device=device, with_head=not no_head)
    regions = highlighter.find(image, texts, size=size)
    if as_json:
        show.json_lines([regions_dict(regions, photo, highlighter.model)])
    else:
        show.raw("".join(f"{line}\n" for line in regions_lines(regions)))
    if mask:
        _write(_mask_image(regions), mask)
    if out or not (as_json or mask):
        from ..overlay import overlay

        _write(overlay(image, regions, model=highlighter.model, boxes=boxes), out or _free_name(photo))


def _highlighter(model: str | None, photo: Path, *, device: str, with_head: bool) -> "Highlighter":
    """Load the model that is named, else that of a library nearby, else the built-in one."""
    from indexer.encoders.names import BUILTIN
    from search.regions import load_highlighter

    from .. import show

    load = partial(load_highlighter, device=device, with_head=with_head, notify=show.remark)
    if model is None and (known := _model_nearby(photo)) not in (None, BUILTIN):
        try:
            return load(_on_this_computer(str(known)))
        except (EncoderError, EncoderUnknown) as error:
            why = getattr(error, "reason", error)
            show.remark(f"the library's model {known} is not used: {why}")
    if model in (None, BUILTIN):
        show.remark(BUILTIN_REMARK)
    return load(model or BUILTIN)


def _model_nearby(photo: Path) -> str | None:
    """Give the model that searches use in the library at the photo, else in the current one."""
    from indexer.store.files import find_library
    from indexer.store.lookup import glance_at_model

    from .. import show
    from ..places import library_nearby

    try:
        library = find_library(photo.parent) or library_nearby(os.environ)
        return None if library is None else glance_at_model(library)
    except LibraryMissing:  # it has just been taken away
        return None
    except SightlineError as error:
        show.remark(f"the library's model is not known, and builtin is used: {error}")
        return None


def _on_this_computer(name: str) -> str:
    """Give a name back; raises WeightsUnavailable for a model of which one would have to fetch a part."""
    from indexer.encoders.models import is_complete
    from indexer.encoders.names import resolve

    files = resolve(name, lambda _line: None, fetch=False)
    if not is_complete(files):
        raise WeightsUnavailable(name, "its tokenizer is not on this computer")
    return files.name


def _check_names(photo: Path, out: Path | None, mask: Path | None) -> None:
    """Refuse what could not be written, or would be the photo itself, before any work is done."""
    if out and out.suffix.lower() not in PICTURE_SUFFIXES:
        raise click.UsageError(f"--out {out}: its name must end in {', '.join(PICTURE_SUFFIXES)}")
    if mask and mask.suffix.lower() != ".png":
        raise click.UsageError(f"--mask {mask}: its name must end in .png, which keeps every value")
    for option, file in (("--out", out), ("--mask", mask)):
        if file and file.exists() and photo.exists() and file.samefile(photo):
            raise click.UsageError(f"{file} is the photo itself; give another name")
        if file:
            check_drawing(file, option)
    if out and mask and os.path.realpath(out) == os.path.realpath(mask):
        raise click.UsageError("--out and --mask name the same file; give two names")


def _check_mask_holds(texts: Sequence[str]) -> None:
    if len(texts) > MASK_TEXTS_MAX:
        raise click.UsageError(
            f"{len(texts)} texts, and a mask has values for {MASK_TEXTS_MAX}; ask for fewer, or use --json"
        )


def _free_name(photo: Path) -> Path:
    """Give a name beside the photo that no file has, and that the disk takes."""
    stem = photo.stem
    while len(os.fsencode(stem)) > STEM_BYTES_MAX:
        stem = stem[:-1]
    number = 1
    while True:
        counted = "" if number == 1 else f"-{number}"
        file = photo.with_name(f"{stem}.highlight{counted}.png")
        if not file.exists():
            return file
        number += 1


def _mask_image(regions: "Regions") -> "Image.Image":
    import numpy as np
    from PIL import Image

    if len(regions.texts) == 1:
        return Image.fromarray(np.where(regions.matches(0), 255, 0).astype(np.uint8))
    labels: Any = regions.labels() + 1
    return Image.fromarray(labels.astype(np.uint8))


def _write(image: "Image.Image", file: Path) -> None:
    from .. import show

    with show.told_written(file):
        write_picture(image, file)
