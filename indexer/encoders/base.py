"""The contract of an encoder: images and texts to unit vectors of one space."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import EncoderError, UsageError
from ..records import EncoderCard, Preprocessing, Vectors
from .texts import valid_unicode

if TYPE_CHECKING:
    from PIL import Image  # text queries do without

PixelBatch: TypeAlias = NDArray[np.uint8]  # (n, height, width, 3), RGB, at the encoder's input size


class Encoder(Protocol):
    """Turns images and texts into unit vectors of one space."""

    @property
    def card(self) -> EncoderCard:
        """Say who we are."""
        ...

    @property
    def batch_size(self) -> int:
        """Give the number of images that keeps this runtime busy."""
        ...

    def encode_pixels(self, pixels: PixelBatch) -> Vectors:
        """Encode images that `prepare` has brought to the input size; (n, dim) float32 unit rows."""
        ...

    def encode_images(self, images: "Sequence[Image.Image]") -> Vectors:
        """Encode Pillow images of any size and mode; (n, dim) float32 unit rows. Raises UsageError."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Encode texts; over-long ones are cut as the model's tokenizer cuts them; (n, dim) float32.

        Raises UsageError for what is no list of texts.
        """
        ...


def unit_rows(vectors: NDArray[np.float32]) -> Vectors:
    """Scale each row of (n, dim) to length one; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def checked_vectors(vectors: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """Give vectors as a model called `name` computed them; raises EncoderError where some are no numbers."""
    if not np.isfinite(vectors).all():
        raise EncoderError(
            f"{name} gives vectors that are no numbers: its training has diverged, or its file is damaged; "
            "use an earlier checkpoint, or fetch it again"
        )
    return vectors


def prepared_batch(images: "Sequence[Image.Image]", preprocessing: Preprocessing) -> PixelBatch:
    """Bring Pillow images of any size and mode to one batch of an encoder's input."""
    from ..prepare import prepare

    images = checked_images(images)
    shape = (len(images), preprocessing.height, preprocessing.width, 3)
    batch = np.empty(shape, dtype=np.uint8)
    for row, image in enumerate(images):
        batch[row] = prepare(upright_rgb(image), preprocessing)
    return batch


def checked_texts(texts: Sequence[str]) -> list[str]:
    """Give the texts to encode, of valid Unicode.

    Raises UsageError, above all for a lone str: each letter would be a text.
    """
    some = _listed(texts, "texts")
    for text in some:
        if not isinstance(text, str):
            raise UsageError(f"a text to encode is a str, not {type(text).__name__}: {text!r:.60}")
    return [valid_unicode(text) for text in some]


def checked_images(images: "Sequence[Image.Image]") -> "list[Image.Image]":
    """Give the images to encode; raises UsageError for what is no Pillow image, or one without pixels."""
    from PIL import Image

    some = _listed(images, "images")
    for image in some:
        if not isinstance(image, Image.Image):
            raise UsageError(
                f"an image to encode is a Pillow image, not {type(image).__name__}; Image.open reads a file, "
                "Image.fromarray makes one of an array"
            )
        if not all(image.size):
            raise UsageError(f"an image to encode has no pixels: it is {image.width} x {image.height}")
    return some


def _listed(items: object, what: str) -> list[Any]:
    if isinstance(items, str | bytes) or not isinstance(items, Iterable):
        raise UsageError(f"{what} to encode come in a list, not as {type(items).__name__}: {items!r:.60}")
    return list(items)


def upright_rgb(image: "Image.Image") -> "Image.Image":
    """Give an image as the decoder of files does: upright, RGB.

    Raises UsageError for one that is damaged, or was closed.
    """
    from ..colours import to_rgb, to_scalable

    upright = _upright(image)
    rgb = to_rgb(to_scalable(upright), upright.info.get("icc_profile"))
    rgb.info.clear()  # a copy's; what it says is done, and doing it twice would turn the image back
    return rgb


def _upright(image: "Image.Image") -> "Image.Image":
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins raise a dozen kinds on damaged data
        raise UsageError(f"an image cannot be decoded ({error}); give one that is whole and open") from error
