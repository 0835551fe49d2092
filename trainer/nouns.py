"""Nouns: the things that captions name, so that each can be asked for alone.

No tagger is needed: in English captions a noun ends its phrase, so it stands before a preposition, a verb of
being or the end of the sentence. Verbs stand there too: they are left out by their endings, or since their
form in -ing is commoner than they are. Captions in other languages give few nouns or none.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.regions_texts import EVERYDAY_NOUNS

from .examples import Example

NOUNS_MAX = 1_000
IMAGES_MIN = 5  # that must name a noun: of fewer it cannot be learned what it looks like
ENDS_PHRASE_MIN = 0.4  # of a word's occurrences
# fmt: off
_CLOSING = frozenset((
    "about", "above", "across", "after", "against", "along", "among", "and", "are", "around", "as", "at",
    "atop", "away", "before", "behind", "below", "beneath", "beside", "between", "beyond", "but", "by",
    "can", "down", "during", "for", "from", "has", "have", "holds", "in", "inside", "into", "is", "jumps",
    "leaps", "looks", "near", "next", "of", "off", "on", "onto", "or", "out", "outside", "over", "past",
    "plays", "runs", "sits", "stands", "than", "that", "through", "to", "toward", "towards", "under",
    "up", "upon", "walks", "watches", "wearing", "wears", "while", "which", "who", "whose", "with",
    "within", "without",
))
_NO_NOUNS = frozenset((
    "a", "all", "an", "another", "any", "anything", "back", "bottom", "both", "camera", "close", "couple",
    "day", "each", "edge", "end", "eight", "few", "five", "four", "front", "group", "he", "her", "him",
    "his", "it", "its", "kind", "large", "left", "lot", "many", "middle", "nine", "one", "other",
    "others", "part", "person's", "piece", "right", "row", "same", "seven", "several", "she", "side",
    "six", "small", "some", "something", "ten", "the", "their", "them", "there", "these", "they", "this",
    "those", "three", "together", "top", "two", "type", "various", "view", "way", "we", "what", "where",
    "you",
)) | _CLOSING
# fmt: on
_NO_PLURALS = ("ss", "us", "is")


@dataclass(frozen=True)
class NamedThings:
    """Which nouns the captions of which images name."""

    nouns: tuple[str, ...]
    named: NDArray[np.bool_]  # (images, nouns)


def named_things(examples: Sequence[Example]) -> NamedThings:
    """Find the nouns of all captions, the commonest first, in the singular where that is named too."""
    words = [[_words(text) for text in example.captions] for example in examples]
    counts = Counter(word for texts in words for text in texts for word in text)
    singular = _singulars(counts)
    images = Counter(noun for texts in words for noun in {singular[word] for text in texts for word in text})
    nouns = [noun for noun in _ending_phrases(words, singular, counts) if images[noun] >= IMAGES_MIN]
    nouns = sorted(nouns, key=lambda noun: (-images[noun], noun))[:NOUNS_MAX]
    column = {noun: number for number, noun in enumerate(nouns)}
    named = np.zeros((len(examples), len(nouns)), dtype=bool)
    for row, texts in enumerate(words):
        found = {column[singular[word]] for text in texts for word in text if singular[word] in column}
        named[row, sorted(found)] = True
    return NamedThings(tuple(nouns), named)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+(?:['-][^\W\d_]+)*", text.lower())


def _singulars(counts: Counter[str]) -> dict[str, str]:
    """Give each word's singular: the word itself unless it is another one with an ending of plurals."""
    return {word: next((each for each in _shorter(word) if each in counts), word) for word in counts}


def _shorter(word: str) -> list[str]:
    irregular = {"men": "man", "women": "woman", "children": "child", "people": "person"}
    if word in irregular:
        return [irregular[word]]
    if not word.endswith("s") or word.endswith(_NO_PLURALS) or len(word) < 4:
        return []
    return [word[:-1], word[:-2], word[:-3] + "y"] if word.endswith("es") else [word[:-1]]


def _ending_phrases(
    words: Sequence[Sequence[Sequence[str]]], singular: dict[str, str], counts: Counter[str]
) -> list[str]:
    """Give the words that end a phrase often enough, in the singular."""
    seen: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    for texts in words:
        for text in texts:
            for word, following in zip(text, [*text[1:], None], strict=True):
                seen[singular[word]] += 1
                ends[singular[word]] += following is None or following in _CLOSING
    return [
        word for word in seen if _may_be_noun(word, counts) and ends[word] >= ENDS_PHRASE_MIN * seen[word]
    ]


def _may_be_noun(word: str, counts: Counter[str]) -> bool:
    if word in EVERYDAY_NOUNS:
        return True
    if len(word) < 3 or word in _NO_NOUNS or word.endswith(("ing", "ed", "ly")):
        return False
    forms = (f"{word}ing", f"{word[:-1]}ing", f"{word}{word[-1]}ing")  # walking, posing, running
    return sum(counts[form] for form in forms) < counts[word]
