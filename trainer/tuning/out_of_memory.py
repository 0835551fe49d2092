"""Out of memory: an error that tells of too little of it, put into a line that says what to do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from indexer.encoders.openclip import is_out_of_memory
from indexer.errors import TrainingFailed


@contextmanager
def memory_told(advice: Callable[[], str]) -> Iterator[None]:
    """Raise TrainingFailed with the advice where memory does not suffice."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or is_out_of_memory(error):
            raise TrainingFailed(advice()) from error
        raise
