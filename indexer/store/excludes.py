"""Excludes: which patterns `index` leaves out of a library, as they were said last."""

import json
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from .catalog import get_setting
from .failures import explained
from .opening import connect_to_write
from .reader import LibraryReader

if TYPE_CHECKING:
    from .writer import LibraryWriter  # `status` does without it

_KEY = "exclude"
_PUT = "INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


def get_excludes(reader: LibraryReader) -> tuple[str, ...]:
    """Give the patterns in the order in which they were said."""
    with reader.reading() as connection:
        return tuple(json.loads(get_setting(connection, _KEY) or "[]"))


def put_excludes(writer: "LibraryWriter", patterns: Sequence[str]) -> None:
    """Leave out what matches these patterns, and nothing else, from now on."""
    with explained(writer.path), closing(connect_to_write(writer.path)) as connection:
        connection.execute(_PUT, (_KEY, json.dumps(list(patterns))))
