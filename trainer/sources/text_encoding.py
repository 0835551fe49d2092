"""Text encodings: the bytes of a text file to its text, whichever program wrote it."""

import codecs
import re
from dataclasses import dataclass

OLD_ENCODING = "windows-1252"  # what programs write that do not write Unicode
HEAD_BYTES = 10_000  # no text has a zero byte, and other files have one soon
# Those of four bytes first: the little-endian one begins as that of two bytes does.
_MARKED = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_HALVES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Letters:
    """A text, and whether it had to be taken for an old encoding."""

    text: str
    is_old: bool = False
    line: int = 0  # the first that is no UTF-8, where it is an old one


class NoText(ValueError):
    """The bytes are no text; its own text completes "the file ..."."""


def read_letters(content: bytes) -> Letters:
    """Decode by the byte order mark, else as UTF-8, else as programs of old wrote; raises NoText."""
    marked = next((name for mark, name in _MARKED.items() if content.startswith(mark)), None)
    if marked is not None:
        return Letters(_decoded(content, marked))
    if b"\0" in content[:HEAD_BYTES]:
        raise NoText("is no text")
    try:
        return Letters(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Letters(_decoded(content, OLD_ENCODING), is_old=True, line=line)


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise NoText(f"has letters that are neither UTF-8 nor {encoding}") from error


def whole_letters(text: str) -> str:
    """Replace halves of letters, which JSON and file names may hold and no tokenizer takes."""
    return _HALVES.sub("\N{REPLACEMENT CHARACTER}", text)
