"""Stopping: Ctrl-C where nothing is to be kept, while modules are imported and a search goes on."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STOPPED = 130  # exit code, as shells have it


@contextmanager
def stopped_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process without any clearing up.

    Python's own way raises KeyboardInterrupt wherever it is: in the midst of an import that is swallowed, or
    leaves a lock closed on which the thread that imports beside it waits for ever. A program that has its own
    way, or ignores Ctrl-C, keeps it.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _stop(_number: int, _frame: object) -> None:
    os.write(2, b"sightline: stopped\n")
    os._exit(STOPPED)
