"""Typed paths: file names as people type and paste them, with blanks and as addresses."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from .errors import UsageError

FILE_ADDRESS = "file://"
WORDS_MAX = 10  # of one name, on each side: each pair of ends costs a look at the disk


def from_address(address: str, *, system: str = os.name) -> Path:
    """Give the file of a `file://` address, as our pages and browsers write it; raises UsageError.

    A # or ? is a part of the name only where there is such a file: they are to be written as %23 and %3F.
    """
    host, _, rest = address.removeprefix(FILE_ADDRESS).partition("/")
    if system != "nt" and not _is_this_computer(host):
        raise UsageError(f"{address}: names a file of the computer {host!r}; give a path that leads there")
    path_of = _windows_path if system == "nt" else _posix_path
    whole, cut = (path_of(host, _unescaped(part)) for part in (rest, re.split("[#?]", rest)[0]))
    return Path(whole if whole != cut and os.path.exists(whole) else cut)  # noqa: PTH110  (any text: no error)


def _is_this_computer(host: str) -> bool:
    return host in ("", "localhost")


def _unescaped(text: str) -> str:
    from urllib.parse import unquote_to_bytes  # costs a search for words 5 ms

    return os.fsdecode(unquote_to_bytes(text))


def _posix_path(_host: str, path: str) -> str:
    return f"/{path}"


def _windows_path(host: str, path: str) -> str:
    """Give a path on a drive or a share, which may stand in the place of the computer or after it."""
    if _is_this_computer(host):
        is_share = path.startswith("/")  # its two slashes after the two of the address
        return f"//{path.lstrip('/')}" if is_share else path
    return f"{host}/{path}" if re.fullmatch("[A-Za-z]:", host) else f"//{host}/{path}"


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
