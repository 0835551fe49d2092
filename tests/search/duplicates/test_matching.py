import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from search.duplicates.judging import Bars
from search.duplicates.matching import Match, match, match_whole, sketch

from .photos import NAMES, cropped, labelled, photo, recompressed

BARS = Bars()
EDITS = {
    "half size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "JPEG 20": lambda image: recompressed(image, 20),
    "WebP 50": lambda image: recompressed(image, 50, "WEBP"),
    "crop to 70 %": lambda image: cropped(image, 0.7),
    "rotated by 4 degrees": lambda image: image.rotate(4),
    "upside down": lambda image: image.rotate(180),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.6),
    "greyscale": lambda image: image.convert("L").convert("RGB"),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
    "bordered": lambda image: ImageOps.expand(image, 40, (0, 0, 0)),
    "labelled": labelled,
    "mirrored": ImageOps.mirror,
}


def is_duplicate(found: Match | None) -> bool:
    return found is not None and found.inliers >= BARS.inliers and found.agreement >= BARS.agreement


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
def test_an_edited_photo_matches_its_original(name: str, edit: str) -> None:
    image = photo(name)
    assert is_duplicate(match(sketch(image), sketch(EDITS[edit](image))))


def test_different_photos_do_not_match() -> None:
    sketches = [sketch(photo(name)) for name in NAMES]
    wrong = [
        (NAMES[i], NAMES[j])
        for i in range(len(NAMES))
        for j in range(i)
        if is_duplicate(match(sketches[i], sketches[j]))
    ]
    assert wrong == []


def test_a_crop_is_told_from_the_whole_by_what_each_covers() -> None:
    image = photo("astronaut")
    found = match(sketch(image), sketch(cropped(image, 0.6)))
    assert found is not None
    assert found.covers_first == pytest.approx(0.6, abs=0.05)
    assert found.covers_second > 0.95


def test_a_photo_with_something_moved_in_it_agrees_less() -> None:
    image = photo("coffee")
    moved = image.copy()
    part = image.crop((100, 60, 300, 240)).transpose(Image.Transpose.ROTATE_90)
    moved.paste(part, (140, 50))
    found = match(sketch(image), sketch(moved))
    assert found is not None
    assert found.agreement < BARS.agreement


def test_a_mirrored_copy_is_named_so_and_not_looked_for_unasked() -> None:
    one, other = sketch(photo("chelsea")), sketch(ImageOps.mirror(photo("chelsea")))
    found = match(one, other)
    assert found is not None
    assert found.turned == "mirrored"
    assert not is_duplicate(match(one, sketch(ImageOps.mirror(photo("chelsea")), mirrored=False)))


def test_a_picture_without_any_detail_matches_nothing() -> None:
    flat = sketch(Image.new("RGB", (200, 200), (90, 90, 90)))
    assert match(flat, flat) is None


def test_laid_over_whole_a_copy_agrees_and_another_photo_does_not() -> None:
    one = sketch(photo("rocket"))
    assert match_whole(one, sketch(recompressed(photo("rocket"), 30))).agreement > 0.95
    assert match_whole(one, sketch(photo("coffee"))).agreement < 0.5


def test_laid_over_turned_it_agrees_only_that_way() -> None:
    one, other = sketch(photo("rocket")), sketch(photo("rocket").rotate(-90, expand=True))
    assert match_whole(one, other, 1).agreement > 0.95
    assert match_whole(one, other, 3).agreement < 0.5


def test_single_pixels_and_thin_strips_do_not_stop_it() -> None:
    chance = np.random.default_rng(0)
    for size in ((1, 1), (1, 300), (400, 2), (7, 7)):
        image = Image.fromarray(chance.integers(0, 256, (*size, 3), dtype=np.uint8))
        assert 0 <= match_whole(sketch(image), sketch(photo("coffee"))).agreement <= 1


@pytest.mark.parametrize("thirtieths", [2, 4, 10])
@pytest.mark.parametrize("name", ["coffee", "rocket", "chelsea"])
def test_a_frame_around_a_picture_is_told_from_the_picture(name: str, thirtieths: int) -> None:
    image = photo(name)
    framed = ImageOps.expand(image, image.width * thirtieths // 30, (20, 20, 20))
    found = match(sketch(image), sketch(framed))
    assert found is not None
    assert (found.framed_first, found.framed_second) == (False, True)


def shown_by_a_telephone(image: Image.Image, ground: tuple[int, int, int]) -> Image.Image:
    screen = Image.new("RGB", (image.width, image.width * 16 // 9), ground)
    screen.paste(image, (0, (screen.height - image.height) // 2))
    draw = ImageDraw.Draw(screen)
    draw.text((10, 5), "12:45      LTE 83 %", fill=(128, 128, 128), font_size=max(12, image.width // 30))
    for place in (1, 3, 5):
        middle, radius = screen.width * place // 6, screen.width // 40
        draw.ellipse(
            (middle - radius, screen.height - 3 * radius, middle + radius, screen.height - radius), "white"
        )
    return screen


@pytest.mark.parametrize("name", ["coffee", "chelsea", "astronaut"])
def test_dark_bars_above_and_below_are_a_frame(name: str) -> None:
    found = match(sketch(photo(name)), sketch(shown_by_a_telephone(photo(name), (12, 12, 14))))
    assert found is not None
    assert (found.framed_first, found.framed_second) == (False, True)


def test_light_margins_above_and_below_are_none_for_words_may_stand_there() -> None:
    found = match(sketch(photo("coffee")), sketch(shown_by_a_telephone(photo("coffee"), (250, 250, 250))))
    assert found is not None
    assert not found.framed_second


def test_a_night_sky_and_a_dark_sea_are_no_bars() -> None:
    image = photo("coffee")
    scene = Image.new("RGB", (image.width, 2 * image.height))
    draw = ImageDraw.Draw(scene)
    for row in range(scene.height):
        draw.line((0, row, scene.width, row), (row // 25, row // 25, 10 + row // 20))
    scene.paste(image, (0, image.height // 2))
    found = match(sketch(image), sketch(scene))
    assert found is not None
    assert not found.framed_second


def test_what_a_crop_has_lost_is_no_frame() -> None:
    whole = photo("astronaut")
    found = match(sketch(whole), sketch(cropped(whole, 0.7)))
    assert found is not None
    assert (found.framed_first, found.framed_second) == (False, False)


def recoloured(image: Image.Image) -> Image.Image:
    """Give the red things another colour; what is grey stays."""
    red, green, blue = image.split()
    return Image.merge("RGB", (green, blue, red))


def test_the_same_shape_in_another_colour_has_not_the_same_colours() -> None:
    page = Image.new("RGB", (400, 300), "white")
    draw = ImageDraw.Draw(page)
    for step in range(40):
        draw.ellipse((20 + 9 * step, 30 + 5 * step, 44 + 9 * step, 60 + 5 * step), (200, 10 * (step % 9), 30))
    assert match_whole(sketch(page), sketch(page)).same_colours
    assert not match_whole(sketch(page), sketch(recoloured(page))).same_colours


@pytest.mark.parametrize("edit", ["brighter", "less contrast", "greyscale", "labelled"])
def test_a_filter_leaves_the_colours_the_same(edit: str) -> None:
    image = photo("astronaut")
    found = match(sketch(image), sketch(EDITS[edit](image)))
    assert found is not None
    assert found.same_colours
