"""Pillow's switches: global ones, set while somebody decodes, and shared by all who want them alike."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from PIL import Image, ImageFile

from .process_wide import warnings_ignored


@dataclass(frozen=True, slots=True)
class Switches:
    """How Pillow is to decode."""

    pixels_max: int  # of an image, and of those inside it, as in an ICO: above it is a decompression bomb
    lenient: bool  # show what there is of damaged data


@contextmanager
def switched(wanted: Switches) -> Iterator[None]:
    """Have Pillow's global switches our way, and its warnings kept from the terminal.

    Threads that want them alike decode at the same time; others wait for their turn. Bombs raise
    DecompressionBombError. Raises RuntimeError within such a block.
    """
    thread = threading.get_ident()
    _turns.begin(wanted, thread)
    try:
        yield
    finally:
        _turns.end(thread)


@dataclass
class _Turns:
    """Whose turn it is, and how the switches stood before."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    current: Switches | None = None
    number: int = 0  # of the turn
    threads: set[int] = field(default_factory=set)
    waiting: int = 0  # threads; while there are some, nobody joins a turn that began before they came
    undoing: ExitStack = field(default_factory=ExitStack)

    def begin(self, wanted: Switches, thread: int) -> None:
        with self.changed:
            if thread in self.threads:
                raise RuntimeError("a thread that decodes by Pillow's switches asks for them again")
            if self.threads and (self.waiting or self.current != wanted):
                self._wait(wanted)
            if not self.threads:
                self._set(wanted)
            self.threads.add(thread)

    def _wait(self, wanted: Switches) -> None:
        before = self.number
        self.waiting += 1
        try:
            self.changed.wait_for(
                lambda: not self.threads or (self.current == wanted and self.number != before)
            )
        finally:
            self.waiting -= 1

    def _set(self, wanted: Switches) -> None:
        self.current, self.number = wanted, self.number + 1
        self.undoing.enter_context(warnings_ignored)
        self.undoing.callback(_put, Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
        _put(wanted.pixels_max / 2, wanted.lenient)  # from there Pillow warns, and refuses twice as much
        self.changed.notify_all()  # those who wait for the same

    def end(self, thread: int) -> None:
        with self.changed:
            self.threads.discard(thread)
            if not self.threads:
                self.undoing.close()
                self.changed.notify_all()


def _put(pixels_warned_of: float | None, lenient: bool) -> None:
    Image.MAX_IMAGE_PIXELS = pixels_warned_of  # type: ignore[assignment]  # only compared with
    ImageFile.LOAD_TRUNCATED_IMAGES = lenient


_turns = _Turns()
