"""Pieces: whether a batch that is computed in pieces teaches the same as the whole one."""

from collections.abc import Iterator

from torch import nn

from indexer.errors import UsageError

from .epochs import Epoch
from .settings import Method, Settings
from .trainee import Trainee


def depend_on_size(trainee: Trainee, settings: Settings) -> bool:
    """Tell whether a model normalises over the images computed at once, by batch normalisation that learns.

    Where something was learned before, its means are kept as they are (`Learning`).
    """
    norms = (isinstance(module, nn.modules.batchnorm._BatchNorm) for module in trainee.modules())
    return settings.method is Method.SCRATCH and any(norms)


def remarks(trainee: Trainee, settings: Settings, images: int, processes: int) -> Iterator[str]:
    """Say where pieces change what is learned."""
    whole = _at_once(None, settings, images, processes)
    if depend_on_size(trainee, settings) and (settings.micro_batch or whole) < whole:
        yield (
            f"this model normalises over the images computed at once: with {settings.micro_batch} of them "
            f"(--micro-batch) it learns otherwise than with the whole batch of {whole:,}"
        )


def check_are_the_same(begun: Settings, now: Settings, images: int, processes: int) -> None:
    """Refuse other pieces than such a run began with: half of it would have been learned by each."""
    some, others = (_at_once(each.micro_batch, each, images, processes) for each in (begun, now))
    if some != others:
        raise UsageError(
            f"the run began with {some:,} images at once, and this model normalises over them, so that "
            f"--micro-batch {now.micro_batch} would change what it learns; leave it out to go on, or begin "
            "another run"
        )


def _at_once(micro_batch: int | None, settings: Settings, images: int, processes: int) -> int:
    """Count the images of a step that a process computes together."""
    own = Epoch.over(images, settings.batch_size, processes=processes).size // processes
    return min(micro_batch or own, own)
