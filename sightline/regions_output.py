"""Regions as lines and as JSON, and the photo that they are found in."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.regions import NONE, PRESENT_MIN, RegionBox, Regions

from .amounts import plural
from .names import printable

DECODED_SIDE = 1024  # pixels; a photo whose shorter side is over four times this comes reduced


def open_photo(
    path: Path, max_megapixels: float | None = None, *, notify: Callable[[str], None] = lambda line: None
) -> tuple[Image.Image, tuple[int, int]]:
    """Decode a photo to upright RGB, reduced when it is very large; and its full (width, height).

    notify is told when only a part of it could be decoded. Raises QueryInvalid with the reason.
    """
    from indexer.decode import readable
    from indexer.opening import MAX_MEGAPIXELS, open_upright

    with readable(path):
        image, facts = open_upright(
            path, target=(DECODED_SIDE, DECODED_SIDE), max_megapixels=max_megapixels or MAX_MEGAPIXELS
        )
    if facts.damaged:
        notify(f"{path} is damaged: it is looked at as far as it can be decoded, the rest is flat grey")
    return image, (facts.width, facts.height)


def regions_lines(regions: Regions) -> Iterator[str]:
    """Tell each text's presence, and how many parts of the picture match."""
    for text, name in enumerate(regions.texts):
        yield f"{presence_shown(regions, text)}\t{printable(name)}\t{_found(regions, text)}"


def _found(regions: Regions, text: int) -> str:
    count = len(regions.boxes(text))
    if not count:
        return "not found"
    if not regions.is_outdone(text):
        return plural(count, "region")
    return f"{plural(count, 'region')}, all of {'it' if count == 1 else 'them'} nearer to another text"


def presence_shown(regions: Regions, text: int) -> str:
    """Write a text's presence; what is not in the picture never reads 0.50, from where on things are."""
    presence = float(regions.presence[text])
    return f"{presence if regions.present[text] else min(presence, PRESENT_MIN - 0.01):.2f}"


def regions_dict(regions: Regions, photo: Path, model: str) -> dict[str, Any]:
    """Give plain values for JSON: boxes in shares of the picture, masks as COCO's run lengths."""
    described: dict[str, Any] = {
        "image": str(photo),
        "width": regions.width,
        "height": regions.height,
        "model": model,
        "texts": [_text_dict(regions, text) for text in range(len(regions.texts))],
    }
    if len(regions.texts) > 1:
        described["segmentation"] = [
            {"text": name, "mask": _own_mask(regions, text)} for text, name in enumerate(regions.texts)
        ]
        described["none_of_these"] = run_lengths(regions.labels() == NONE)
    return described


def _own_mask(regions: Regions, text: int) -> dict[str, Any]:
    """Encode where one of several texts fits best."""
    if regions.present[text]:
        return run_lengths(regions.labels() == text)
    return _no_run(regions)


def _text_dict(regions: Regions, text: int) -> dict[str, Any]:
    presence = float(regions.presence[text])
    outdone = regions.is_outdone(text)
    boxes, mask = _boxes_and_mask(regions, text)
    return {
        "text": regions.texts[text],
        "presence": round(presence, 4),
        "present": bool(regions.present[text]),
        "outdone": outdone,
        "boxes": [
            {
                "box": [
                    round(box.left / regions.width, 5),
                    round(box.top / regions.height, 5),
                    round(box.right / regions.width, 5),
                    round(box.bottom / regions.height, 5),
                ],
                "score": round(box.score, 4),
            }
            for box in boxes
        ],
        "mask": _no_run(regions) if mask is None else run_lengths(mask),
    }


def _boxes_and_mask(regions: Regions, text: int) -> tuple[list[RegionBox], NDArray[np.bool_] | None]:
    """Find both in one pass, and let go of the parts they are made from: these take eight times the mask."""
    parts = regions.parts(text)
    return ([], None) if parts is None else (parts.boxes(), parts.mask)


def run_lengths(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Encode a (height, width) mask as COCO does; pycocotools' mask.decode reads it back."""
    from pycocotools import mask as coco

    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def _no_run(regions: Regions) -> dict[str, Any]:
    """Encode the mask of what is nowhere, without making it."""
    from pycocotools import mask as coco

    size = [regions.height, regions.width]
    encoded = coco.frPyObjects({"size": size, "counts": [regions.height * regions.width]}, *size)
    return {"size": size, "counts": encoded["counts"].decode("ascii")}
