import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from PIL import Image, ImageFile

from indexer.pillow_switches import Switches, switched

STRICT = Switches(1_000, lenient=False)
LENIENT = Switches(1_000, lenient=True)
SECONDS = 10.0


def test_threads_that_want_the_same_decode_at_the_same_time() -> None:
    together = threading.Barrier(2)

    def decode() -> int:
        with switched(STRICT):
            return together.wait(SECONDS)

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(lambda _: decode(), range(2))) == [0, 1]


def test_each_sees_its_own_switches_whoever_else_decodes() -> None:
    def decode(number: int) -> bool:
        wanted = Switches(number % 3 + 1, lenient=bool(number % 2))
        with switched(wanted):
            seen = Switches(round(2 * (Image.MAX_IMAGE_PIXELS or 0)), ImageFile.LOAD_TRUNCATED_IMAGES)
            return seen == wanted

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(decode, range(2_000)))


def test_the_switches_are_put_back() -> None:
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, warnings.filters[:]
    with suppress(ZeroDivisionError), switched(LENIENT):
        raise ZeroDivisionError
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, warnings.filters[:]) == before


def test_who_waits_gets_a_turn_while_others_go_on_and_on() -> None:
    ended = threading.Event()
    began = threading.Barrier(3)

    def decode_for_ever() -> None:
        began.wait(SECONDS)
        while not ended.is_set():
            with switched(STRICT):
                ended.wait(0.01)

    with ThreadPoolExecutor(2) as threads:
        busy = [threads.submit(decode_for_ever) for _ in range(2)]
        began.wait(SECONDS)
        with switched(LENIENT):
            ended.set()
        for each in busy:
            each.result(SECONDS)


def test_asking_again_within_is_told_and_does_not_wait_for_ever() -> None:
    with switched(STRICT), pytest.raises(RuntimeError, match="asks for them again"), switched(LENIENT):
        pass
