"""Searching: what the command and the Python interface do alike around the engine."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from indexer.errors import EncoderMismatch, EncoderUnknown
from search.encoding import load_for_query
from search.engine import search

if TYPE_CHECKING:
    from indexer.store.reader import LibraryReader
    from indexer.store.records import Filters
    from search.encoding import Encoding, LoadEncoder
    from search.query import Query
    from search.results import SearchAnswer


def find(
    reader: "LibraryReader",
    query: "Query",
    *,
    filters: "Filters",
    limit: int,
    min_score: float | None,
    min_relevance: float | None,
    model: str | None,
    by_parts: bool,
    encoding: "Encoding | None" = None,
    load: "LoadEncoder" = load_for_query,
    notify: Callable[[str], None] = lambda line: None,
) -> "SearchAnswer":
    """Find the images nearest to a query, by their parts too if that is asked; as `search.engine.search`.

    A model that the library lacks is told from one that no one has.
    """
    ahead = limit
    if by_parts:
        from search.parts import by_parts as ordered  # costs a search that does without 20 ms
        from search.parts import images_ahead

        ahead = images_ahead(limit)
    try:
        answer = search(
            reader,
            query,
            filters=filters,
            limit=ahead,
            min_score=min_score,
            min_relevance=min_relevance,
            model=model,
            encoding=encoding,
            load=load,
        )
    except EncoderMismatch as error:
        raise _told_apart(error) from error
    return ordered(answer, reader.path, limit=limit, notify=notify) if by_parts else answer


def _told_apart(error: EncoderMismatch) -> EncoderMismatch:
    """Say so when no model has the name, rather than advise to index with it."""
    from indexer.encoders.loading import AUTO
    from indexer.encoders.names import check_name

    try:
        if error.wanted != AUTO:
            check_name(error.wanted)
    except EncoderUnknown as unknown:
        return EncoderMismatch(error.wanted, error.available, unknown.reason)
    return error
