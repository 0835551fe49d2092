"""Labels that were laid on a picture, told from what the picture shows itself."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from search.duplicates.details import Finding, compare_details

from .photos import photo, recompressed

WHOLE = np.eye(2, 3)
GROUNDS = {"white": "black", "black": "white", "yellow": "navy"}


def with_label(image: Image.Image, ground: str, text: str = "Best wishes from the sea") -> Image.Image:
    """Letters fill the label and run over its edge, as those of a small picture do."""
    marked = image.copy()
    size = max(12, image.height // 10)
    draw = ImageDraw.Draw(marked)
    box = (0, image.height - 2 * size, image.width * 2 // 3, image.height - size // 2)
    draw.rectangle(box, fill=ground)
    draw.text((size, image.height - 2 * size), text, fill=GROUNDS[ground], font_size=size)
    return marked


def square(name: str, side: int) -> Image.Image:
    """The left of a photo, small."""
    image = photo(name)
    edge = min(image.size)
    return image.crop((0, 0, edge, edge)).resize((side, side), Image.Resampling.LANCZOS)


def board(text: str) -> Image.Image:
    """A photo of a bright board with strokes on it, in a room."""
    image = photo("coffee").resize((640, 480))
    draw = ImageDraw.Draw(image)
    draw.rectangle((60, 240, 580, 460), fill=(236, 238, 240))
    for row in range(4):
        draw.text((90, 250 + row * 50), text[row * 8 :] + text[: row * 8], fill=(20, 20, 30), font_size=38)
    return image


@pytest.mark.parametrize(
    ("name", "side", "ground"),
    [
        ("chelsea", 144, "white"),
        ("chelsea", 320, "black"),
        ("coffee", 144, "yellow"),
        ("rocket", 320, "black"),
    ],
)
def test_a_label_filled_with_letters_leaves_a_photo_a_copy(name: str, side: int, ground: str) -> None:
    marked = recompressed(with_label(square(name, side), ground), 90)
    assert compare_details(square(name, side), marked, WHOLE).finding is Finding.MARKED


def test_a_label_may_lie_on_writing() -> None:
    clean = board("meet at nine, bring the maps")
    marked = recompressed(with_label(clean, "yellow"), 90)
    assert compare_details(clean, marked, WHOLE).finding is Finding.MARKED


def test_a_board_with_other_words_on_it_is_no_label() -> None:
    one, other = board("meet at nine, bring the maps"), board("all gone home by six oclock!")
    assert compare_details(one, recompressed(other, 90), WHOLE).finding is Finding.OTHER
