from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image

from indexer.extras import Channels, read_channels, read_extras
from indexer.opening import Undecodable
from tests.search.duplicates.photos import cut_out, photo

DEEP = np.arange(64 * 64 * 3, dtype=np.uint16).reshape(64, 64, 3) * 5


@pytest.mark.parametrize("kind", ["png", "tif", "jp2", "ppm"])
@pytest.mark.parametrize("depth", [8, 16])
def test_sixteen_bits_are_told_from_eight(kind: str, depth: int, tmp_path: Path) -> None:
    pixels = DEEP if depth == 16 else DEEP.astype(np.uint8)
    assert cv2.imwrite(str(tmp_path / f"x.{kind}"), pixels)
    assert read_channels(tmp_path / f"x.{kind}") == Channels(deep=depth == 16)


def test_ten_bits_of_a_heic_are_deep(tmp_path: Path) -> None:
    pillow_heif.from_bytes(mode="RGB;16", size=(64, 64), data=DEEP.tobytes()).save(tmp_path / "x.heic")
    assert read_channels(tmp_path / "x.heic") == Channels(deep=True)


def test_deep_grey_is_deep(tmp_path: Path) -> None:
    Image.fromarray(DEEP[:, :, 0]).save(tmp_path / "x.png")
    assert read_channels(tmp_path / "x.png") == Channels(deep=True)


@pytest.mark.parametrize("bits", [8, 10])
def test_ten_bits_of_an_avif_are_told_from_eight(bits: int, tmp_path: Path) -> None:
    pixels = (DEEP // 64).astype(np.uint16 if bits == 10 else np.uint8)
    assert cv2.imwrite(str(tmp_path / "x.avif"), pixels, [cv2.IMWRITE_AVIF_DEPTH, bits])
    assert read_channels(tmp_path / "x.avif") == Channels(deep=bits == 10)


@pytest.mark.parametrize("kind", ["png", "webp", "tiff", "avif"])
def test_a_cut_out_is_transparent(kind: str, tmp_path: Path) -> None:
    cut_out(photo("coffee", 200)).save(tmp_path / f"x.{kind}")
    assert read_channels(tmp_path / f"x.{kind}") == Channels(transparent=True)


@pytest.mark.parametrize(("index", "transparent"), [(3, True), (7, False)])
def test_a_transparent_colour_counts_where_it_is_used(index: int, transparent: bool, tmp_path: Path) -> None:
    image = Image.new("P", (64, 64), 3)
    image.putpalette([value for value in range(256) for _ in range(3)])
    image.save(tmp_path / "x.png", transparency=index)
    assert read_channels(tmp_path / "x.png") == Channels(transparent=transparent)


def test_an_alpha_channel_without_a_hole_is_not_transparent(tmp_path: Path) -> None:
    photo("coffee", 200).convert("RGBA").save(tmp_path / "x.png")
    assert read_channels(tmp_path / "x.png") == Channels()


def test_what_is_no_image_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("no image")
    with pytest.raises(Undecodable, match="not an image"):
        read_channels(tmp_path / "x.png")


RATED = b'<x:xmpmeta><rdf:Description xmp:Rating="%d"/></x:xmpmeta>'


@pytest.mark.parametrize(("stars", "words"), [(0, frozenset()), (4, frozenset({"rating"}))])
def test_no_stars_are_no_rating(stars: int, words: frozenset[str], tmp_path: Path) -> None:
    photo("coffee", 64).save(tmp_path / "x.jpg", xmp=RATED % stars)
    assert read_extras(tmp_path / "x.jpg").words == words


@pytest.mark.parametrize(("comment", "words"), [("   ", frozenset()), ("Ann", frozenset({"description"}))])
def test_the_name_of_its_alphabet_is_no_comment(comment: str, words: frozenset[str], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"ASCII\0\0\0" + comment.encode()
    photo("coffee", 64).save(tmp_path / "x.jpg", exif=exif)
    assert read_extras(tmp_path / "x.jpg").words == words


def test_the_pictures_of_an_animation_are_no_extras(tmp_path: Path) -> None:
    frames = [photo(name, 64) for name in ("coffee", "astronaut")]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert read_extras(tmp_path / "x.gif").pictures == 1


def test_what_stands_beside_a_png_is_read_without_its_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo("coffee", 64).save(tmp_path / "x.png")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: pytest.fail("decoded"))
    assert read_extras(tmp_path / "x.png").lossless


def test_a_picture_that_was_taken_in_over_the_usual_limit_is_read_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cv2.imwrite(str(tmp_path / "x.png"), DEEP)
    monkeypatch.setattr("indexer.opening.MAX_MEGAPIXELS", 0.001)
    assert read_channels(tmp_path / "x.png") == Channels(deep=True)
