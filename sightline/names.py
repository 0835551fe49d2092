"""Names: paths as text that a terminal, a page or a font can take."""

import os
import unicodedata
from pathlib import Path


def printable(name: str | Path) -> str:
    r"""Give a name without what could steer a terminal; odd bytes and controls become \x.. escapes."""
    try:
        text = os.fsencode(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a surrogate pair, which no file name can hold but a query can
        text = str(name).encode("utf-8", "backslashreplace").decode("utf-8")
    # Cc: control, Cf: format (right-to-left overrides hide a file's real suffix); joiners make emoji whole.
    return "".join(letter if _is_shown(letter) else ascii(letter)[1:-1] for letter in text)


def _is_shown(letter: str) -> bool:
    return letter == "\N{ZERO WIDTH JOINER}" or unicodedata.category(letter) not in ("Cc", "Cf", "Zl", "Zp")


def short(path: Path, here: Path) -> str:
    """Give the shorter of a path as it is and as seen from the current folder."""
    return min(str(path), os.path.relpath(path, here), key=len)
