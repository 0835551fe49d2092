"""What two pictures that look the same turn out to be when they are laid over each other."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from search.duplicates.details import Finding, compare_details
from search.duplicates.matching import match, match_whole, sketch

from .photos import cropped, form, labelled, photo, recompressed

WHOLE = np.eye(2, 3)
Edit = Callable[[Image.Image], Image.Image]


def resized(factor: float) -> Edit:
    return lambda image: image.resize((round(image.width * factor), round(image.height * factor)))


def noisy(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image, np.float32) + np.random.default_rng(0).normal(0, 12, (*image.size[::-1], 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def written_over(image: Image.Image) -> Image.Image:
    """As a photo agency does, so that one sees through it."""
    layer = Image.new("RGBA", image.size)
    ImageDraw.Draw(layer).text((30, image.height * 2 // 5), "sample", fill=(255, 255, 255, 110), font_size=80)
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


COPIES: dict[str, Edit] = {
    "compressed": lambda image: recompressed(image, 12),
    "smaller": resized(0.4),
    "larger": resized(1.7),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.4),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.5),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "noisy": noisy,
}


@pytest.mark.parametrize("edit", COPIES)
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_an_edit_that_changes_no_content_is_the_same_in_every_detail(name: str, edit: str) -> None:
    assert compare_details(photo(name), COPIES[edit](photo(name)), WHOLE).finding is Finding.SAME


@pytest.mark.parametrize(
    "edit",
    [
        lambda image: cropped(image, 0.6),
        lambda image: image.rotate(3, Image.Resampling.BICUBIC),
        ImageOps.mirror,
    ],
    ids=["crop", "tilt", "mirror"],
)
def test_where_the_second_lies_in_the_first_is_taken_from_their_features(edit: Edit) -> None:
    first, second = photo("coffee"), edit(photo("coffee"))
    found = match(sketch(first), sketch(second))
    assert found is not None
    assert compare_details(first, second, found.placed).finding is Finding.SAME
    assert compare_details(first, second, WHOLE).finding is not Finding.SAME


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_a_turned_picture_is_laid_as_its_hash_says(quarters: int, mirrored: bool) -> None:
    first = photo("astronaut").crop((0, 0, 400, 300))
    upright = ImageOps.mirror(first) if mirrored else first
    second = upright.rotate((-90 if not mirrored else 90) * quarters, expand=True)
    turns = [match_whole(sketch(first), sketch(second), turn, mirrored=mirrored) for turn in range(4)]
    best = max(turns, key=lambda found: found.agreement)
    assert compare_details(first, second, best.placed).finding is Finding.SAME


def test_a_misfit_of_some_pixels_is_mended() -> None:
    off = np.array([[1.01, 0, 0.008], [0, 1.0, -0.01]])
    assert compare_details(photo("astronaut"), photo("astronaut"), off).finding is Finding.SAME


@pytest.mark.parametrize("mark", [labelled, written_over], ids=["label", "watermark"])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_what_was_put_on_a_picture_leaves_it_a_copy(name: str, mark: Edit) -> None:
    marked = recompressed(mark(photo(name)), 85)
    assert compare_details(photo(name), marked, WHOLE).finding in (Finding.MARKED, Finding.SAME)


def test_a_large_label_is_told_from_nothing() -> None:
    marked = photo("chelsea").copy()
    ImageDraw.Draw(marked).rectangle((0, marked.height - 70, 300, marked.height - 10), fill="white")
    assert compare_details(photo("chelsea"), marked, WHOLE).finding is Finding.MARKED


def test_a_picture_in_which_something_else_stands_is_another() -> None:
    changed = photo("coffee").copy()
    changed.paste(photo("chelsea").resize((160, 130)), (150, 90))
    assert compare_details(photo("coffee"), changed, WHOLE).finding is Finding.OTHER


@pytest.mark.parametrize("edit", ["compressed", "smaller", "darker"])
def test_a_copy_of_a_form_is_the_same(edit: str) -> None:
    filled = form(name="Anna Berger", amount="48,213.00")
    assert compare_details(filled, COPIES[edit](filled), WHOLE).finding is Finding.SAME


@pytest.mark.parametrize(
    "other",
    [{"name": "Paul Winter", "amount": "17,950.40"}, {"name": "Anna Berger", "amount": "17,950.40"}, {}],
    ids=["another form", "another amount", "an empty form"],
)
@pytest.mark.parametrize("quality", [95, 40])
def test_a_form_with_something_else_written_is_another(other: dict[str, str], quality: int) -> None:
    filled = form(name="Anna Berger", amount="48,213.00")
    assert compare_details(filled, recompressed(form(**other), quality), WHOLE).finding is Finding.OTHER


def receipt(total: str) -> Image.Image:
    page = Image.new("RGB", (1000, 1400), (250, 250, 248))
    draw, chance = ImageDraw.Draw(page), np.random.default_rng(3)
    for row in range(40):
        words = "".join(chance.choice(list("abcdefghij  klmnop"), 40))
        text = f"TOTAL DUE {total} {words[:20]}" if row == 20 else words
        draw.text((80, 60 + row * 32), text, fill=(20, 20, 20), font_size=24)
    return page


def test_pages_that_differ_in_one_digit_are_not_the_same() -> None:
    one, other = (recompressed(receipt(total), 85) for total in ("184.50", "134.50"))
    assert compare_details(one, other, WHOLE).finding is Finding.OTHER


@pytest.mark.parametrize("edit", COPIES)
def test_a_copy_of_a_page_is_the_same_page(edit: str) -> None:
    assert compare_details(receipt("184.50"), COPIES[edit](receipt("184.50")), WHOLE).finding is Finding.SAME


def test_a_thumbnail_too_small_to_show_anything_is_not_judged() -> None:
    assert (
        compare_details(photo("coffee"), photo("coffee").resize((24, 16)), WHOLE).finding is Finding.UNKNOWN
    )


def test_flat_pictures_of_different_tones_are_not_the_same() -> None:
    halves = Image.new("RGB", (300, 300), (40, 40, 40))
    halves.paste((200, 200, 200), (150, 0, 300, 300))
    turned = halves.rotate(90)
    assert compare_details(halves, turned, WHOLE).finding is Finding.OTHER


def clouds(noise: int, *, gulls: bool) -> Image.Image:
    """A sky with hardly anything in it; each exposure has its own noise."""
    down, across = np.linspace(0, 1, 600)[:, None], np.linspace(0, 1, 900)[None, :]
    tones = 90 + 110 * down + 14 * np.sin(9 * across) * np.sin(7 * down)
    grains = np.random.default_rng(noise).normal(0, 1.5, tones.shape)
    sky = Image.fromarray(np.clip(tones + grains, 0, 255).astype(np.uint8)).convert("RGB")
    for x, y in ((200, 170), (260, 200)) if gulls else ():
        wings = [(x - 24, y - 10), (x, y), (x + 24, y - 12)]
        ImageDraw.Draw(sky).line(wings, fill=(50, 50, 55), width=5)
    return sky


def test_gulls_in_an_empty_sky_are_all_that_it_shows() -> None:
    one, other = clouds(1, gulls=True), recompressed(clouds(2, gulls=False), 90)
    assert compare_details(one, other, WHOLE).finding is Finding.OTHER


def test_a_copy_of_an_empty_sky_is_the_same() -> None:
    one, other = clouds(1, gulls=True), recompressed(clouds(1, gulls=True), 60)
    assert compare_details(one, other, WHOLE).finding is Finding.SAME
