import contextlib
import hashlib
import io
import itertools
import os
import random
import signal
import struct
import subprocess
import sys
import textwrap
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageDraw, ImageFile

from indexer.decode import DecodePool, DecodeRules, decode_file, query_image
from indexer.errors import QueryInvalid
from indexer.opening import Undecodable, open_later_pictures, open_upright
from indexer.records import DecodedImage, FoundFile, Preprocessing, Skipped
from indexer.scan import ScanRules, scan
from indexer.workers import Job, Loss, WorkerPool, WorkersBroken

from . import naps

SHARED = Path(__file__).parents[3] / "shared" / "data"
RULES = DecodeRules(Preprocessing(64, 64, "squash", "bicubic", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 0))


def quarters(size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Draw red, green, blue and white quarters: any turn and any mixed-up channel shows."""
    image = Image.new("RGB", size, "white")
    width, height = size[0] // 2, size[1] // 2
    draw = ImageDraw.Draw(image)
    for colour, at in (("red", (0, 0)), ("lime", (width, 0)), ("blue", (0, height))):
        draw.rectangle((*at, at[0] + width - 1, at[1] + height - 1), fill=colour)
    return image


def noise(size: tuple[int, int], seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    """Give the colours of the four quarters, reading order, rounded so that JPEG does not matter."""
    width, height = image.size
    at = [(x * width // 4, y * height // 4) for y in (1, 3) for x in (1, 3)]
    return [tuple(round(c / 51) * 51 for c in image.getpixel(p)) for p in at]  # type: ignore[union-attr]


QUARTERS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


def found(path: Path) -> FoundFile:
    status = path.stat()
    return FoundFile(path.parent, path.name, status.st_size, status.st_mtime_ns)


def reason_of(path: Path, rules: DecodeRules = RULES) -> str:
    outcome = decode_file(found(path), rules)
    assert isinstance(outcome, Skipped), outcome
    return outcome.reason


@pytest.fixture
def photos(tmp_path: Path) -> list[FoundFile]:
    for number in range(12):
        noise((160, 120), number).save(tmp_path / f"{number}.jpg")
    return [found(tmp_path / f"{number}.jpg") for number in range(12)]


# ---- formats and colours


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "ICO", "PPM", "JPEG2000"]
)
def test_every_format_is_decoded_whatever_its_name(tmp_path: Path, kind: str) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    size = (64, 64) if kind == "ICO" else (96, 64)
    path = tmp_path / "image.jpg"
    options = {"sizes": [size]} if kind == "ICO" else {}
    path.write_bytes(encoded(quarters(size), kind, **options))
    outcome = decode_file(found(path), RULES)
    assert isinstance(outcome, DecodedImage), outcome
    facts = outcome.facts
    assert (facts.format, facts.width, facts.height) == (kind, *size)
    assert corners(Image.fromarray(outcome.pixels)) == QUARTERS


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_first_frame_of_an_animation_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (20, 10), "black")]
    data = encoded(quarters(), kind, save_all=True, append_images=[f.resize((96, 64)) for f in frames])
    assert corners(open_upright(data)[0]) == QUARTERS


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(kind: str, orientation: int) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions that make such a file
    stored = quarters((256, 128))
    if orientation in undo:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image, facts = open_upright(encoded(stored, kind, exif=exif.tobytes()), target=(16, 16))
    assert ((facts.width, facts.height), corners(image)) == ((256, 128), QUARTERS)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_nonsense_orientation_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encoded(quarters(), "JPEG", exif=exif)
    assert corners(open_upright(data)[0]) == QUARTERS


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "I;16", "YCbCr", "LAB"])
def test_every_mode_becomes_rgb_of_the_same_look(mode: str) -> None:
    grey = Image.new("L", (64, 64), 255)
    grey.paste(0, (0, 0, 32, 64))
    image = grey.point([v * 257 for v in range(256)], "I").convert("I;16") if mode == "I;16" else None
    if mode == "LAB":
        image = Image.merge("LAB", (grey, Image.new("L", grey.size, 128), Image.new("L", grey.size, 128)))
    image = image or grey.convert("RGB").convert(mode)
    decoded = open_upright(encoded(image, "TIFF"))[0]
    assert (decoded.mode, [round(c / 255) for _, c in corners_of_grey(decoded)]) == ("RGB", [0, 1, 0, 1])


def corners_of_grey(image: Image.Image) -> list[tuple[tuple[int, ...], int]]:
    return [(corner, corner[0]) for corner in corners(image)]


def test_sixteen_bit_grey_is_scaled_not_cut_off() -> None:
    values = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (16, 1))
    for kind in ("PNG", "TIFF"):
        decoded = np.asarray(open_upright(encoded(Image.fromarray(values), kind))[0])[0, :, 0]
        np.testing.assert_allclose(decoded, np.arange(256), atol=1)


def test_twelve_bit_tiff_is_as_bright_as_its_bits_say() -> None:
    image = Image.fromarray(np.full((16, 16), 65535, dtype=np.uint16))  # all bits set, so also when packed
    image.save(buffer := io.BytesIO(), "TIFF")
    data = bytearray(buffer.getvalue())
    entry = data.index(struct.pack("<HHI", 258, 3, 1))
    data[entry + 8 : entry + 10] = struct.pack("<H", 12)
    assert open_upright(bytes(data))[0].getpixel((8, 8)) == (255, 255, 255)


def test_sixteen_bit_tiff_in_which_zero_means_white_is_no_negative() -> None:
    values = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (16, 1))
    data = encoded(Image.fromarray(values), "TIFF", tiffinfo={262: 0})
    decoded = np.asarray(open_upright(data)[0])[0, :, 0]
    np.testing.assert_allclose(decoded, np.arange(256)[::-1], atol=1)


def test_sixteen_bit_colour_png_is_scaled() -> None:
    row = b"\0" + struct.pack(">3H", 65535, 32768, 0) * 8
    data = png(8, 8, 16, 2, zlib.compress(row * 8))
    assert open_upright(data)[0].getpixel((4, 4)) == (255, 128, 0)


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_float_tiff_is_scaled_by_its_range(white: float) -> None:
    values = np.tile(np.linspace(0, white, 256, dtype=np.float32), (16, 1))
    decoded = np.asarray(open_upright(encoded(Image.fromarray(values), "TIFF"))[0])[0, :, 0]
    np.testing.assert_allclose(decoded, np.arange(256), atol=1)


def test_float_tiff_with_not_a_number_is_decoded() -> None:
    values = np.full((16, 16), np.nan, dtype=np.float32)
    values[:, 8:] = np.inf
    assert open_upright(encoded(Image.fromarray(values), "TIFF"))[0].getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_show_white(mode: str) -> None:
    image = Image.new(mode, (64, 64), 0)
    assert open_upright(encoded(image, "PNG"))[0].getpixel((5, 5)) == (255, 255, 255)


def test_transparent_palette_shows_white() -> None:
    image = Image.new("P", (64, 64), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (32, 0, 64, 64))
    for kind in ("PNG", "GIF"):
        decoded = open_upright(encoded(image, kind, transparency=1))[0]
        assert (decoded.getpixel((5, 5)), decoded.getpixel((50, 5))) == ((255, 255, 255), (255, 0, 0))


def test_transparent_colour_of_an_rgb_png_shows_white() -> None:
    data = encoded(quarters(), "PNG", transparency=(255, 0, 0))
    assert corners(open_upright(data)[0]) == [(255, 255, 255), *QUARTERS[1:]]


def test_half_transparent_edge_mixes_with_white_after_reduction() -> None:
    image = Image.new("RGBA", (1024, 1024), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 512, 1024))
    reduced = np.asarray(open_upright(encoded(image, "PNG"), target=(60, 60))[0])
    assert reduced[:, :, 0].min() == 255  # a dark fringe would mean that colour under alpha 0 leaked in


def test_cmyk_jpeg_written_by_adobe_programs_is_not_inverted() -> None:
    image = Image.new("CMYK", (64, 64), (0, 255, 255, 0))
    plain = encoded(image, "JPEG", quality=95)
    assert b"Adobe" in plain  # Pillow writes the marker, and inverts as Adobe does
    red, green, blue = open_upright(plain)[0].getpixel((30, 30))  # type: ignore[misc]
    assert (red > 230, green < 30, blue < 30) == (True, True, True)


def test_icc_profile_is_applied() -> None:
    # A profile whose red and green are exchanged: nothing else could turn red into green.
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {
        bytes(profile[at : at + 4]): at
        for at in range(132, 132 + 12 * int.from_bytes(profile[128:132], "big"), 12)
    }
    red, green = (bytes(profile[tags[t] + 4 : tags[t] + 12]) for t in (b"rXYZ", b"gXYZ"))
    profile[tags[b"rXYZ"] + 4 : tags[b"rXYZ"] + 12] = green
    profile[tags[b"gXYZ"] + 4 : tags[b"gXYZ"] + 12] = red
    swapped = bytes(profile).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    decoded = open_upright(encoded(quarters(), "PNG", icc_profile=swapped))[0]
    assert corners(decoded)[:2] == [(0, 255, 0), (255, 0, 0)]


@pytest.mark.parametrize("profile", [b"", b"broken", b"\0" * 200])
def test_broken_icc_profile_is_ignored(profile: bytes) -> None:
    assert corners(open_upright(encoded(quarters(), "PNG", icc_profile=profile))[0]) == QUARTERS


# ---- size and speed


def test_large_jpeg_comes_reduced_but_at_twice_the_target() -> None:
    image, facts = open_upright(encoded(noise((2048, 1536)), "JPEG"), target=(224, 224))
    assert ((facts.width, facts.height), image.size) == ((2048, 1536), (1024, 768))


def test_reduced_decoding_hardly_changes_the_pixels(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    noise((3000, 2000)).save(path, quality=90)
    full = np.asarray(Image.open(path).convert("RGB").resize((64, 64), Image.Resampling.BICUBIC))
    outcome = decode_file(found(path), RULES)
    assert isinstance(outcome, DecodedImage)
    assert np.abs(outcome.pixels.astype(float) - full).mean() < 1.5


def pixel_hash_of(source: bytes) -> bytes | None:
    _, facts = open_upright(source, target=(64, 64), hash_pixels=True)
    return facts.pixel_hash


def test_equal_pixels_have_one_hash_whatever_file_and_direction_they_lie_in() -> None:
    image = noise((640, 400))
    sideways = Image.Exif()
    sideways[ExifTags.Base.Orientation] = 6
    files = [
        encoded(image, "PNG"),
        encoded(image, "BMP"),
        encoded(image, "TIFF", compression="tiff_lzw"),
        encoded(image, "WEBP", lossless=True),
        encoded(image.transpose(Image.Transpose.ROTATE_90), "PNG", exif=sideways),
    ]
    assert len({pixel_hash_of(file) for file in files}) == 1
    assert None not in {pixel_hash_of(file) for file in files}


def test_one_other_pixel_or_shape_is_another_hash() -> None:
    image = noise((640, 400))
    changed = image.copy()
    changed.putpixel((639, 399), (0, 0, 0))
    narrow = Image.frombytes("RGB", (400, 640), image.tobytes())
    hashes = {pixel_hash_of(encoded(each, "PNG")) for each in (image, changed, narrow)}
    assert len(hashes) == 3


def white_logo() -> Image.Image:
    """White on nothing: over white it looks like an empty page."""
    logo = Image.new("RGBA", (300, 200), (255, 255, 255, 0))
    ImageDraw.Draw(logo).ellipse((50, 50, 150, 150), fill=(255, 255, 255, 255))
    return logo


@pytest.mark.parametrize(
    "file",
    [
        encoded(white_logo(), "PNG"),
        encoded(white_logo(), "WEBP", lossless=True),
        encoded(noise((64, 64)), "GIF", save_all=True, append_images=[noise((64, 64), 1)]),
        encoded(noise((64, 64)), "TIFF", save_all=True, append_images=[noise((64, 64), 1)]),
        encoded(Image.fromarray(np.full((64, 64), 90, np.uint16)), "PNG"),
        encoded(noise((64, 64)).convert("CMYK"), "TIFF"),
    ],
    ids=["transparent PNG", "transparent WebP", "animation", "pages", "16 bits", "CMYK"],
)
def test_what_rgb_pixels_do_not_tell_all_of_has_no_pixel_hash(file: bytes) -> None:
    assert pixel_hash_of(file) is None


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("side", [64, 700])
def test_the_first_of_several_pictures_is_indexed(kind: str, side: int, tmp_path: Path) -> None:
    pages = [noise((side, side), number) for number in range(3)]
    (tmp_path / "pages").write_bytes(encoded(pages[0], kind, save_all=True, append_images=pages[1:]))
    (found,) = scan(tmp_path, ScanRules())
    assert isinstance(found, FoundFile)
    assert isinstance(decode_file(found, RULES), DecodedImage)


def test_a_transparency_that_is_nowhere_does_not_matter() -> None:
    image = noise((64, 64))
    assert pixel_hash_of(encoded(image.convert("RGBA"), "PNG")) == pixel_hash_of(encoded(image, "PNG"))


def test_jpeg_that_came_reduced_has_no_pixel_hash() -> None:
    assert pixel_hash_of(encoded(noise((4000, 3000)), "JPEG")) is None
    assert pixel_hash_of(encoded(noise((160, 120)), "JPEG")) is not None


def test_query_and_index_see_the_same_pixels(photos: list[FoundFile]) -> None:
    pixels, digest = query_image(photos[0].path, RULES.preprocessing)
    outcome = decode_file(photos[0], RULES)
    assert isinstance(outcome, DecodedImage)
    np.testing.assert_array_equal(pixels, outcome.pixels)
    assert digest == outcome.facts.content_hash == hashlib.sha256(photos[0].path.read_bytes()).digest()


def test_file_too_large_for_memory_gives_the_same(
    photos: list[FoundFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = decode_file(photos[0], RULES)
    monkeypatch.setattr("indexer.decode.IN_MEMORY_BYTES", 100)
    outcome = decode_file(photos[0], RULES)
    assert isinstance(outcome, DecodedImage)
    assert isinstance(expected, DecodedImage)
    assert outcome.facts == expected.facts
    np.testing.assert_array_equal(outcome.pixels, expected.pixels)


def test_image_over_the_limit_is_skipped_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (3000, 2000)).save(path)
    reason = reason_of(path, replace(RULES, max_megapixels=5))
    assert reason == "6 MP is over the limit of 5 MP; raise it with --max-megapixels"


def png(width: int, height: int, depth: int, colour: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("size", "megapixels"), [((2050, 2000), 4.1), ((2010, 1000), 2.01)])
def test_a_picture_of_just_the_limit_is_taken(
    tmp_path: Path, size: tuple[int, int], megapixels: float
) -> None:
    Image.new("RGB", size).save(tmp_path / "x.png")
    assert open_upright(tmp_path / "x.png", max_megapixels=megapixels)[0].size == size


@pytest.mark.parametrize(
    ("side", "reason"),
    [
        (60_000, "3,600 MP is over the limit of 200 MP; raise it with --max-megapixels"),
        (14_000, "damaged: too short to hold its 14,000 x 14,000 pixels"),
    ],
)
def test_few_bytes_that_promise_many_pixels_are_refused_without_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int, reason: str
) -> None:
    (tmp_path / "bomb.png").write_bytes(png(side, side, 8, 2, zlib.compress(b"\0" * 1000)))
    loaded: list[Image.Image] = []
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: loaded.append(image))
    assert (reason_of(tmp_path / "bomb.png"), loaded) == (reason, [])


# ---- damage


def test_half_a_jpeg_is_decoded_as_a_viewer_shows_it(tmp_path: Path) -> None:
    data = encoded(noise((640, 480)), "JPEG", quality=90)
    (tmp_path / "half.jpg").write_bytes(data[: len(data) // 2])
    outcome = decode_file(found(tmp_path / "half.jpg"), RULES)
    assert isinstance(outcome, DecodedImage)
    assert outcome.pixels[:20].std() > 20


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000"])
def test_hardly_begun_file_is_skipped(tmp_path: Path, kind: str) -> None:
    data = encoded(noise((640, 480)), kind)
    (tmp_path / "x").write_bytes(data[: max(700, len(data) // 200)])
    assert reason_of(tmp_path / "x").startswith("damaged")


@pytest.mark.parametrize("kind", ["WEBP", "TIFF"])
def test_cut_off_file_that_no_decoder_takes_is_called_cut_off(tmp_path: Path, kind: str) -> None:
    data = encoded(noise((640, 480)), kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
    (tmp_path / "x").write_bytes(data[: len(data) // 2])
    assert reason_of(tmp_path / "x") == "damaged: the file ends too early"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html>404</html>", "not an image: it is a web page"),
        (b"Dear Sir,\n", "not an image: it is plain text"),
        (b"\0" * 5000, "not an image: it begins with zeros"),
        (b"%PDF-1.4", "not an image: it begins like a PDF document"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isom", "not an image: it begins like a video"),
        (bytes(range(128, 256)), "not an image: its content is of no known image format"),
        (b"\xff\xd8\xff", "damaged: the file ends too early"),
        (b"\x89PNG\r\n\x1a\n", "damaged: the file ends too early"),
    ],
)
def test_reason_names_what_is_wrong(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    assert reason_of(tmp_path / "x.jpg") == reason


def test_vanished_file_is_skipped(tmp_path: Path) -> None:
    assert decode_file(FoundFile(tmp_path, "x.jpg", 1, 1), RULES) == Skipped(
        FoundFile(tmp_path, "x.jpg", 1, 1), "no such file; the next `index` tries it again", again=True
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "HEIF", "ICO", "PPM"])
def test_mutated_images_never_raise_and_have_a_human_reason(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    whole = encoded(noise((64, 48)), kind)
    chance = random.Random(kind)
    path = tmp_path / "x"
    for _ in range(40):
        data = bytearray(whole[: chance.randrange(4, len(whole) + 1)])
        for _ in range(chance.randrange(1, 12)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        outcome = decode_file(found(path), replace(RULES, max_megapixels=10))
        if isinstance(outcome, Skipped):
            assert "<" not in outcome.reason and "Error" not in outcome.reason, outcome.reason
            assert len(outcome.reason) < 120
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not SHARED.exists(), reason="the shared test images are not here")
def test_hostile_files_are_decoded_or_skipped_with_a_reason() -> None:
    files = [f for f in scan(SHARED / "hostile", ScanRules()) if isinstance(f, FoundFile)]
    with DecodePool(RULES, workers=2) as pool:
        outcomes = list(pool.decode(files))
    assert sorted(o.file.relative for o in outcomes) == sorted(f.relative for f in files)
    odd = [o for o in outcomes if isinstance(o, Skipped) and ("Error" in o.reason or "<" in o.reason)]
    assert odd == []


# ---- RAW


def dng(width: int, height: int) -> bytes:
    """Write a minimal DNG: one uncompressed Bayer mosaic, all grey but red on the left."""
    mosaic = np.full((height, width), 20_000, dtype="<u2")
    mosaic[::2, : width // 2 : 2] = 60_000
    entries = [
        (254, 4, 1, 0), (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 16), (259, 3, 1, 1),
        (262, 3, 1, 32803), (271, 2, 5, b"Acme\0"), (272, 2, 5, b"Snap\0"), (273, 4, 1, None), (274, 3, 1, 1),
        (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, width * height * 2),
        (33421, 3, 2, struct.pack("<2H", 2, 2)),
        (33422, 1, 4, b"\0\1\1\2"), (50706, 1, 4, b"\1\4\0\0"), (50708, 2, 5, b"Acme\0"),
        (50717, 4, 1, 65535),
        (50721, 10, 9, b"".join(struct.pack("<2i", int(i % 4 == 0), 1) for i in range(9))),
        (50778, 3, 1, 21),
    ]  # fmt: skip
    body_at = 8 + 2 + 12 * len(entries) + 4
    body, directory = b"", struct.pack("<H", len(entries))
    fixed = body_at + 512
    for tag, kind, count, value in entries:
        if tag == 273:
            value = fixed
        if isinstance(value, bytes) and len(value) > 4:
            packed = struct.pack("<I", body_at + len(body))
            body += value
        elif isinstance(value, bytes):
            packed = value.ljust(4, b"\0")
        else:
            packed = struct.pack("<I", value)
        directory += struct.pack("<HHI", tag, kind, count) + packed
    head = b"II*\0" + struct.pack("<I", 8) + directory + b"\0\0\0\0" + body
    return head.ljust(fixed, b"\0") + mosaic.tobytes()


def test_raw_is_developed(tmp_path: Path) -> None:
    pytest.importorskip("rawpy", reason="the raw extra is not installed")
    (tmp_path / "x.dng").write_bytes(dng(320, 240))
    outcome = decode_file(found(tmp_path / "x.dng"), RULES)
    assert isinstance(outcome, DecodedImage), outcome
    assert (outcome.facts.width, outcome.facts.height, outcome.facts.format) == (320, 240, "RAW")
    left, right = outcome.pixels[32, 10].astype(int), outcome.pixels[32, 54].astype(int)
    assert left[0] - left[2] > right[0] - right[2] + 30


def test_raw_without_rawpy_is_skipped_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.dng").write_bytes(dng(320, 240))
    monkeypatch.setattr("indexer.raw.is_available", lambda: False)
    assert reason_of(tmp_path / "x.dng") == (
        "a RAW photo; to read these, install the extra `raw`; "
        "in Sightline's clone: pipx install --force '.[raw]'"
    )


def test_jpeg_named_like_a_raw_is_decoded_as_jpeg(tmp_path: Path) -> None:
    (tmp_path / "x.raw").write_bytes(encoded(quarters(), "JPEG"))
    outcome = decode_file(found(tmp_path / "x.raw"), RULES)
    assert isinstance(outcome, DecodedImage)
    assert outcome.facts.format == "JPEG"


# ---- queries


def test_query_that_is_no_image_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(QueryInvalid, match=r"x\.txt: not an image: it is plain text$"):
        query_image(tmp_path / "x.txt", RULES.preprocessing)


def test_query_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(QueryInvalid, match=r"none\.jpg: no such file$"):
        query_image(tmp_path / "none.jpg", RULES.preprocessing)


def test_query_that_is_a_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(QueryInvalid, match=r"a folder, not an image$"):
        query_image(tmp_path, RULES.preprocessing)


# ---- the pool


def test_pool_gives_what_decoding_here_gives(photos: list[FoundFile]) -> None:
    with DecodePool(RULES, workers=2) as pool:
        outcomes = {o.file: o for o in pool.decode(photos)}
    assert set(outcomes) == set(photos)
    for file in photos:
        here, there = decode_file(file, RULES), outcomes[file]
        assert isinstance(here, DecodedImage)
        assert isinstance(there, DecodedImage)
        assert here.facts == there.facts
        np.testing.assert_array_equal(here.pixels, there.pixels)


def test_pool_takes_names_that_are_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "\udcff two\nlines 🐕.jpg"
    path.write_bytes(encoded(quarters(), "JPEG"))
    with DecodePool(RULES, workers=1) as pool:
        (outcome,) = pool.decode([found(path)])
    assert (type(outcome), outcome.file) == (DecodedImage, found(path))


def test_workers_killed_from_outside_cost_one_image_each_at_most(photos: list[FoundFile]) -> None:
    outcomes, killed = [], 0
    with DecodePool(RULES, workers=2) as pool:
        for outcome in pool.decode(photos * 15):
            outcomes.append(outcome)
            if len(outcomes) % 60 == 30:
                for pid in children():
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
    missed = sum(isinstance(outcome, Skipped) for outcome in outcomes)
    assert (len(outcomes), missed <= killed, killed > 2) == (180, True, True)


def test_pool_can_be_used_again(photos: list[FoundFile]) -> None:
    with DecodePool(RULES, workers=1) as pool:
        counts = [len(list(pool.decode(photos[:n]))) for n in (3, 0, 2)]
    assert counts == [3, 0, 2]


def test_pool_without_files_starts_no_process() -> None:
    with DecodePool(RULES, workers=2) as pool:
        assert list(pool.decode([])) == []
        assert children() == []


def test_pool_draws_no_further_than_its_look_ahead(photos: list[FoundFile]) -> None:
    drawn = itertools.count()

    def endless() -> Iterator[FoundFile]:
        for file in itertools.cycle(photos):
            next(drawn)
            yield file

    with DecodePool(RULES, workers=1) as pool:
        for _ in zip(range(20), pool.decode(endless()), strict=False):
            pass
    assert next(drawn) <= 512 + 22


def test_error_in_the_source_reaches_the_caller_and_ends_the_workers(photos: list[FoundFile]) -> None:
    def failing() -> Iterator[FoundFile]:
        yield from photos
        raise RuntimeError("the drive is gone")

    with DecodePool(RULES, workers=2) as pool, pytest.raises(RuntimeError, match="the drive is gone"):
        list(pool.decode(failing()))
    assert children() == []


def test_closing_early_ends_the_workers(photos: list[FoundFile]) -> None:
    pool = DecodePool(RULES, workers=2)
    stream = pool.decode(itertools.cycle(photos))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert children() == []


def test_closing_early_does_not_wait_for_what_is_being_done() -> None:
    job = Job(f"{naps.__name__}:nap", None, 1000.0, None)
    stream = WorkerPool[float, str](job, workers=2, look_ahead=4, lost=lambda *_: "lost").map([0.0, 100, 100])
    assert next(stream) == "rested"
    began = time.monotonic()
    stream.close()  # type: ignore[attr-defined]
    assert (children(), time.monotonic() - began < 50) == ([], True)


def misbehave(item: str, _: object) -> str:
    """Do in a worker what the item says; `indexer.decode:decode_file`'s place in these tests."""
    what, _, name = item.partition(" ")
    if what == "hang":
        time.sleep(60)
    elif what == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "exit":
        os._exit(3)
    elif what == "eat":
        return str(len(bytearray(600_000_000)))
    elif what == "print":
        os.write(1, b"\0" * 100)
        os.write(2, b"noise")
    return name


def lost(item: str, loss: Loss) -> str:
    return f"{item.partition(' ')[2]} lost by {loss}"


Outcome = Callable[..., list[str]]


@pytest.fixture
def outcomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """Run items through workers that have `misbehave` in a module of its own."""
    source = Path(__file__).read_text(encoding="utf-8")
    body = source[source.index("def misbehave") : source.index("def lost")]
    (tmp_path / "sightline_test_worker.py").write_text(f"import os, signal, time\n{body}")
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(
        items: list[str], workers: int = 1, seconds: float = 20.0, memory: int | None = None
    ) -> list[str]:
        job = Job("sightline_test_worker:misbehave", None, seconds, memory)
        with WorkerPool[str, str](job, workers=workers, look_ahead=8, lost=lost) as pool:
            return sorted(pool.map(items))

    return run


def test_crash_costs_only_its_item(outcomes: Outcome) -> None:
    assert outcomes(["ok a", "die b", "ok c", "exit d", "ok e", "ok f"]) == [
        "a", "b lost by crash", "c", "d lost by crash", "e", "f",
    ]  # fmt: skip


def test_hang_costs_only_its_item(outcomes: Outcome) -> None:
    assert outcomes(["ok a", "hang b", "ok c", "ok d"], seconds=1) == ["a", "b lost by time", "c", "d"]


@pytest.mark.skipif(sys.platform != "linux", reason="memory can be limited on Linux only")
def test_hunger_costs_only_its_item(outcomes: Outcome) -> None:
    assert outcomes(["ok a", "eat b", "ok c"], memory=200_000_000) == ["a", "b lost by memory", "c"]


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signal")
def test_what_the_system_kills_is_told_from_what_needs_too_much_memory(outcomes: Outcome) -> None:
    assert outcomes(["ok a", "kill b", "ok c"]) == ["a", "b lost by killed", "c"]


NAPS = """
import sys
from indexer.workers import Job, WorkerPool
job = Job("time:sleep_for", None, 1.5, None)
with WorkerPool(job, workers=1, look_ahead=4, lost=lambda item, loss: loss) as pool:
    for result in pool.map([0.2] * 10):
        print(result, flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="stops a process with signals")
def test_a_process_that_was_stopped_for_long_loses_nothing() -> None:
    code = NAPS.replace("time:sleep_for", f"{naps.__name__}:nap")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline()]
        process.send_signal(signal.SIGSTOP)
        time.sleep(3)
        process.send_signal(signal.SIGCONT)
        told += process.stdout.readlines()
    assert told == ["rested\n"] * 10


def test_what_libraries_print_stays_in_the_worker(
    outcomes: Outcome, capfd: pytest.CaptureFixture[str]
) -> None:
    assert outcomes(["print a", "ok b"]) == ["a", "b"]
    assert capfd.readouterr() == ("", "")


def test_workers_that_cannot_start_are_an_error_not_a_skip() -> None:
    job = Job("no_such_module:nothing", None, 5.0, None)
    with (
        WorkerPool[str, str](job, workers=1, look_ahead=4, lost=lost) as pool,
        pytest.raises(WorkersBroken, match="no_such_module"),
    ):
        list(pool.map(["a"]))


def test_image_that_needs_too_much_memory_is_skipped(tmp_path: Path) -> None:
    noise((4000, 4000)).save(tmp_path / "large.png", compress_level=1)
    Image.new("RGB", (50, 50)).save(tmp_path / "small.png")
    rules = replace(RULES, memory_per_worker_bytes=50_000_000)
    with DecodePool(rules, workers=1) as pool:
        got = {o.file.relative: o for o in pool.decode([found(p) for p in sorted(tmp_path.iterdir())])}
    assert got["large.png"] == Skipped(found(tmp_path / "large.png"), "needs more than 50 MB to decode")
    assert isinstance(got["small.png"], DecodedImage)


def children(parent: int | None = None) -> list[int]:
    """List the living child processes that decode; resource trackers of other tests do not count."""
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    parent = parent or os.getpid()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if (
                int(fields[1]) == parent
                and fields[0] != "Z"
                and b"serve" in (folder / "cmdline").read_bytes()
            ):
                found.append(int(folder.name))
    return found


SCRIPT = """
    import itertools, signal, sys
    from pathlib import Path
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits it ignored
    from indexer.decode import DecodePool
    from indexer.scan import ScanRules, scan
    from tests.indexer.test_decode import RULES
    files = list(scan(Path(sys.argv[1]), ScanRules()))
    with DecodePool(RULES, workers=2) as pool:
        for number, _ in enumerate(pool.decode(itertools.cycle(files))):
            if number == 20:
                print("running", flush=True)
"""


@pytest.fixture
def script(tmp_path: Path, photos: list[FoundFile]) -> Iterator["subprocess.Popen[str]"]:
    """Start a script without a `__main__` guard that decodes for ever."""
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    with subprocess.Popen(
        [sys.executable, str(path), str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        yield process
        process.kill()


def all_gone(pids: list[int], seconds: float = 5) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.05)
    return False


def test_workers_die_when_the_parent_is_killed(script: "subprocess.Popen[str]") -> None:
    workers = children(script.pid)
    script.kill()
    script.wait()
    assert (len(workers), all_gone(workers)) == (2, True)


def test_ctrl_c_ends_the_workers_promptly(script: "subprocess.Popen[str]") -> None:
    workers = children(script.pid)
    script.send_signal(signal.SIGINT)
    _, said = script.communicate(timeout=10)
    assert (all_gone(workers), said.count("Traceback")) == (True, 1)
    assert said.rstrip().endswith("KeyboardInterrupt")


def test_worker_imports_nothing_heavy() -> None:
    heavy = ("torch", "open_clip", "faiss", "rawpy")
    code = f"import sys, indexer.decode; print([m for m in {heavy} if m in sys.modules])"
    root = str(Path(__file__).parents[2])
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    ).stdout
    assert said.strip() == "[]"


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_what_comes_after_the_first_picture_can_be_seen(kind: str, tmp_path: Path) -> None:
    shades = [Image.new("RGB", (96, 64), (shade, shade, shade)) for shade in (250, 120, 10)]
    (tmp_path / "three").write_bytes(encoded(shades[0], kind, save_all=True, append_images=shades[1:]))
    later = open_later_pictures(tmp_path / "three", most=2, enough=32)
    assert [round(np.asarray(image).mean() / 10) for image in later] == [12, 1]
    assert {image.size for image in later} == {(48, 32)}


def test_more_pictures_than_wanted_are_refused(tmp_path: Path) -> None:
    pages = [noise((64, 64), number) for number in range(4)]
    (tmp_path / "pages").write_bytes(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    with pytest.raises(Undecodable, match="4 pictures"):
        open_later_pictures(tmp_path / "pages", most=2, enough=32)


def test_what_a_jpeg_holds_beside_its_picture_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(
        encoded(noise((64, 64)), "MPO", save_all=True, append_images=[noise((64, 64), 1)])
    )
    assert open_later_pictures(tmp_path / "photo", most=2, enough=32) == []
