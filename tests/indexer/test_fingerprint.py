import hashlib
import io
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from indexer import fingerprint
from indexer.fingerprint import ExifFacts, content_hash, parse_exif_date, perceptual_hash, read_exif


def landscape(width: int = 640, height: int = 480) -> Image.Image:
    """Make something with structure at every scale, the same picture at every size."""
    rng = np.random.default_rng(3)
    image = Image.new("RGB", (64, 64))
    for side, strength in ((3, 1.0), (9, 0.5), (27, 0.25)):
        noise = Image.fromarray(rng.integers(0, 255, (side, side, 3), dtype=np.uint8))
        image = Image.blend(image, noise.resize((64, 64), Image.Resampling.BICUBIC), strength)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def distance(first: Image.Image, second: Image.Image) -> int:
    return sum(
        (a ^ b).bit_count()
        for a, b in zip(perceptual_hash(first)[0], perceptual_hash(second)[0], strict=True)
    )


def stored(exif: Image.Exif) -> Image.Exif:
    """Give the EXIF data as it comes back from a file."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", exif=exif)
    return Image.open(buffer).getexif()


def test_content_hash_is_the_sha256_of_all_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc" * 1_000_000)
    assert content_hash(path) == hashlib.sha256(b"abc" * 1_000_000).digest()


def test_perceptual_hash_survives_scaling() -> None:
    assert distance(landscape(), landscape(320, 240)) <= 16


def test_perceptual_hash_survives_compression() -> None:
    buffer = io.BytesIO()
    landscape().save(buffer, "JPEG", quality=30)
    assert distance(landscape(), Image.open(buffer).convert("RGB")) <= 16


def test_perceptual_hash_tells_a_mirrored_image_apart() -> None:
    assert distance(landscape(), landscape().transpose(Image.Transpose.FLIP_LEFT_RIGHT)) > 90


def test_perceptual_hash_sets_half_of_its_bits() -> None:
    assert sum(byte.bit_count() for byte in perceptual_hash(landscape())[0]) in (127, 128)


def test_featureless_image_has_quality_zero() -> None:
    assert perceptual_hash(Image.new("RGB", (300, 200), "teal"))[1] == 0


def test_structured_image_has_high_quality() -> None:
    assert perceptual_hash(landscape())[1] >= 90


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_perceptual_hash_takes_any_size(size: tuple[int, int]) -> None:
    assert len(perceptual_hash(Image.new("RGB", size))[0]) == 32


def test_perceptual_hash_agrees_with_the_reference_implementation() -> None:
    reference = pytest.importorskip("pdqhash", reason="Meta's own code needs a compiler to install")
    bits, quality = reference.compute(np.asarray(landscape()))
    ours, our_quality = perceptual_hash(landscape())
    differing = int((np.unpackbits(np.frombuffer(ours, np.uint8)) != bits).sum())
    assert (differing <= 16, abs(our_quality - quality) <= 3) == (True, True)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2019:05:03 14:02:11", datetime(2019, 5, 3, 14, 2, 11)),
        ("2019-05-03T14:02:11+02:00", datetime(2019, 5, 3, 14, 2, 11)),
        ("2019:05:03 14:02", datetime(2019, 5, 3, 14, 2)),
        ("2019/05/03", datetime(2019, 5, 3)),
        ("1904:01:01 00:00:00", datetime(1904, 1, 1)),
        ("0000:00:00 00:00:00", None),
        ("    :  :     :  :  ", None),
        ("2019:13:03 14:02:11", None),
        ("2019:05:03 24:61:00", None),
        ("9999:01:01 00:00:00", None),
        ("0001:01:01 00:00:00", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_exif_date_is_read_or_refused(text: str, date: datetime | None) -> None:
    assert parse_exif_date(text) == date


def test_a_clock_that_began_at_1970_costs_no_date(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime(1970, 1, 1)

    monkeypatch.setattr(fingerprint, "datetime", Stopped)
    assert parse_exif_date("2019:05:03 14:02:11") == datetime(2019, 5, 3, 14, 2, 11)
    assert parse_exif_date("9999:01:01 00:00:00") is None


@pytest.mark.parametrize(
    ("maker", "model", "camera"),
    [
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("NIKON CORPORATION", "NIKON D70", "NIKON D70"),
        ("Apple", "iPhone 12", "Apple iPhone 12"),
        ("SONY\0\0\0", "  DSC-W1  ", "SONY DSC-W1"),
        ("", "E995", "E995"),
        ("Leica", "", "Leica"),
        ("\x01\x02", "\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("", "", None),
    ],
)
def test_camera_is_named_once(maker: str, model: str, camera: str | None) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = maker
    exif[ExifTags.Base.Model] = model
    assert read_exif(stored(exif)).camera == camera


def test_place_and_date_are_read() -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2019:05:03 14:02:11"
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "S", (33.0, 51.0, 30.0)
    gps[ExifTags.GPS.GPSLongitudeRef], gps[ExifTags.GPS.GPSLongitude] = "W", (151.0, 12.0, 36.0)
    facts = read_exif(stored(exif))
    assert facts == ExifFacts(
        datetime(2019, 5, 3, 14, 2, 11), None, pytest.approx(-33.858333), pytest.approx(-151.21)
    )


@pytest.mark.parametrize(
    "value",
    [(91.0, 0.0, 0.0), (-5.0, 0.0, 0.0), (IFDRational(1, 0), 0.0, 0.0), "north", (), 7, (0.0, 0.0, 0.0)],
)
def test_nonsense_place_is_left_out(value: object) -> None:
    exif = Image.Exif()
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitude] = gps[ExifTags.GPS.GPSLongitude] = value
    assert read_exif(exif) == ExifFacts()
