"""Opening: a file or bytes to an upright RGB image, the one decode path of index and query."""

import errno
import io
import math
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from . import raw
from .colours import to_rgb, to_scalable
from .fingerprint import ExifFacts, pixel_hash, read_exif
from .formats import HEAD_BYTES, RAW_EXTENSIONS, SEVERAL_PICTURES, describe_other, extension, sniff
from .own_pictures import is_marked
from .pillow_switches import Switches, switched

MAX_MEGAPIXELS: Final = 200.0  # the largest sensors in use; such an image takes a gigabyte to decode
INDEXED_MEGAPIXELS_MAX: Final = 1000.0  # what was indexed was within the limit that the user chose
MEGAPIXELS_ADVICE: Final = "raise it with --max-megapixels"
MARGIN: Final = 2  # decode to at least twice the encoder's side: then scaling down hides how it was reduced
SEEN_SIDE: Final = 256  # samples a side are enough to judge that
SEEN_MIN: Final = 0.05  # of the rows; below this a damaged image shows nothing a person would look for

PIXELS_HASHED_MAX: Final = 50_000_000  # whole in RGB beside what the decoder holds, within a worker's memory

# Deflate packs 1,032 to 1 at most, of 8 pixels to a byte at most; these formats have nothing stronger.
PIXELS_PER_BYTE_MAX: Final = 20_000
PIXELS_PER_BYTE_KINDS: Final = ("BMP", "PNG", "GIF", "PPM", "JPEG", "ICO", "CUR")

_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SHORTEST_IMAGE: Final = 26  # bytes; the smallest valid GIF. A header alone is a file cut off
_UNSUPPORTED: Final = ("unsupported", "not supported", "unknown pixel mode", "not been built in")
_CUT_OFF: Final = ("truncated", "end of file", "not enough image data", "eof", "index out of range", "unpack")
# What seeking by a damaged file's own numbers gives; all other errors with a number are the drive's.
_SEEKING_ERRORS: Final = frozenset((errno.EINVAL, errno.EFBIG, errno.EOVERFLOW))
_TERMINAL_LOCK = threading.RLock()
_BOMBS: Final = (Image.DecompressionBombWarning, Image.DecompressionBombError)


class Undecodable(Exception):
    """A file gives no image. Stays inside the decoder: it leaves as Skipped, or as QueryInvalid."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TooManyPictures(Undecodable):
    """A file holds more pictures than are looked at."""


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What an image's file says of itself, but for its hashes; the fields are those of ImageFacts."""

    width: int  # upright
    height: int
    format: str
    taken_at: datetime | None
    camera: str | None
    latitude: float | None
    longitude: float | None
    # When asked for; None where not all pixels were decoded, or where RGB does not hold all of the picture.
    pixel_hash: bytes | None = None
    damaged: bool = False  # it shows what could be rescued
    drawn: bool = False  # by this program


def open_upright(
    source: Path | bytes,
    *,
    target: tuple[int, int] | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
    name: str = "",
    hash_pixels: bool = False,
    thumbnails: bool = True,
) -> tuple[Image.Image, SourceFacts]:
    """Decode to upright RGB as a viewer shows it; raise Undecodable with the reason.

    With a target (width, height) the image may come reduced, but not below twice the target's longer side.
    The format is judged by content; only RAW needs its name, taken from the path or from `name`. thumbnails:
    whether the one in a HEIC may stand for its picture, of which it does not show whether it is whole.
    """
    enough = None if target is None else MARGIN * max(target)
    request = _Request(source, enough, max_megapixels, hash_pixels, thumbnails)
    head = request.head
    if extension(name or getattr(source, "name", "")) in RAW_EXTENSIONS:
        opened = _open_raw(request)
        if opened is not None:
            return opened
    kind = sniff(head)
    if kind is None:
        raise Undecodable(f"not an image: {describe_other(head)}" if head else "the file is empty")
    return _open_or_rescue(request, kind)


@contextmanager
def opened_unread(path: Path) -> Iterator[tuple[ImageFile.ImageFile, str]]:
    """Give an indexed file, RAW aside, before its pixels are decoded, and its kind; raises Undecodable."""
    request = _Request(path, None, INDEXED_MEGAPIXELS_MAX, hash_pixels=False)
    kind = sniff(request.head)
    if kind is None:
        raise Undecodable(f"not an image: {describe_other(request.head)}")
    with _switched(request, lenient=True), quiet(kind):
        try:
            with _opened(path, request, kind) as opened:
                request.check_size(*opened.size)
                yield opened, kind
        except (Undecodable, MemoryError):
            raise
        except Exception as error:  # see _open_or_rescue
            if _is_drives(error):
                raise
            raise Undecodable(_describe_damage(error, request, kind)) from error


