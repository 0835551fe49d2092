"""What must not be lost decides which of two pictures is kept."""

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pillow_heif
import pytest
from PIL import ExifTags, Image, ImageDraw, ImageFilter, PngImagePlugin

from search.duplicates.finder import Question
from search.duplicates.giving_up import may_be_given_up
from search.duplicates.keeping import Keep
from search.duplicates.records import DuplicatePair, Evidence, Level

from .negatives import negative_with_preview
from .photos import photo
from .searching import from_camera, search
from .test_keeping import PLAIN


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "photos"
    place.mkdir()
    return place


@pytest.mark.parametrize(("covered", "may_go"), [(0.4, False), (0.6, True)])
def test_nothing_goes_for_what_shows_mostly_something_else(covered: float, may_go: bool) -> None:
    keeper, other = (replace(PLAIN, content_id=content) for content in (1, 2))
    found = DuplicatePair(
        1, 2, Level.NEAR, 0.9, Evidence(covered=covered, agreement=1.0), Evidence(covered=1.0, agreement=1.0)
    )
    assert may_be_given_up(found, keeper, other, Level.NEAR, best=False) == may_go


def jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.mark.parametrize("keep", [Keep.BEST, Keep.LARGEST])
def test_a_whole_photo_is_kept_for_a_larger_file_that_was_cut_off(keep: Keep, folder: Path) -> None:
    (folder / "broken.jpg").write_bytes(jpeg(photo("coffee"), 97)[: -len(jpeg(photo("coffee"), 97)) // 20])
    photo("coffee").save(folder / "whole.jpg", quality=80)
    assert search(folder, Question(keep=keep)) == {"whole.jpg": {"broken.jpg": "near"}}


def test_a_photo_does_not_go_for_a_negative_of_which_sensor_data_is_missing(folder: Path) -> None:
    data, sensor_at = negative_with_preview(photo("coffee", 600))
    (folder / "cut.dng").write_bytes(data[: (sensor_at + len(data)) // 2])
    photo("coffee", 600).save(folder / "good.jpg", quality=95)
    assert search(folder) == {}


@pytest.mark.parametrize("keep", [Keep.BEST, Keep.OLDEST])
def test_the_whole_one_of_two_negatives_is_kept(keep: Keep, folder: Path) -> None:
    data, _ = negative_with_preview(photo("coffee", 600))
    (folder / "cut.dng").write_bytes(data[: len(data) * 9 // 10])
    (folder / "whole.dng").write_bytes(data)
    os.utime(folder / "cut.dng", (10**9, 10**9))
    assert search(folder, Question(keep=keep)) == {"whole.dng": {"cut.dng": "near"}}


def with_zeros(data: bytes, at: float, count: int) -> bytes:
    start = int(len(data) * at)
    return data[:start] + bytes(count) + data[start + count :]


def test_a_whole_photo_is_kept_for_an_older_file_with_a_hole(folder: Path) -> None:
    data = jpeg(photo("coffee", 600), 90)
    (folder / "hurt.jpg").write_bytes(with_zeros(data, 0.98, 600))
    (folder / "whole.jpg").write_bytes(data)
    os.utime(folder / "hurt.jpg", (10**9, 10**9))
    assert search(folder, Question(keep=Keep.OLDEST)) == {"whole.jpg": {"hurt.jpg": "near"}}


def test_a_whole_photo_does_not_go_for_another_of_its_scene_with_a_hole(folder: Path) -> None:
    room = photo("coffee", 600)
    whole, other = room.crop((0, 0, 420, 400)), room.crop((180, 0, 600, 400))
    (folder / "hurt.jpg").write_bytes(with_zeros(jpeg(other, 97), 0.97, 600))
    whole.save(folder / "whole.jpg", quality=85)
    assert search(folder, Question(level=Level.SIMILAR)) == {"whole.jpg": {"hurt.jpg": "similar"}}


def test_a_heic_of_which_only_the_thumbnail_is_whole_is_no_copy(folder: Path) -> None:
    pillow_heif.register_heif_opener()
    large = photo("coffee", 600).resize((2400, 1600))
    large.save(folder / "hurt.heic", quality=70, thumbnails=[1200])
    large.save(folder / "good.jpg", quality=90)
    data = (folder / "hurt.heic").read_bytes()
    (folder / "hurt.heic").write_bytes(with_zeros(data, 0.25, len(data) // 4))
    assert search(folder) == {}


def test_what_a_png_of_the_same_pixels_was_made_of_is_kept(folder: Path) -> None:
    (folder / "camera.jpg").write_bytes(jpeg(photo("coffee"), 85))
    with Image.open(folder / "camera.jpg") as original:
        original.save(folder / "saved anew.png")
    os.utime(folder / "saved anew.png", (10**9, 10**9))
    assert search(folder) == {"camera.jpg": {"saved anew.png": "pixel"}}


def test_what_is_in_the_archive_goes_though_the_archives_file_was_made_of_it(folder: Path) -> None:
    (folder / "inbox").mkdir()
    (folder / "archive").mkdir()
    (folder / "inbox/camera.jpg").write_bytes(jpeg(photo("coffee"), 85))
    with Image.open(folder / "inbox/camera.jpg") as original:
        original.save(folder / "archive/saved anew.png")
    question = Question(reference=folder / "archive")
    assert search(folder, question) == {"saved anew.png": {"camera.jpg": "pixel"}}


def test_of_equal_pixels_the_file_with_a_film_behind_the_photo_is_kept_though_newer(folder: Path) -> None:
    still = jpeg(photo("coffee"), 90)
    (folder / "stripped.jpg").write_bytes(still)
    (folder / "motion.jpg").write_bytes(still + b"\0\0\0\x18ftypmp42" + bytes(100_000))
    os.utime(folder / "stripped.jpg", (10**9, 10**9))
    assert search(folder) == {"motion.jpg": {"stripped.jpg": "pixel"}}


def test_many_copies_make_one_group_around_the_smallest_that_alone_tells_more(folder: Path) -> None:
    plain = [f"{level}.png" for level in range(7)]
    for level, name in enumerate(plain):
        photo("coffee", 300).save(folder / name, compress_level=level)
    photo("coffee", 300).save(folder / "told.png", compress_level=9, exif=described())
    assert search(folder) == {"told.png": dict.fromkeys(plain, "pixel")}


def test_what_is_left_of_a_photo_stays_when_only_it_tells_the_date(folder: Path) -> None:
    buffer = io.BytesIO()
    photo("coffee").save(buffer, "JPEG", quality=90, exif=dated())
    (folder / "hurt.jpg").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) * 95 // 100])
    photo("coffee").save(folder / "whole.jpg", quality=90)
    assert search(folder) == {}


def stamped(image: Image.Image) -> Image.Image:
    marked = image.copy()
    ImageDraw.Draw(marked).text((20, image.height // 2), "(c) SAMPLE STOCK", fill="white", font_size=40)
    return marked


def blacked_out(image: Image.Image) -> Image.Image:
    marked = image.copy()
    ImageDraw.Draw(marked).rectangle((180, 120, 270, 190), fill="black")
    return marked


def blurred_in_places(image: Image.Image) -> Image.Image:
    marked = image.copy()
    box = (130, 60, 230, 160)
    marked.paste(image.crop(box).filter(ImageFilter.GaussianBlur(14)), box)
    return marked


@pytest.mark.parametrize(
    ("name", "alter"), [("coffee", stamped), ("astronaut", blacked_out), ("chelsea", blurred_in_places)]
)
def test_the_untouched_photo_is_kept_for_one_that_was_written_on_or_made_unrecognisable(
    name: str, alter: Callable[[Image.Image], Image.Image], folder: Path
) -> None:
    photo(name).save(folder / "clean.jpg", quality=80)
    alter(photo(name)).save(folder / "altered.jpg", quality=96)
    assert search(folder) == {"clean.jpg": {"altered.jpg": "near"}}


def test_who_asks_for_the_largest_file_gets_the_marked_one(folder: Path) -> None:
    photo("coffee").save(folder / "clean.jpg", quality=80)
    stamped(photo("coffee")).save(folder / "marked.jpg", quality=96)
    assert search(folder, Question(keep=Keep.LARGEST)) == {"marked.jpg": {"clean.jpg": "near"}}


def test_a_heic_is_kept_for_the_larger_jpeg_made_of_it(folder: Path) -> None:
    pillow_heif.from_pillow(photo("astronaut")).save(folder / "IMG_1.heic", quality=60)
    with Image.open(folder / "IMG_1.heic") as original:
        original.convert("RGB").save(folder / "export.jpg", quality=92)
    sizes = [(folder / name).stat().st_size for name in ("IMG_1.heic", "export.jpg")]
    assert sizes[0] < sizes[1]
    assert search(folder) == {"IMG_1.heic": {"export.jpg": "near"}}


@pytest.mark.parametrize(
    ("kind", "options"), [("webp", {"lossless": True}), ("jp2", {"irreversible": False})]
)
def test_what_is_lossless_is_kept_for_a_larger_jpeg_of_it(
    kind: str, options: dict[str, bool], folder: Path
) -> None:
    smooth = photo("coffee").filter(ImageFilter.GaussianBlur(2))
    smooth.save(folder / f"original.{kind}", **options)
    smooth.save(folder / "copy.jpg", quality=100, subsampling=0)
    assert (folder / f"original.{kind}").stat().st_size < (folder / "copy.jpg").stat().st_size
    assert search(folder) == {f"original.{kind}": {"copy.jpg": "near"}}


def dated() -> Image.Exif:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "1963:05:01 12:00:00"
    return exif


def described() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "Grandma Anna and Uncle Otto, Lindau"
    return exif


@pytest.mark.parametrize("told", [dated, described])
def test_a_scan_that_tells_its_date_or_who_is_on_it_is_kept_for_a_copy_that_does_not(
    told: Callable[[], Image.Exif], folder: Path
) -> None:
    photo("coffee").save(folder / "scan.jpg", quality=85, exif=told())
    with Image.open(folder / "scan.jpg") as scan:
        scan.save(folder / "converted.png", pnginfo=PngImagePlugin.PngInfo(), exif=Image.Exif())
    assert search(folder) == {"scan.jpg": {"converted.png": "pixel"}}


def test_two_files_that_each_tell_what_the_other_does_not_both_stay(folder: Path) -> None:
    photo("coffee").save(folder / "dated.jpg", quality=85, exif=dated())
    photo("coffee").save(folder / "described.jpg", quality=95, exif=described())
    assert search(folder) == {}


@pytest.mark.parametrize(("kind", "quality"), [("jpg", 95), ("png", 0)])
def test_no_good_copy_goes_for_a_poor_one_that_only_tells_more(kind: str, quality: int, folder: Path) -> None:
    photo("coffee").save(folder / f"good.{kind}", quality=quality)
    photo("coffee").save(folder / "poor.jpg", quality=20, exif=described())
    assert search(folder) == {}


@pytest.mark.parametrize("words", ["OLYMPUS DIGITAL CAMERA", "  \0"])
def test_what_cameras_write_by_themselves_tells_nothing(words: str, folder: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = words
    photo("coffee").save(folder / "good.jpg", quality=95)
    photo("coffee").save(folder / "poor.jpg", quality=50, exif=exif)
    assert search(folder) == {"good.jpg": {"poor.jpg": "near"}}


def test_a_smoothed_copy_is_not_taken_for_the_untouched_one(folder: Path) -> None:
    photo("astronaut").save(folder / "original.jpg", quality=92)
    photo("astronaut").filter(ImageFilter.MedianFilter(7)).save(folder / "smooth.jpg", quality=92)
    assert "smooth.jpg" not in search(folder)


def test_a_stereo_photo_is_kept_for_its_first_view(folder: Path) -> None:
    photo("coffee").save(
        folder / "stereo.jpg", "MPO", save_all=True, append_images=[photo("coffee").rotate(1)], quality=92
    )
    photo("coffee").save(folder / "first.jpg", quality=95)
    assert search(folder) == {"stereo.jpg": {"first.jpg": "near"}}


def test_a_photo_with_edits_beside_it_is_kept_for_one_without(folder: Path) -> None:
    (folder / "edited").mkdir()
    photo("coffee").save(folder / "edited/edited.jpg", quality=92)
    (folder / "edited/edited.xmp").write_text("<x:xmpmeta>rating</x:xmpmeta>", encoding="utf-8")
    photo("coffee").save(folder / "plain.jpg", quality=95)
    assert search(folder) == {"edited.jpg": {"plain.jpg": "near"}}


def within_a_second(digits: str) -> Image.Exif:
    exif = from_camera()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.SubsecTimeOriginal] = digits
    return exif


COPY = {"large.jpg": {"small.jpg": "near"}}


@pytest.mark.parametrize(("digits", "groups"), [("87", {}), ("12", COPY), ("120", COPY)])
def test_frames_of_one_second_are_told_by_its_fraction(
    digits: str, groups: dict[str, dict[str, str]], folder: Path
) -> None:
    photo("coffee").save(folder / "large.jpg", quality=95, exif=within_a_second("12"))
    photo("coffee").save(folder / "small.jpg", quality=85, exif=within_a_second(digits))
    assert search(folder) == groups


def test_a_room_with_somebody_in_it_is_no_copy_of_the_empty_room(folder: Path) -> None:
    room = photo("coffee", 800)
    room.save(folder / "empty.jpg", quality=95)
    visitor = photo("astronaut").crop((130, 20, 330, 330)).resize((96, 150))
    mask = Image.new("L", visitor.size, 0)
    ImageDraw.Draw(mask).ellipse((2, 2, 93, 147), fill=255)
    room.paste(visitor, (500, 60), mask.filter(ImageFilter.GaussianBlur(2)))
    room.save(folder / "visited.jpg", quality=90)
    assert search(folder) == {}
