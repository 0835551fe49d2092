"""Typed paths: file names as people type and paste them, with blanks and as addresses."""

import os
from collections.abc import Sequence
from pathlib import Path

from .errors import UsageError

FILE_ADDRESS = "file://"
WORDS_MAX = 10  # of one name, on each side: each pair of ends costs a look at the disk


def from_address(address: str) -> Path:
    """Give the file of a `file://` address, as our pages and browsers write it; raises UsageError."""
    from urllib.parse import unquote_to_bytes  # costs a search for words 5 ms

    host, _, rest = address.removeprefix(FILE_ADDRESS).partition("/")
    path = os.fsdecode(unquote_to_bytes(rest.partition("#")[0].partition("?")[0]))
    if os.name == "nt":
        return Path(f"//{host}/{path}" if host not in ("", "localhost") else path)
    if host not in ("", "localhost"):
        raise UsageError(f"{address}: names a file of the computer {host!r}; give a path that leads there")
    return Path("/" + path)


def rejoined(words: Sequence[str], at: int) -> str | None:
    """Give the name of a file or folder that the shell has split at its blanks; None when there is none.

    It holds the word at this place and some beside it; as many as can be from the left are taken.
    """
    for start in range(max(0, at - WORDS_MAX), at + 1):
        for end in range(min(len(words), at + 1 + WORDS_MAX), max(at, start + 1), -1):
            name = " ".join(words[start:end])
            if os.path.exists(os.path.expanduser(name)):  # noqa: PTH110, PTH111  (any text: no error)
                return name
    return None


def rejoined_value(value: str, words: Sequence[str]) -> str | None:
    """Do the same for an option's value, the rest of which stands somewhere among the words."""
    names = (rejoined([value, *words[start:]], 0) for start in range(min(len(words), WORDS_MAX)))
    return next(filter(None, names), None)
