"""Colours: any of Pillow's modes to eight-bit RGB, as an image viewer shows it."""

import io
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

WHITE: Final = (255, 255, 255, 255)
ALPHA_MODES: Final = ("RGBA", "LA", "PA", "RGBa", "La")
ROWS_AT_ONCE: Final = 256
BITS_PER_SAMPLE_TAG: Final = 258
PHOTOMETRIC_TAG: Final = 262
WHITE_IS_ZERO: Final = 0
SPACES: Final = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}


def to_scalable(image: Image.Image) -> Image.Image:
    """Bring a loaded image to a mode whose pixels may be averaged; colours and alpha stay as they are."""
    if image.mode in ("P", "PA") or ("transparency" in image.info and image.mode in ("1", "L", "RGB")):
        has_alpha = image.mode == "PA" or "transparency" in image.info
        return image.convert("RGBA" if has_alpha else "RGB")
    if image.mode == "1":
        return image.convert("L")
    if image.mode == "F" or image.mode.startswith("I"):
        return _eight_bits(image)
    if image.mode in ("YCbCr", "HSV", "RGBX"):
        return image.convert("RGB")
    return image


def to_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Bring what `to_scalable` gave to RGB: transparent parts over white, colours as the ICC profile says."""
    if image.mode in ALPHA_MODES:
        image = _over_white(image)
    if image.mode == "LAB":
        return _from_lab(image)
    if profile:
        managed = _managed(image, profile)
        if managed is not None:
            return managed
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16 and 32-bit grey to 8 bits; Pillow's own conversion cuts off instead."""
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        return _grey_from_words(values, _white_level(image), inverted=_is_negative(image))
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    for white in (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0):
        if low >= 0 and high <= white:
            return _grey(values * (255 / white))
    return _grey((values - low) * (255 / (high - low)))  # no customary range: from darkest to lightest


def _grey_from_words(values: NDArray[np.uint16], white: int, *, inverted: bool) -> Image.Image:
    """Scale a few rows at a time: as numbers of four bytes a large image would take gigabytes."""
    grey = np.empty(values.shape, dtype=np.uint8)
    for top in range(0, len(values), ROWS_AT_ONCE):
        rows = values[top : top + ROWS_AT_ONCE].astype(np.float32)
        rows = white - rows if inverted else rows
        grey[top : top + ROWS_AT_ONCE] = np.clip(rows * (255 / white) + 0.5, 0, 255)
    return Image.fromarray(grey)


def _white_level(image: Image.Image) -> int:
    """Give the value that means white: 65535, or what a TIFF of 10 to 15 bits says."""
    tags: Any = getattr(image, "tag_v2", {})
    bits = tags.get(BITS_PER_SAMPLE_TAG, (16,))
    first = bits[0] if isinstance(bits, tuple) else bits
    return int((1 << first) - 1) if isinstance(first, int) and 8 < first < 16 else 65535


def _is_negative(image: Image.Image) -> bool:
    """Tell whether 0 means white in a TIFF of words; Pillow turns only bytes the right way round."""
    tags: Any = getattr(image, "tag_v2", {})
    return bool(tags.get(PHOTOMETRIC_TAG) == WHITE_IS_ZERO)


def _grey(values: NDArray[Any]) -> Image.Image:
    return Image.fromarray(np.clip(values + 0.5, 0, 255).astype(np.uint8))


def _over_white(image: Image.Image) -> Image.Image:
    grey = image.mode in ("LA", "La")
    if image.mode == "La":  # from which Pillow knows no other way
        image = image.convert("LA")
    image = image.convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image)
    return flat.convert("L" if grey else "RGB")  # grey stays grey, for its profile


def _managed(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Convert by the profile to sRGB; None when it is sRGB already, broken, or of another kind of image."""
    transform = _transform(profile, image.mode)
    if transform is None:
        return None
    try:
        return transform.apply(image)
    except (ImageCms.PyCMSError, ValueError, OSError):
        return None


@lru_cache(maxsize=32)  # a folder holds few different profiles, and making a transform costs milliseconds
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != SPACES.get(mode) or _is_srgb(source):
            return None
        return ImageCms.ImageCmsTransform(source, _srgb(), mode, "RGB")
    except Exception:  # lcms raises several kinds on broken profiles; a viewer shows the picture without
        return None


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    return "srgb" in (profile.profile.profile_description or "").lower()


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _from_lab(image: Image.Image) -> Image.Image:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    return ImageCms.ImageCmsTransform(lab, _srgb(), "LAB", "RGB").apply(image)
