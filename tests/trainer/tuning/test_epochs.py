"""An epoch sees every image, in batches of one size that is asked for at most."""

import pytest

from trainer.tuning.epochs import Epoch


@pytest.mark.parametrize(
    ("images", "batch_size", "expected"),
    [
        (64, 64, Epoch(1, 64)),
        (64, 256, Epoch(1, 64)),
        (450, 256, Epoch(2, 225)),
        (511, 256, Epoch(2, 255)),
        (512, 256, Epoch(2, 256)),
        (513, 256, Epoch(3, 171)),
        (2, 2, Epoch(1, 2)),
        (3, 2, Epoch(1, 2)),  # a batch of one has nothing to tell apart
    ],
)
def test_images_are_shared_out_evenly(images: int, batch_size: int, expected: Epoch) -> None:
    assert Epoch.over(images, batch_size) == expected


@pytest.mark.parametrize("images", range(4, 200, 7))
@pytest.mark.parametrize("batch_size", [4, 16, 50])
def test_fewer_images_than_steps_wait_for_another_epoch(images: int, batch_size: int) -> None:
    epoch = Epoch.over(images, batch_size)
    assert 0 <= images - epoch.steps * epoch.size < epoch.steps


@pytest.mark.parametrize("processes", [2, 3, 4])
def test_each_process_has_as_much_of_every_batch(processes: int) -> None:
    epochs = [Epoch.over(images, 50, processes=processes) for images in range(processes, 300)]
    assert {epoch.size % processes for epoch in epochs} == {0}
    assert all(epoch.steps * epoch.size <= images for images, epoch in enumerate(epochs, processes))


def test_a_batch_is_never_larger_than_asked_for() -> None:
    assert all(Epoch.over(images, 50).size <= 50 for images in range(2, 300))
