"""RAW: a camera's unprocessed file to an upright image, by its own preview where that is large enough."""

import io
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from PIL import ExifTags, Image

KIND: Final = "RAW"
ADVICE: Final = "a RAW photo; to read these"  # older libraries hold it with another way to do so behind it
REMEDY: Final = f"{ADVICE}, install the extra `raw`; in Sightline's clone: pipx install --force '.[raw]'"

# LibRaw's flip to the turn that sets the image upright.
_TURNS: Final = {
    3: Image.Transpose.ROTATE_180,
    5: Image.Transpose.ROTATE_90,
    6: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True, slots=True)
class Developed:
    """An upright picture of a RAW file, and the full size of the photo."""

    image: Image.Image
    width: int
    height: int
    exif: Image.Exif


def is_available() -> bool:
    """Tell whether RAW files can be read here."""
    return find_spec("rawpy") is not None


def develop(source: Path | bytes, *, enough: int | None, pixels_max: int) -> Developed | None:
    """Read a RAW file; None when LibRaw does not know it. `enough`: the side a preview must have."""
    import rawpy

    try:
        with rawpy.imread(io.BytesIO(source) if isinstance(source, bytes) else str(source)) as raw:
            turned = raw.sizes.flip in (5, 6)
            width, height = raw.sizes.width, raw.sizes.height
            size = (height, width) if turned else (width, height)
            if width * height > pixels_max:
                return Developed(Image.new("RGB", (1, 1)), *size, Image.Exif())
            preview, exif = _preview(raw)
            if preview is None or enough is None or min(preview.size) < min(enough, *size):
                half = enough is not None and min(size) >= 2 * enough
                preview = Image.fromarray(raw.postprocess(use_camera_wb=True, half_size=half, output_bps=8))
            return Developed(preview, *size, exif)
    except rawpy.LibRawError:
        return None


def is_cut_off(path: Path) -> bool:
    """Tell whether sensor data is missing of a file whose preview can be shown; raises OSError.

    Costs the unpacking of that data. What LibRaw opens but cannot unpack, being too new, is not cut off.
    """
    import rawpy

    try:
        with rawpy.imread(str(path)) as raw:
            raw.unpack()
    except (rawpy.LibRawIOError, rawpy.LibRawDataError):
        path.read_bytes()  # a drive that fails says so here; LibRaw takes it for the file's end
        return True
    except rawpy.LibRawError:
        return False
    return False


def _preview(raw: Any) -> tuple[Image.Image | None, Image.Exif]:
    """Give the largest embedded preview, upright, and the EXIF data in it."""
    import rawpy

    try:
        thumb = raw.extract_thumb()
        if thumb.format == rawpy.ThumbFormat.BITMAP:
            return _turned(Image.fromarray(thumb.data), raw.sizes.flip), Image.Exif()
        image = Image.open(io.BytesIO(thumb.data), formats=["JPEG"])
        image.load()
    except (rawpy.LibRawError, OSError, SyntaxError, ValueError):
        return None, Image.Exif()
    exif = image.getexif()
    if exif.get(ExifTags.Base.Orientation) is None:
        return _turned(image, raw.sizes.flip), exif
    return image, exif  # the caller turns it, as it does every JPEG


def _turned(image: Image.Image, flip: int) -> Image.Image:
    """Turn a preview that is still as the sensor saw it; some cameras store it upright."""
    if flip not in _TURNS or (flip in (5, 6) and image.height > image.width):
        return image
    return image.transpose(_TURNS[flip])
