"""Quiet: other libraries kept off the user's terminal, and their errors cut to one line."""

import contextlib
import logging
import sys
from collections.abc import Iterator

from ..process_wide import Shared, warnings_ignored


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence log records and warnings of other libraries inside the block; errors are still raised."""
    with _logging_off, warnings_ignored:
        yield


@contextlib.contextmanager
def _without_records() -> Iterator[None]:
    root = logging.getLogger()
    handler = logging.NullHandler()
    # open_clip logs through the root logger, which would set up a handler of its own if there were none.
    root.addHandler(handler)
    before = root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)
        root.removeHandler(handler)


_logging_off = Shared(_without_records)


@contextlib.contextmanager
def without_modules(*names: str) -> Iterator[None]:
    """Make imports of these modules fail inside the block, as if they were not installed."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is Python's own mark for this
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


def brief(error: BaseException) -> str:
    """Give the first line of an error, shortened to what fits a message."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if len(line) <= 160 else line[:157] + "..."
