"""Own pictures: what the program draws carries a mark, so that it is not taken for a photo of the user's."""

from pathlib import Path
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


def may_be_replaced(file: Path) -> bool:
    """Tell whether a drawn picture may take the place of what is there: nothing, an empty file, one of ours.

    A pipe or a device is written to and never replaced, so it may be named too.
    """
    if not file.is_file():
        return not file.is_dir()
    return file.stat().st_size == 0 or is_own(file)


def is_own(file: Path) -> bool:
    """Tell whether a file holds a picture that the program drew, in a format that it draws in."""
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile
    from PIL.WebPImagePlugin import WebPImageFile

    # Not by Image.open, which refuses 200 megapixels; nothing is decoded here.
    for kind in (PngImageFile, JpegImageFile, WebPImageFile):
        try:
            with kind(file) as opened:
                exif = Image.Exif()
                exif.load(opened.info.get("exif", b""))
                return is_marked(exif)
        except Exception:  # of another format, damaged or hostile: then it is none of ours
            continue
    return False
