"""Own pictures: what the program draws carries a mark, so that it is not taken for a photo of the user's."""

from typing import Final

from PIL import ExifTags, Image

MARK: Final = "Sightline (drawn, no photo)"
REASON: Final = "drawn by sightline itself: a highlight, a mask or a contact sheet"


def mark() -> Image.Exif:
    """Give the EXIF data to save a drawn picture with."""
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = MARK
    return exif


def is_marked(exif: Image.Exif) -> bool:
    """Tell whether a picture's EXIF data say that the program drew it."""
    return bool(exif.get(ExifTags.Base.Software) == MARK)
