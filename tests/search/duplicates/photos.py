"""Photos that scikit-image carries, and edits of them."""

import io
from functools import cache

import skimage.data
from PIL import Image, ImageDraw

NAMES = ("astronaut", "chelsea", "coffee", "rocket", "camera", "brick", "coins", "hubble_deep_field")


@cache
def photo(name: str, side: int = 480) -> Image.Image:
    image = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
    image.thumbnail((side, side))
    return image


def recompressed(image: Image.Image, quality: int, kind: str = "JPEG") -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def cropped(image: Image.Image, share: float) -> Image.Image:
    """Keep this share of the area, off the middle."""
    width, height = (round(edge * share**0.5) for edge in image.size)
    left, top = (image.width - width) * 2 // 3, (image.height - height) // 3
    return image.crop((left, top, left + width, top + height))


def labelled(image: Image.Image) -> Image.Image:
    marked = image.copy()
    draw = ImageDraw.Draw(marked)
    draw.rectangle((10, image.height - 40, image.width // 2, image.height - 10), fill=(250, 250, 250))
    draw.text((20, image.height - 34), "holiday 2024", fill=(0, 0, 0))
    return marked


def form(*, name: str = "", amount: str = "", side: int = 1000) -> Image.Image:
    """A form as an office prints it, filled in or not."""
    page = Image.new("RGB", (side * 7 // 10, side), "white")
    draw = ImageDraw.Draw(page)
    draw.rectangle((30, 30, page.width - 30, 110), fill=(30, 60, 120))
    draw.text((50, 50), "Office supplies, order form", fill="white", font_size=34)
    for row, (label, text) in enumerate(
        {"Customer": name, "Street": "", "Order": "", "Amount": amount}.items()
    ):
        draw.text((50, 160 + row * 60), label, fill="black", font_size=24)
        draw.rectangle((220, 150 + row * 60, page.width - 40, 195 + row * 60), outline="black", width=2)
        draw.text((240, 160 + row * 60), text, fill=(20, 20, 60), font_size=26)
    for row in range(14):
        draw.text(
            (50, 450 + row * 36),
            "Please pay within thirty days of delivery, thank you.",
            fill="black",
            font_size=20,
        )
    return page
