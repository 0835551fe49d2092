"""Names: how paths are written in the catalog, whatever bytes they are made of."""

import os
import re
from pathlib import Path

MARK = "\ufffd"  # what programs show in place of an unreadable byte, so that the catalog reads naturally
_SPECIAL = re.compile(f"[{MARK}\udc80-\udcff]")
_ESCAPED = re.compile(f"{MARK}([0-9a-f]{{2}})".encode())


def encode_name(name: str) -> str:
    """Write a path as valid Unicode: a byte that is no UTF-8 becomes U+FFFD and two hexadecimal digits.

    The bytes of a U+FFFD that is really part of the name are written so too, hence nothing is lost.
    """
    if name.isascii():
        return name
    text = os.fsencode(name).decode("utf-8", "surrogateescape")
    return _SPECIAL.sub(lambda found: _escape(found[0]), text)


def decode_name(stored: str) -> str:
    """Give the path that `encode_name` wrote."""
    if MARK not in stored:
        return stored
    raw = _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), stored.encode("utf-8"))
    try:
        return os.fsdecode(raw)
    except UnicodeDecodeError:  # on Windows, of a library from a system where names are bytes
        return raw.decode("utf-8", "backslashreplace")


def folder_range(folder: str) -> tuple[str, str]:
    """Give the half-open range in which every path below `folder` sorts; no wildcard can misfire."""
    return f"{folder}/", f"{folder}0"  # "0" follows "/" in ASCII, hence in UTF-8


def stored_root(root: Path, library: Path) -> str:
    """Write a root's path: relative to the library's parent where it lies below, so that a drive may move."""
    below = relative_to(root, library.parent)
    return encode_name(below or ".") if below is not None else encode_name(root.as_posix())


def root_path(stored: str, library: Path) -> Path:
    """Give the absolute path of a root as it stands today."""
    path = decode_name(stored)
    return library.parent if path == "." else library.parent / path


def relative_to(path: Path, folder: Path) -> str | None:
    """Give `path` below `folder` with forward slashes, "" for the folder itself, None when it lies elsewhere.

    It counts as below by its name, and by where its links lead.
    """
    below = _below(absolute(path), absolute(folder))
    return real_below(path, folder) if below is None else below


def real_below(path: Path, folder: Path) -> str | None:
    """Do the same by where links lead only, so that two names of one folder are one folder."""
    return _below(real(path), real(folder))


def _below(path: Path, folder: Path) -> str | None:
    if not path.is_relative_to(folder):
        return None
    below = path.relative_to(folder).as_posix()
    return "" if below == "." else below


def absolute(path: Path) -> Path:
    """Make a path absolute and free of `..` without following links."""
    return Path(os.path.abspath(path))  # noqa: PTH100  (Path.absolute keeps `..`)


def real(path: Path) -> Path:
    """Follow the links of a path, as far as it exists."""
    return Path(os.path.realpath(path))


def _escape(letter: str) -> str:
    raw = letter.encode("utf-8", "surrogateescape")
    return "".join(f"{MARK}{byte:02x}" for byte in raw)
