"""Written captions: what people have written into their image files, in XMP or EXIF."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

from PIL import ExifTags, Image

from indexer.workers import usable_cores

from .records import tidy
from .wording import says_something

WORDS_MIN = 2  # a single word is as often a camera's as a person's
REPEATED_MAX = 20  # images; cameras write "OLYMPUS DIGITAL CAMERA" into every one
XMP_BYTES_MAX = 1_000_000
_DESCRIPTION = "{http://purl.org/dc/elements/1.1/}description"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_ITEM = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"


def written_captions(paths: Sequence[Path]) -> dict[Path, tuple[str, ...]]:
    """Give the captions of those files that have one; only their heads are read.

    What stands in more than REPEATED_MAX of them is taken for a camera's or a program's.
    """
    with ThreadPoolExecutor(usable_cores() * 2) as pool:
        found = dict(zip(paths, pool.map(written_in, paths), strict=True))
    counts = Counter(caption for captions in found.values() for caption in captions)
    kept = {path: tuple(c for c in captions if counts[c] <= REPEATED_MAX) for path, captions in found.items()}
    return {path: captions for path, captions in kept.items() if captions}


def written_in(path: Path) -> tuple[str, ...]:
    """Give the descriptions in one file's XMP or EXIF, or else its title; empty where there is none."""
    # A file that Pillow cannot read may be anything; what is wrong with it is told when it is decoded.
    with suppress(Exception), Image.open(path) as image:
        xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
        descriptions, titles = _in_xmp(xmp.encode() if isinstance(xmp, str) else xmp)
        exif = image.getexif().get(ExifTags.Base.ImageDescription)
        said = tidy([*descriptions, exif if isinstance(exif, str) else ""])
        return tuple(dict.fromkeys(text for text in said or tidy(titles) if _is_caption(text)))
    return ()


def _is_caption(text: str) -> bool:
    return len(text.split()) >= WORDS_MIN and says_something(text) and "\\" not in text


def _in_xmp(packet: bytes) -> tuple[list[str], list[str]]:
    """Find descriptions and titles; each has an entry for every language."""
    packet = packet.strip(b"\0 \n\r\t")
    if not packet or len(packet) > XMP_BYTES_MAX or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return [], []
    root = ElementTree.fromstring(packet)
    return _entries(root, _DESCRIPTION), _entries(root, _TITLE)


def _entries(root: ElementTree.Element, tag: str) -> list[str]:
    return [item.text or "" for found in root.iter(tag) for item in found.iter(_ITEM)]