def open_later_pictures(path: Path, *, most: int, enough: int) -> list[Image.Image]:
    """Decode what an indexed animation or document shows after its first picture; RGB, empty for most files.

    They come reduced, their shorter side not below `enough` pixels if it was not. What else lies in a JPEG is
    made from its picture: a preview, a gain map. Raises Undecodable, TooManyPictures for more than `most`.
    """
    request = _Request(path, enough, INDEXED_MEGAPIXELS_MAX, hash_pixels=False)
    kind = sniff(request.head)
    if kind not in SEVERAL_PICTURES or extension(path.name) in RAW_EXTENSIONS:
        return []
    with _switched(request, lenient=False), quiet(kind):
        try:
            with _opened(path, request, kind) as opened:
                return list(_later_pictures(opened, request, most))
        except (Undecodable, MemoryError):
            raise
        except Exception as error:  # see _open_or_rescue
            if _is_drives(error):
                raise
            raise Undecodable(_describe_damage(error, request, kind)) from error


def _later_pictures(opened: Image.Image, request: "_Request", most: int) -> Iterator[Image.Image]:
    count = getattr(opened, "n_frames", 1)
    if count - 1 > most:
        raise TooManyPictures(f"{count:,} pictures in one file")
    for number in range(1, count):
        opened.seek(number)
        request.check_size(*opened.size)
        opened.load()
        yield _finish(opened.copy(), request.enough)


@dataclass(frozen=True, slots=True)
class _Request:
    source: Path | bytes
    enough: int | None  # the shorter side the result must have, if the image has it
    max_megapixels: float
    hash_pixels: bool
    thumbnails: bool = True

    @property
    def size(self) -> int:
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    @property
    def head(self) -> bytes:
        return self.source[:HEAD_BYTES] if isinstance(self.source, bytes) else _read_head(self.source)

    def promised_size(self, kind: str) -> int:
        """Read from the header how long the file must be at least; 0 for formats that do not tell."""
        if kind == "WEBP":
            return 8 + int.from_bytes(self.head[4:8], "little")
        if kind == "TIFF" and self.head[2:4] in (b"*\0", b"\0*"):  # where its directory stands
            return int.from_bytes(self.head[4:8], "little" if self.head[:2] == b"II" else "big")
        return 0

    def check_plausible(self, kind: str, width: int, height: int) -> None:
        """Refuse a few bytes that promise millions of pixels, before memory is spent on them."""
        credible = max(4_000_000, self.size * PIXELS_PER_BYTE_MAX)
        if kind in PIXELS_PER_BYTE_KINDS and width * height > credible:
            raise Undecodable(f"damaged: too short to hold its {width:,} x {height:,} pixels")

    def check_size(self, width: int, height: int) -> None:
        if width * height > self.pixels_max:
            told = _over_limit(width * height / 1e6, self.max_megapixels)
            raise Undecodable(f"{told}; {MEGAPIXELS_ADVICE}")

    @property
    def pixels_max(self) -> int:
        return round(self.max_megapixels * 1e6)


def _over_limit(megapixels: float, limit: float) -> str:
    """Say that an image is over the limit, with as many digits as tell the two apart."""
    decimals = _decimals(limit)
    while f"{megapixels:.{decimals}f}" == f"{limit:.{decimals}f}":
        decimals += 1
    return f"{megapixels:,.{decimals}f} MP is over the limit of {limit:,.{decimals}f} MP"


def told_limit(reason: str) -> float | None:
    """Read the limit, in megapixels, from a reason that an image is over it; None in other reasons."""
    told = re.search(r"over the limit of ([\d,.]+) MP", reason)
    return float(told[1].replace(",", "")) if told else None


def _decimals(megapixels: float) -> int:
    """Give how many decimals a number of megapixels needs: two digits at least if it is below one."""
    return 1 - math.floor(math.log10(megapixels)) if 0 < megapixels < 1 else 0


def _read_head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _open_or_rescue(request: _Request, kind: str) -> tuple[Image.Image, SourceFacts]:
    """Decode strictly; if the data is damaged, decode what is there, as a viewer does."""
    try:
        return _open_pillow(request, kind, lenient=False)
    except (Undecodable, MemoryError):
        raise
    except Exception as error:  # Pillow's plugins raise a dozen kinds on damaged data
        if _is_drives(error):
            raise
        damage = error
    try:
        image, facts = _open_pillow(request, kind, lenient=True)
        return image, replace(facts, damaged=True)
    except (Undecodable, MemoryError):
        raise
    except Exception as error:
        if _is_drives(error):
            raise
        raise Undecodable(_describe_damage(_underlying(damage, request, kind), request, kind)) from damage


