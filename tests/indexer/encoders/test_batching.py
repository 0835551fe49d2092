from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.encoders.batching import LARGEST, find_batch_size, in_batches
from indexer.errors import EncoderError


class Full(Exception):
    """Stands for a device's own error; raising it is all such a device does differently."""


def is_full(error: Exception) -> bool:
    return isinstance(error, Full)


class Device:
    """Doubles numbers, as long as they fit its memory; its clock runs as long as `seconds` says."""

    def __init__(self, room: int, seconds: Any = lambda size: float(size)) -> None:
        self.room, self.seconds = room, seconds
        self.sizes: list[int] = []
        self.freed = 0
        self.now = 0.0

    def run(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        self.run_size(len(rows))
        return np.asarray(rows * 2, dtype=np.float32)

    def run_size(self, size: int) -> None:
        if size > self.room:
            raise Full
        self.sizes.append(size)
        self.now += self.seconds(size)

    def free(self) -> None:
        self.freed += 1


def found(device: Device) -> int:
    return find_batch_size(
        device.run_size, is_out_of_memory=is_full, free=device.free, clock=lambda: device.now
    )


def test_batch_is_halved_until_it_fits_and_no_row_is_lost() -> None:
    device = Device(room=3)
    rows = np.arange(11).reshape(11, 1)
    parts = in_batches(device.run, rows, 8, is_out_of_memory=is_full, free=device.free)
    assert np.array_equal(np.concatenate(list(parts)), rows * 2)
    assert device.sizes == [2, 2, 2, 2, 2, 1]
    assert device.freed == 2


def test_one_row_that_does_not_fit_says_what_to_do() -> None:
    with pytest.raises(EncoderError, match="--device cpu"):
        list(in_batches(Device(room=0).run, np.zeros((3, 1)), 4, is_out_of_memory=is_full))


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def broken(_rows: NDArray[Any]) -> NDArray[np.float32]:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(in_batches(broken, np.zeros((3, 1)), 4, is_out_of_memory=is_full))


def test_batch_grows_while_that_pays() -> None:
    # A launch costs as much as 100 images: larger batches are worth it until that cost is small.
    assert found(Device(room=10**6, seconds=lambda size: 100.0 + size)) == LARGEST


def test_batch_stays_small_where_larger_ones_gain_nothing() -> None:
    assert found(Device(room=10**6)) == 16


def test_batch_that_memory_limits_is_the_last_that_ran() -> None:
    device = Device(room=100, seconds=lambda _size: 1.0)
    assert found(device) == 64
    assert device.freed == 1


def test_batch_on_a_device_with_hardly_any_memory_is_still_found() -> None:
    assert found(Device(room=5)) == 4
