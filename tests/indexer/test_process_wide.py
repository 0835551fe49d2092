"""What is changed for the whole process is put back as it was, in whatever order threads leave."""

import logging
import warnings

from indexer.encoders.quiet import quiet_libraries
from indexer.pillow_switches import Switches, switched


def test_of_two_who_leave_in_the_order_they_came_the_last_one_puts_all_back():
    before = logging.root.manager.disable, logging.root.handlers[:], warnings.filters[:]
    first, second = quiet_libraries(), quiet_libraries()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert logging.root.manager.disable == logging.WARNING
    second.__exit__(None, None, None)
    assert (logging.root.manager.disable, logging.root.handlers[:], warnings.filters[:]) == before


def test_decoding_and_loading_put_back_the_same_warnings():
    before = warnings.filters[:]
    decoding, loading = switched(Switches(1_000, lenient=False)), quiet_libraries()
    decoding.__enter__()
    loading.__enter__()
    decoding.__exit__(None, None, None)
    loading.__exit__(None, None, None)
    assert warnings.filters[:] == before
