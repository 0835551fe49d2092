"""Zeros that were written over a picture are told from those that an encoder writes."""

import io
import random
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageDraw

from indexer.jpeg_holes import HOLE_BYTES, has_hole
from tests.search.duplicates.photos import photo

Options = dict[str, Any]

USUAL: Options = {}
MANNERS = [USUAL, {"optimize": True}, {"progressive": True}]


def jpeg(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **{"format": "JPEG", "quality": 90, **options})
    return buffer.getvalue()


def with_zeros(data: bytes, at: int, count: int = HOLE_BYTES) -> bytes:
    return data[:at] + bytes(count) + data[at + count :]


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_sector_of_zeros_in_a_photo_is_a_hole(manner: Options, mode: str) -> None:
    data = jpeg(photo("astronaut").convert(mode), **manner)
    assert not has_hole(data)
    assert has_hole(with_zeros(data, len(data) * 9 // 10))


# At a quality of 100 zeros are codes enough for all that lacks, and the file decodes without an error.
@pytest.mark.parametrize("manner", [*MANNERS, {"quality": 100}])
@pytest.mark.parametrize("share", [0.5, 0.97])
def test_a_file_of_full_length_whose_end_was_never_written_has_a_hole(manner: Options, share: float) -> None:
    data = jpeg(photo("astronaut"), **manner)
    written = data[: int(len(data) * share)]
    assert has_hole(written.ljust(len(data), b"\0"))
    assert has_hole(written + bytes(5 * len(data)))  # enough for a decoder to find codes for all that lacks


def letterboxed() -> Image.Image:
    film = photo("coffee").resize((1920, 1080))
    for top in (0, 940):
        ImageDraw.Draw(film).rectangle((0, top, 1920, top + 140), fill="black")
    return film


def page() -> Image.Image:
    paper = Image.new("RGB", (2480, 3508), "white")
    ImageDraw.Draw(paper).text((200, 300), "Please pay within thirty days.", fill="black", font_size=60)
    return paper


def night() -> Image.Image:
    sky = Image.new("RGB", (2400, 1800))
    ImageDraw.Draw(sky).ellipse((1000, 800, 1060, 860), fill="white")
    return sky


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("picture", [letterboxed(), page(), night()], ids=["film", "page", "night"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_flat_grounds_are_no_holes(manner: Options, picture: Image.Image, mode: str) -> None:
    assert not has_hole(jpeg(picture.convert(mode), **manner))


def test_a_flat_ground_in_the_later_scans_of_a_restless_picture_is_no_hole() -> None:
    blocks = np.random.default_rng(0).integers(0, 256, (150, 200), np.uint8)
    blocks[128:] = 131  # a grey of which the last bit is 0 once it is coded
    assert not has_hole(jpeg(Image.fromarray(blocks).resize((1600, 1200), 0), progressive=True))


def test_zeros_in_what_a_camera_notes_are_no_hole() -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = bytes(4 * HOLE_BYTES)
    assert not has_hole(jpeg(photo("astronaut"), exif=exif))


def test_zeros_behind_the_picture_are_no_hole() -> None:
    data = jpeg(photo("astronaut"))
    filled = data[:-2] + bytes(2 * HOLE_BYTES) + data[-2:]
    assert not has_hole(data + bytes(4 * HOLE_BYTES))
    assert not has_hole(filled)


@pytest.mark.parametrize("manner", [USUAL, {"optimize": True}, {"quality": 100}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_zeros_in_place_of_the_mark_that_ends_the_picture_are_no_hole(manner: Options, mode: str) -> None:
    data = jpeg(photo("astronaut").convert(mode), **manner)
    assert not has_hole(data[:-2] + bytes(8 * HOLE_BYTES))


def test_what_is_behind_the_picture_is_not_looked_at() -> None:
    second = jpeg(photo("coffee"))
    assert not has_hole(jpeg(photo("astronaut")) + with_zeros(second, len(second) // 2))


def test_any_bytes_can_be_asked_about() -> None:
    chance = random.Random(0)
    data = jpeg(photo("astronaut", 128), progressive=True)
    for _ in range(300):
        hurt = bytearray(data[: chance.randrange(len(data))] + bytes(HOLE_BYTES))
        for _ in range(5):
            hurt[chance.randrange(len(hurt))] = chance.randrange(256)
        has_hole(bytes(hurt))
