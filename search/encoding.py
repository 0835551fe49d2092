"""Encoding: a query on its way through an encoder, in a thread of its own."""

import atexit
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from .query import EncodedQuery, Query, encode_query

if TYPE_CHECKING:
    from indexer.encoders.base import Encoder
    from indexer.records import EncoderCard

LoadEncoder: TypeAlias = "Callable[[EncoderCard, Query], Encoder]"

END_SECONDS = 20.0  # that a process which ends waits for a model being loaded
_begun: "weakref.WeakSet[threading.Thread]" = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class Encoding:
    """A query that is being encoded, and for which encoder."""

    card: "EncoderCard"
    result: Future[EncodedQuery]


def load_for_query(card: "EncoderCard", query: Query) -> "Encoder":
    """Load what a query needs: the text tower alone when it is all words."""
    from indexer.encoders.loading import load_encoder_for, load_text_encoder

    return load_encoder_for(card) if query.examples else load_text_encoder(card)


def begin_encoding(card: "EncoderCard", query: Query, load: LoadEncoder = load_for_query) -> Encoding:
    """Encode in a thread while the caller opens the library: each takes a good part of a cold start."""
    result: Future[EncodedQuery] = Future()

    def encode() -> None:
        try:
            result.set_result(encode_query(query, load(card, query)))
        except BaseException as error:
            result.set_exception(error)

    # A daemon, so that a failure to open the library need not wait for it, nor a process for ever that ends.
    thread = threading.Thread(target=encode, name="encode", daemon=True)
    thread.start()
    _begun.add(thread)
    return Encoding(card, result)


@atexit.register
def _end_encoding() -> None:
    """Wait, where a process ends in Python's own way, for what is still being loaded.

    The modules must not be cleared up under it: that ends in an abort instead of the program's exit code.
    What takes much longer than loads do, as on a drive that hangs, is not waited for.
    """
    ends = time.monotonic() + END_SECONDS
    for thread in list(_begun):
        thread.join(max(0.0, ends - time.monotonic()))
