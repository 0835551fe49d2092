"""Local features: up to 48 marks of a picture, by which a part of it is found again in other pictures.

SIFT (Lowe 2004) on a small grey copy; each descriptor is cut down to 128 bits, one for each of its numbers
that is above their median, so that marks are compared by counting bits. Crops, frames, collages and pictures
with text on them keep enough marks of what they were made from, where hashes of the whole picture do not.
"""

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

SIDE: Final = 160  # pixels of the longer side that marks are looked for in: coarse ones outlive compression
FEATURES_MAX: Final = 48
CONTRAST_MIN: Final = 0.02  # half of OpenCV's: sky and sand have few marks
CODE_BITS: Final = 128
SIZE_STEPS: Final = 32  # of the stored size, for each doubling

FEATURE: Final = np.dtype(
    [
        ("code", np.uint8, CODE_BITS // 8),
        ("x", np.uint8),  # in 256ths of SIDE
        ("y", np.uint8),
        ("angle", np.uint8),  # in 256ths of a turn
        ("size", np.uint8),  # diameter in pixels: 2 ** (size / SIZE_STEPS)
    ]
)  # docs/formats.md
Features = NDArray[np.void]  # (n,) of FEATURE


def local_features(image: "Image.Image") -> Features:
    """Take down the strongest marks of an upright image; (n,) of FEATURE, n at most FEATURES_MAX."""
    keypoints, descriptors = _detector().detectAndCompute(_small_grey(image), None)
    found = np.zeros(min(len(keypoints), FEATURES_MAX), FEATURE)
    if not len(found):
        return found
    strongest = np.argsort([-point.response for point in keypoints], kind="stable")[:FEATURES_MAX]
    points = [keypoints[row] for row in strongest]
    places = np.array([point.pt for point in points]) * (256 / SIDE)
    found["x"], found["y"] = np.clip(places.round(), 0, 255).T
    found["angle"] = np.round(np.array([point.angle for point in points]) * (256 / 360)).astype(int) % 256
    sizes = np.log2([max(point.size, 1.0) for point in points]) * SIZE_STEPS
    found["size"] = np.clip(sizes.round(), 0, 255)
    rows = descriptors[strongest]
    found["code"] = np.packbits(rows > np.median(rows, axis=1, keepdims=True), axis=1)
    return found


@cache
def _detector() -> Any:
    import cv2

    cv2.setNumThreads(1)  # we work on many pictures at once already
    return cv2.SIFT.create(nfeatures=FEATURES_MAX, contrastThreshold=CONTRAST_MIN)


def _small_grey(image: "Image.Image") -> NDArray[np.uint8]:
    from PIL import Image  # records import this module, and a text query needs no pictures

    scale = min(1.0, SIDE / max(image.size))
    width, height = (max(1, round(edge * scale)) for edge in image.size)
    grey = image.convert("L")
    return np.asarray(grey if scale == 1 else grey.resize((width, height), Image.Resampling.BOX))


def mirrored(features: Features) -> Features:
    """Work out what the mirrored picture's marks look like from these; their places are left as is.

    SIFT describes 4 x 4 fields around a mark, each by how much it rises in 8 directions: a mirror swaps
    fields and directions, and nothing else.
    """
    turned = features.copy()
    bits = np.unpackbits(features["code"], axis=1).reshape(-1, 4, 4, 8)
    directions = -np.arange(8) % 8
    turned["code"] = np.packbits(bits[:, ::-1][..., directions].reshape(-1, CODE_BITS), axis=1)
    turned["angle"] = 128 - features["angle"]  # uint8 wraps as angles do
    return turned


def pack(features: Features) -> bytes:
    """Write them as they are stored."""
    return features.tobytes()


def unpack(stored: bytes | bytearray) -> Features:
    """Read what `pack` wrote."""
    return np.frombuffer(stored, FEATURE)
