"""Photos that scikit-image carries, and edits of them."""

import io
import struct
from functools import cache

import numpy as np
import skimage.data
from PIL import Image, ImageDraw

NAMES = ("astronaut", "chelsea", "coffee", "rocket", "camera", "brick", "coins", "hubble_deep_field")


def photo(name: str, side: int = 480) -> Image.Image:
    """Give a photo of scikit-image's: a copy, since saving notes on an image how that was done."""
    return _photo(name, side).copy()


@cache
def _photo(name: str, side: int) -> Image.Image:
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


def cut_out(image: Image.Image) -> Image.Image:
    """Make all but an oval in the middle transparent."""
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).ellipse((20, 15, image.width - 20, image.height - 15), fill=255)
    cut = image.copy()
    cut.putalpha(mask)
    return cut


def flattened(image: Image.Image) -> Image.Image:
    """Put a cut-out on white."""
    page = Image.new("RGB", image.size, "white")
    page.paste(image, mask=image.getchannel("A"))
    return page


def negative(image: Image.Image) -> bytes:
    """Write the smallest DNG that LibRaw develops to about this picture: one uncompressed Bayer mosaic."""
    light = ((np.asarray(image) / 255) ** 2.2 * 60_000).astype("<u2")
    height, width = light.shape[0] // 2 * 2, light.shape[1] // 2 * 2
    mosaic = np.empty((height, width), "<u2")
    for row, column, colour in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[row::2, column::2] = light[row:height:2, column:width:2, colour]
    entries = [
        (254, 4, 1, 0), (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 16), (259, 3, 1, 1),
        (262, 3, 1, 32803), (271, 2, 5, b"Acme\0"), (272, 2, 5, b"Snap\0"), (273, 4, 1, None), (274, 3, 1, 1),
        (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, width * height * 2),
        (33421, 3, 2, struct.pack("<2H", 2, 2)), (33422, 1, 4, b"\0\1\1\2"), (50706, 1, 4, b"\1\4\0\0"),
        (50708, 2, 5, b"Acme\0"), (50717, 4, 1, 65535),
        (50721, 10, 9, b"".join(struct.pack("<2i", int(i % 4 == 0), 1) for i in range(9))),
        (50778, 3, 1, 21),
    ]  # fmt: skip
    body_at = 8 + 2 + 12 * len(entries) + 4
    body, directory = b"", struct.pack("<H", len(entries))
    pixels_at = body_at + 512
    for tag, kind, count, value in entries:
        if isinstance(value, bytes) and len(value) > 4:
            packed = struct.pack("<I", body_at + len(body))
            body += value
        else:
            number = pixels_at if value is None else value
            packed = number.ljust(4, b"\0") if isinstance(number, bytes) else struct.pack("<I", number)
        directory += struct.pack("<HHI", tag, kind, count) + packed
    head = b"II*\0" + struct.pack("<I", 8) + directory + b"\0\0\0\0" + body
    return head.ljust(pixels_at, b"\0") + mosaic.tobytes()