def _is_drives(error: Exception) -> bool:
    """Tell whether reading failed, rather than making sense of what was read: Pillow's own have no number."""
    return isinstance(error, OSError) and error.errno is not None and error.errno not in _SEEKING_ERRORS


def _underlying(error: Exception, request: _Request, kind: str) -> Exception:
    """Find out what a plugin said when Pillow tells no more than that it cannot identify the image."""
    if not isinstance(error, UnidentifiedImageError):
        return error
    source = io.BytesIO(request.source) if isinstance(request.source, bytes) else str(request.source)
    with _switched(request, lenient=False), quiet(kind):
        try:
            Image.OPEN[kind][0](source, "").close()  # type: ignore[arg-type]
        except Exception as said:
            return said
    return error


def _open_pillow(request: _Request, kind: str, *, lenient: bool) -> tuple[Image.Image, SourceFacts]:
    source = io.BytesIO(request.source) if isinstance(request.source, bytes) else request.source
    with (
        _switched(request, lenient=lenient),
        quiet(kind),
        _opened(source, request, kind) as opened,
    ):
        request.check_size(*opened.size)
        request.check_plausible(kind, *opened.size)
        full_size = opened.size
        if request.enough is not None and (request.thumbnails or kind != "HEIF"):
            # HEIC gives its thumbnail if that is large enough, JPEG decodes at 1/2, 1/4 or 1/8.
            opened.draft(None, (request.enough, request.enough))
        drafted = opened.size != full_size
        words_for_bytes = is_deep(opened)
        opened.load()
        if not drafted:
            full_size = opened.size  # TIFF turns itself, ICO chooses its largest
            request.check_size(*full_size)
        exif = exif_of(opened)
        image = _finish(opened, request.enough)
        if lenient:
            _check_seen(image)
        upright, facts = _upright(image, full_size, exif, "JPEG" if opened.format == "MPO" else kind)
        too_large = full_size[0] * full_size[1] > PIXELS_HASHED_MAX
        if not request.hash_pixels or drafted or too_large or words_for_bytes or not _is_all_in_rgb(opened):
            return upright, facts
        whole = upright
        if upright.size != (facts.width, facts.height):
            whole, _ = _upright(_finish(opened, None), full_size, exif, kind)
        if upright is opened and hasattr(opened, "n_frames"):  # to count them it seeks, and its pixels go
            upright = whole = upright.copy()
        is_single = getattr(opened, "n_frames", 1) == 1
        return upright, replace(facts, pixel_hash=pixel_hash(whole) if is_single else None)


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Tell whether an image that is not loaded has words for bytes, of which Pillow drops half."""
    return any(";16" in str(tile[3]) for tile in image.tile if len(tile) > 3)


def _is_all_in_rgb(image: Image.Image) -> bool:
    """Tell whether red, green and blue hold all of it: a white logo on nothing is no white page."""
    if image.mode in ("RGBA", "LA"):
        return image.getchannel("A").getextrema() == (255, 255)
    return image.mode in ("1", "L", "P", "RGB") and "transparency" not in image.info


def _formats(kind: str) -> list[str]:
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener(decode_threads=1)  # the pool is parallel enough
    return [kind]


@contextmanager
def _switched(request: _Request, *, lenient: bool) -> Iterator[None]:
    """Decode by the request's limit: what Pillow says of an image inside that is over it, in our words."""
    try:
        with switched(Switches(request.pixels_max, lenient)):
            yield
    except _BOMBS as bomb:
        limit = f"{request.max_megapixels:,.{_decimals(request.max_megapixels)}f}"
        raise Undecodable(f"an image inside is over the limit of {limit} MP; {MEGAPIXELS_ADVICE}") from bomb


def _opened(source: Path | io.BytesIO, request: _Request, kind: str) -> ImageFile.ImageFile:
    """Open, before any pixel is decoded; Pillow refuses what is over the limit at once."""
    try:
        return Image.open(source, formats=_formats(kind))
    except _BOMBS as bomb:
        if told := re.search(r"\((\d+) pixels\)", str(bomb)):
            request.check_size(int(told[1]), 1)
        raise


@contextmanager
def quiet(kind: str) -> Iterator[None]:
    """Keep what libtiff and LibRaw print by themselves from the terminal; workers have no terminal anyway."""
    if kind not in ("TIFF", raw.KIND):
        yield
        return
    with _TERMINAL_LOCK, _without_terminal():
        yield


