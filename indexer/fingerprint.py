"""Fingerprints: what a file says of itself (hashes, and the date, camera and place in its EXIF data)."""

import hashlib
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

PDQ_SIDE: Final = 64  # PDQ judges an image by 64 x 64 luminances
PDQ_FINE: Final = 4  # samples a side within each of them, for its tent filter
PDQ_WAVES: Final = 16  # and keeps the 16 x 16 slowest waves
ROWS_AT_ONCE: Final = 256
YEAR_MIN: Final = 1826  # the first photograph
YEAR_OF_RELEASE: Final = 2026  # no clock that runs is behind it
TEXT_CHARACTERS_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class ExifFacts:
    """What the camera wrote beside the pixels; each None when absent or nonsense."""

    taken_at: datetime | None = None
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None


def content_hash(path: Path) -> bytes:
    """Hash all bytes of a file with SHA-256, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def pixel_hash(image: Image.Image) -> bytes:
    """Hash all pixels of an upright RGB image and its size, with SHA-256; the container does not matter."""
    digest = hashlib.sha256(f"{image.width}x{image.height}:".encode())
    for top in range(0, image.height, ROWS_AT_ONCE):  # a second copy of all pixels would be large
        strip = image.crop((0, top, image.width, min(top + ROWS_AT_ONCE, image.height)))
        digest.update(strip.tobytes())
    return digest.digest()


def perceptual_hash(image: Image.Image) -> tuple[bytes, int]:
    """Compute Meta's PDQ hash of an upright image, RGB or grey: 32 bytes, and its quality from 0 to 100.

    Bytes and bits stand as in PDQ's usual hexadecimal text. Hashes of the same image at other sizes or
    compressions differ in few bits (31 is the customary limit); below quality 50 they mean little.
    """
    luminance = _tent_filtered(image)
    waves = _wave_matrix() @ luminance @ _wave_matrix().T
    bits = (waves > np.partition(waves.ravel(), 127)[127]).ravel()  # PDQ's median is the lower one
    return np.packbits(bits[::-1]).tobytes(), _quality(luminance)


def _tent_filtered(image: Image.Image) -> NDArray[np.float32]:
    """Scale to 64 x 64 with the tent that PDQ's two box filters make, one cell wide."""
    fine = PDQ_SIDE * PDQ_FINE
    small = image.convert("L").resize((fine, fine), Image.Resampling.BOX)
    tent = np.array([1, 3, 3, 1], dtype=np.float32) / 8
    across = np.asarray(small, dtype=np.float32).reshape(fine, PDQ_SIDE, PDQ_FINE) @ tent
    return np.asarray(across.T.reshape(PDQ_SIDE, PDQ_SIDE, PDQ_FINE) @ tent, dtype=np.float32).T


@cache
def _wave_matrix() -> NDArray[np.float32]:
    """Give rows 1 to 16 of the discrete cosine transform of 64 samples."""
    wave = np.arange(1, PDQ_WAVES + 1)[:, None]
    sample = np.arange(PDQ_SIDE)[None, :]
    cosines = np.cos(np.pi / (2 * PDQ_SIDE) * wave * (2 * sample + 1))
    return np.asarray(math.sqrt(2 / PDQ_SIDE) * cosines, dtype=np.float32)


def _quality(luminance: NDArray[np.float32]) -> int:
    """Sum the steps between neighbours: a featureless image has no hash worth comparing."""
    steps = sum(float(np.abs(np.trunc(np.diff(luminance, axis=axis) * 100 / 255)).sum()) for axis in (0, 1))
    return min(100, int(steps / 90))


def read_exif(exif: Image.Exif) -> ExifFacts:
    """Read date, camera and place; garbage in one of them costs that one only."""
    latitude, longitude = _read_place(_directory(exif, ExifTags.IFD.GPSInfo))
    return ExifFacts(_read_date(exif), _read_camera(exif), latitude, longitude)


def _directory(exif: Image.Exif, tag: int) -> dict[int, Any]:
    try:
        return dict(exif.get_ifd(tag))
    except Exception:  # hostile EXIF raises a dozen kinds; a picture is not lost for it
        return {}


def _read_date(exif: Image.Exif) -> datetime | None:
    details = _directory(exif, ExifTags.IFD.Exif)
    for tag in (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized):
        for source in (details, exif):  # some programs write it into the first directory
            date = parse_exif_date(_text(source.get(tag)))
            if date is not None:
                return date
    return None


_DATE: Final = re.compile(r"(\d{4})\D(\d\d?)\D(\d\d?)(?:\D+(\d\d?)\D(\d\d?)(?:\D(\d\d?))?)?(?!\d)")


def parse_exif_date(text: str) -> datetime | None:
    """Read "2019:05:03 14:02:11" and its common misspellings; None for what cannot be a photo's date."""
    match = _DATE.match(text.strip())
    if match is None:
        return None
    try:
        date = datetime(*(int(part or 0) for part in match.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None
    # A computer without a clock of its own begins at 1970.
    year_max = max(datetime.now().year, YEAR_OF_RELEASE) + 1
    return date if YEAR_MIN <= date.year <= year_max else None


def _read_camera(exif: Image.Exif) -> str | None:
    maker, model = (_text(exif.get(tag)) for tag in (ExifTags.Base.Make, ExifTags.Base.Model))
    if model and maker and set(model.casefold().split()[:1]) & set(maker.casefold().split()):
        return model  # "Canon" and "Canon EOS 5D", "NIKON CORPORATION" and "NIKON D70"
    return " ".join(filter(None, (maker, model))) or None


def _text(value: object) -> str:
    """Make one clean line of whatever a tag holds."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    with suppress(UnicodeError):  # Pillow reads all text as Latin-1
        value = value.encode("latin-1").decode("utf-8")
    line = value.split("\0", 1)[0]
    return " ".join("".join(c if c.isprintable() else " " for c in line).split())[:TEXT_CHARACTERS_MAX]


def _read_place(gps: dict[int, Any]) -> tuple[float | None, float | None]:
    latitude = _degrees(gps, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "S", 90)
    longitude = _degrees(gps, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "W", 180)
    if latitude is None or longitude is None or latitude == longitude == 0:  # 0, 0: a receiver without a fix
        return None, None
    return latitude, longitude


def _degrees(gps: dict[int, Any], tag: int, side_tag: int, negative: str, limit: float) -> float | None:
    """Turn degrees, minutes and seconds into signed degrees."""
    try:
        parts = [float(part) for part in gps[tag]]
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    if not 1 <= len(parts) <= 3 or not all(math.isfinite(part) and part >= 0 for part in parts):
        return None
    degrees = math.fsum(part / 60.0**power for power, part in enumerate(parts))
    if degrees > limit:
        return None
    return -degrees if _text(gps.get(side_tag)).upper().startswith(negative) else degrees
