"""Extras: what an image file holds beside eight bits each of red, green and blue, and its first picture.

Depth, transparency, words that somebody wrote about it, further pictures, the fraction of its second: what a
copy may lack that looks the same.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

from .colours import ALPHA_MODES
from .opening import exif_of, is_deep, opened_unread

HEAD_BYTES: Final = 4096  # the boxes that tell of a picture's depth stand before its data
LOSSLESS: Final = frozenset({"PNG", "BMP", "TIFF", "PPM"})  # as they are nearly always written

_EXIF_WORDS: Final = {0x010E: "description", 0x9C9B: "title", 0x9C9C: "description", 0x9C9E: "keywords"}
_EXIF_RATING: Final = 0x4746
# What cameras and scanners write into every picture by themselves.
_CAMERAS_WORDS: Final = frozenset(
    ("OLYMPUS DIGITAL CAMERA", "SONY DSC", "DCIM", "KODAK DIGITAL STILL CAMERA", "MINOLTA DIGITAL CAMERA",
     "KONICA MINOLTA DIGITAL CAMERA", "SAMSUNG CAMERA PICTURES", "DIGITAL CAMERA", "EXIF_JPEG_PICTURE")
)  # fmt: skip
_IPTC_WORDS: Final = {(2, 5): "title", (2, 25): "keywords", (2, 120): "description"}
_XMP_WORDS: Final = re.compile(
    rb"<dc:(?:(title)|(description)|(subject))\b|\bxmp:(Rating)(?:\s*=\s*.|>)\s*[1-5]|<mwg-rs:(Regions)\b",
    re.IGNORECASE,
)
_XMP_NAMES: Final = ("title", "description", "keywords", "rating", "people")


@dataclass(frozen=True, slots=True)
class Channels:
    """What a file's picture has beside eight bits each of red, green and blue."""

    deep: bool = False  # more than eight bits
    transparent: bool = False  # somewhere


@dataclass(frozen=True, slots=True)
class Extras:
    """What a file tells beside its picture."""

    words: frozenset[str] = (
        frozenset()
    )  # kinds of what was written about it: title, description, keywords, ...
    pictures: int = 1  # of the several in a JPEG (MPO): a second view, a preview, a map of brightness
    subsecond: str = ""  # of the moment it was taken, in digits behind the point
    lossless: bool = False


def read_channels(path: Path) -> Channels:
    """Tell what RGB does not hold of a file's first picture, RAW aside; decodes only what has transparency.

    Of JPEG 2000 and AVIF, which Pillow gives with eight bits, the header tells. Raises Undecodable.
    """
    with opened_unread(path) as (opened, kind):
        return Channels(
            is_deep(opened) or _tells_depth(opened) or _header_tells_depth(path, kind),
            _is_transparent(opened),
        )


def read_extras(path: Path) -> Extras:
    """Read what a file tells, without its pixels; raises Undecodable, also for RAW."""
    with opened_unread(path) as (opened, kind):
        # PNG's own way decodes the picture to look behind it.
        exif = Image.Image.getexif(opened) if kind == "PNG" else exif_of(opened)
        details: dict[int, Any] = {}
        with suppress(Exception):  # hostile data raises a dozen kinds
            details = exif.get_ifd(ExifTags.IFD.Exif)
        return Extras(
            words=frozenset((*_exif_words(exif, details), *_iptc_words(opened), *_xmp_words(opened))),
            pictures=getattr(opened, "n_frames", 1) if opened.format == "MPO" else 1,
            subsecond=_digits(details.get(ExifTags.Base.SubsecTimeOriginal)),
            lossless=kind in LOSSLESS or _is_lossless(path, kind),
        )


def _exif_words(exif: Image.Exif, details: dict[int, Any]) -> list[str]:
    found = [word for tag, word in _EXIF_WORDS.items() if _has_words(exif.get(tag))]
    if exif.get(_EXIF_RATING):
        found.append("rating")
    comment = details.get(ExifTags.Base.UserComment)
    if isinstance(comment, bytes):
        comment = comment[8:]  # behind the name of its alphabet
    return [*found, "description"] if _has_words(comment) else found


def _has_words(value: object) -> bool:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "ignore")
    if not isinstance(value, str) or value.strip(" \0").upper() in _CAMERAS_WORDS:
        return False
    return any(character.isalnum() for character in value)


def _iptc_words(opened: ImageFile.ImageFile) -> list[str]:
    with suppress(Exception):  # see above
        told: dict[tuple[int, int], Any] = IptcImagePlugin.getiptcinfo(opened) or {}
        return [word for key, word in _IPTC_WORDS.items() if told.get(key)]
    return []


def _xmp_words(opened: ImageFile.ImageFile) -> list[str]:
    packet = opened.info.get("xmp") or opened.info.get("XML:com.adobe.xmp") or b""
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "ignore")
    found = _XMP_WORDS.findall(packet) if isinstance(packet, bytes) else []
    return [name for groups in found for name, group in zip(_XMP_NAMES, groups, strict=True) if group]


def _digits(value: object) -> str:
    text = value.strip(" \0") if isinstance(value, str) else ""
    return text if text.isdigit() else ""


def _is_lossless(path: Path, kind: str) -> bool:
    """Tell whether WebP or JPEG 2000 was written without a loss: by the kind of its data, or its wavelet."""
    if kind not in ("WEBP", "JPEG2000"):
        return False
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if kind == "WEBP":
        return b"VP8L" in head and b"VP8 " not in head
    style = head.find(b"\xff\x52")  # the marker; its wavelet stands 13 bytes behind
    return style >= 0 and head[style + 13 : style + 14] == b"\x01"


def _tells_depth(image: ImageFile.ImageFile) -> bool:
    """Tell whether an image that is not loaded has more shades by its mode, or by what its plugin tells."""
    if image.mode == "F" or image.mode.startswith("I"):
        return True
    # What a PPM calls white stands beside its mode.
    levels = [tile.args[1] for tile in image.tile if image.format == "PPM" and isinstance(tile.args, tuple)]
    return bool(image.info.get("bit_depth", 8) > 8 or any(isinstance(m, int) and m > 255 for m in levels))


def _header_tells_depth(path: Path, kind: str) -> bool:
    if kind not in ("JPEG2000", "AVIF"):
        return False
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    box, after, bits = (b"ihdr", 10, 0x78) if kind == "JPEG2000" else (b"av1C", 2, 0x40)
    at = head.find(box) + len(box) + after
    # JPEG 2000 tells the bits less one, with a sign in front; AVIF whether there are more than eight.
    return box in head and at < len(head) and bool(head[at] & bits)


def _is_transparent(image: Image.Image) -> bool:
    if image.mode in ALPHA_MODES:
        alpha = image.getchannel(image.getbands()[-1])
    elif "transparency" in image.info:
        alpha = image.convert("RGBA").getchannel("A")
    else:
        return False
    return alpha.getextrema() != (255, 255)