@contextmanager
def _without_terminal() -> Iterator[None]:
    try:
        terminal = os.dup(2)
    except OSError:  # a program without a terminal
        yield
        return
    with suppress(OSError, AttributeError):
        sys.stderr.flush()
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


def exif_of(image: Image.Image) -> Image.Exif:
    """Read EXIF after loading: a PNG may carry it behind its pixels, a TIFF has turned itself."""
    try:
        return image.getexif()
    except Exception:  # hostile EXIF raises a dozen kinds; a picture is not lost for it
        return Image.Exif()


def _finish(image: Image.Image, enough: int | None) -> Image.Image:
    """Reduce first, for what follows then costs little; then bring to RGB."""
    profile: Any = image.info.get("icc_profile")
    image = to_scalable(image)
    if enough is not None:
        factor = min(image.size) // enough
        if factor > 1:
            image = image.reduce(factor)
    return to_rgb(image, profile if isinstance(profile, bytes) else None)


def _upright(
    image: Image.Image, full_size: tuple[int, int], exif: Image.Exif, kind: str
) -> tuple[Image.Image, SourceFacts]:
    orientation = exif.get(ExifTags.Base.Orientation)
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    if turn is not None:
        image = image.transpose(turn)
        full_size = full_size[::-1] if orientation in (5, 6, 7, 8) else full_size
    image.info.clear()  # what it says is done: whoever reads it again would turn the image twice
    facts = _exif_facts(exif)
    place = (facts.latitude, facts.longitude)
    drawn = _is_drawn(exif)
    return image, SourceFacts(*full_size, kind, facts.taken_at, facts.camera, *place, drawn=drawn)


def _exif_facts(exif: Image.Exif) -> ExifFacts:
    try:
        return read_exif(exif)
    except Exception:  # see exif_of
        return ExifFacts()


def _is_drawn(exif: Image.Exif) -> bool:
    try:
        return is_marked(exif)
    except Exception:  # see exif_of
        return False


def _check_seen(image: Image.Image) -> None:
    """Refuse an image of which damage left hardly a row: decoders fill the rest with one colour."""
    side = min(image.width, SEEN_SIDE), min(image.height, SEEN_SIDE)
    pixels = np.asarray(image.resize(side, Image.Resampling.NEAREST)).astype(np.int16)
    # Most formats lack their lower end then, but a BMP is stored from the bottom up.
    seen = min(_rows_before_flat(pixels), _rows_before_flat(pixels[::-1]))
    if seen < SEEN_MIN * len(pixels):
        raise Undecodable("damaged: hardly any of its pixels are left")


def _rows_before_flat(pixels: NDArray[np.int16]) -> int:
    """Count the rows above those at the end that all have the colour of the last pixel."""
    differs = np.flatnonzero((np.abs(pixels - pixels[-1, -1]) > 3).any(axis=(1, 2)))
    return int(differs[-1]) + 1 if len(differs) else 0


def _describe_damage(error: Exception, request: _Request, kind: str) -> str:
    text = str(error).lower()
    told = request.promised_size(kind) > request.size or any(word in text for word in _CUT_OFF)
    if told or request.size < SHORTEST_IMAGE or isinstance(error, EOFError):
        return "damaged: the file ends too early"
    unidentified = kind == "HEIF" and "identif" in text  # by libheif, which lacks some codecs here
    if unidentified or isinstance(error, NotImplementedError) or any(w in text for w in _UNSUPPORTED):
        return f"not supported: a rare kind of {kind} that cannot be decoded here"
    what = "damaged, or of a rare kind" if kind in ("AVIF", "HEIF") else "damaged"
    return f"{what}: its {kind} data cannot be decoded"


def _open_raw(request: _Request) -> tuple[Image.Image, SourceFacts] | None:
    """Open by LibRaw; None when the name lies and the content is no RAW."""
    if sniff(request.head) not in (None, "TIFF") or not request.head:
        return None  # a JPEG called .raw; most RAW formats look like TIFF from outside
    if not raw.is_available():
        raise Undecodable(raw.REMEDY)
    with _switched(request, lenient=True), quiet(raw.KIND):
        developed = raw.develop(request.source, enough=request.enough, pixels_max=request.pixels_max)
        if developed is None:
            return None
        request.check_size(developed.width, developed.height)
        image = _finish(developed.image, request.enough)
        upright, facts = _upright(image, developed.image.size, developed.exif, raw.KIND)
    size = (developed.width, developed.height)
    return upright, SourceFacts(*size, *(getattr(facts, f) for f in list(SourceFacts.__slots__)[2:7]))
