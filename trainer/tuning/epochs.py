"""Epochs: how the images of a set are shared out over the steps in which all of them are seen."""

import math
from dataclasses import dataclass

LEAST = 2  # one image has nothing to be told apart from


@dataclass(frozen=True, slots=True)
class Epoch:
    """So many steps of so many images."""

    steps: int
    size: int

    @classmethod
    def over(cls, images: int, batch_size: int, *, processes: int = 1) -> "Epoch":
        """Share out evenly, in batches of `batch_size` at most, as much for each process.

        What does not come out even, fewer images than there are steps (and of several processes a few more),
        waits for another epoch, which has another order.
        """
        most = max(processes, _whole(min(batch_size, images), processes))
        steps = math.ceil(images / most)
        if images // steps < LEAST * processes:  # as of three images in twos
            steps = max(1, images // most)
        return cls(steps, max(processes, _whole(min(most, images // steps), processes)))


def _whole(images: int, processes: int) -> int:
    return images - images % processes
