"""State of the whole process, such as its warnings: changed while threads need it, put back by the last."""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager


class Shared:
    """A block that several threads may be in at a time: the first one in begins it, the last one out ends it.

    Python's own ways, such as `warnings.catch_warnings`, save what they find and put it back; of two threads
    the first one out would put back what the second one must find, and the second one what nobody wants.
    """

    def __init__(self, block: Callable[[], AbstractContextManager[object]]) -> None:
        self._block = block
        self._inside = 0
        self._lock = threading.Lock()
        self._open = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._open.enter_context(self._block())
            self._inside += 1

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._open.close()


@contextmanager
def _ignoring() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


warnings_ignored = Shared(_ignoring)
