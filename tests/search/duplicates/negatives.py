"""RAW files with a preview in them, as cameras write them, for the tests of what is left of them."""

import io
import struct

import numpy as np
from PIL import Image

Entry = tuple[int, int, int, int | bytes]  # tag, kind, count, value

_PREVIEWS_ENTRIES_AT, _SENSORS_ENTRIES_AT, _PREVIEW_AT = 8, 2048, 4096
_MATRIX = b"".join(struct.pack("<2i", int(i % 4 == 0), 1) for i in range(9))


def negative_with_preview(image: Image.Image) -> tuple[bytes, int]:
    """Write a DNG that holds a JPEG of the picture before the sensor's data; and where that data begins."""
    mosaic = _mosaic(image)
    height, width = mosaic.shape
    buffer = io.BytesIO()
    image.crop((0, 0, width, height)).save(buffer, "JPEG", quality=92)
    preview = buffer.getvalue()
    sensor_at = (_PREVIEW_AT + len(preview) + 511) // 512 * 512
    previews: list[Entry] = [
        (254, 4, 1, 1), (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, struct.pack("<3H", 8, 8, 8)),
        (259, 3, 1, 7), (262, 3, 1, 6), (271, 2, 5, b"Acme\0"), (272, 2, 5, b"Snap\0"),
        (273, 4, 1, _PREVIEW_AT), (274, 3, 1, 1), (277, 3, 1, 3), (278, 4, 1, height),
        (279, 4, 1, len(preview)), (330, 4, 1, _SENSORS_ENTRIES_AT), (50706, 1, 4, b"\1\4\0\0"),
        (50708, 2, 5, b"Acme\0"), (50721, 10, 9, _MATRIX), (50778, 3, 1, 21),
    ]  # fmt: skip
    sensors: list[Entry] = [
        (254, 4, 1, 0), (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 16), (259, 3, 1, 1),
        (262, 3, 1, 32803), (273, 4, 1, sensor_at), (277, 3, 1, 1), (278, 4, 1, height),
        (279, 4, 1, mosaic.nbytes), (33421, 3, 2, struct.pack("<2H", 2, 2)), (33422, 1, 4, b"\0\1\1\2"),
        (50717, 4, 1, 65535),
    ]  # fmt: skip
    data = b"II*\0" + struct.pack("<I", _PREVIEWS_ENTRIES_AT) + _directory(previews, _PREVIEWS_ENTRIES_AT)
    data = data.ljust(_SENSORS_ENTRIES_AT, b"\0") + _directory(sensors, _SENSORS_ENTRIES_AT)
    data = (data.ljust(_PREVIEW_AT, b"\0") + preview).ljust(sensor_at, b"\0")
    return data + mosaic.tobytes(), sensor_at


def _mosaic(image: Image.Image) -> "np.ndarray[tuple[int, int], np.dtype[np.uint16]]":
    light = ((np.asarray(image) / 255) ** 2.2 * 60_000).astype("<u2")
    height, width = light.shape[0] // 2 * 2, light.shape[1] // 2 * 2
    mosaic = np.empty((height, width), "<u2")
    for row, column, colour in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[row::2, column::2] = light[row:height:2, column:width:2, colour]
    return mosaic


def _directory(entries: list[Entry], at: int) -> bytes:
    body_at = at + 2 + 12 * len(entries) + 4
    body, written = b"", struct.pack("<H", len(entries))
    for tag, kind, count, value in entries:
        if isinstance(value, bytes) and len(value) > 4:
            packed = struct.pack("<I", body_at + len(body))
            body += value + b"\0" * (len(value) % 2)
        else:
            packed = value.ljust(4, b"\0") if isinstance(value, bytes) else struct.pack("<I", value)
        written += struct.pack("<HHI", tag, kind, count) + packed
    return written + b"\0\0\0\0" + body
