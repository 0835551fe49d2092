"""Wording: class and folder names to captions."""

import re
from functools import cache

from ..templates import TRAINING_TEMPLATES
from .text_encoding import whole_letters

_NUMBERED = re.compile(r"^(?:0\d*[._\- ]+|\d+\.\s*)(?=\D)")  # "001.Black_footed_Albatross", "7. boats"

_EMPTY_WORDS = frozenset(
    {
        "img", "image", "images", "dcim", "dsc", "apple", "canon", "nikon", "media", "photo", "photos",
        "picture", "pictures", "new", "folder", "misc",
    }
)  # fmt: skip


def readable(name: str) -> str:
    """Make words of a class or folder name: "001.Black_footed_Albatross" is "Black footed Albatross"."""
    return " ".join(re.sub(r"[_\-+]+", " ", _NUMBERED.sub("", whole_letters(name))).split())


def says_something(words: str) -> bool:
    """Tell whether a name has a word in it: "2019 05" and "IMG 0012" have none."""
    letters = re.findall(r"[^\W\d_]{2,}|[^\W\d_a-zA-Z]", words)
    return any(word.casefold() not in _EMPTY_WORDS for word in letters)


@cache
def class_captions(name: str) -> tuple[str, ...]:
    """Word a class name in the ways that training uses."""
    words = readable(name)
    return tuple(template.format(words) for template in TRAINING_TEMPLATES)
