"""Texts to find in pictures, and the chance texts that each kind of them is judged by.

A bare noun is no caption: it is asked for in sentences, whose vectors are averaged. Nouns also score unlike
phrases, so nouns are judged by other nouns, and phrases by the same nouns in everyday phrases. The unrelated
texts of indexer/background.py would be no measure: tax forms and the like score lower in a photo than any
natural phrase, and by them three in ten classes that are not in a photo were claimed as "a photo of a X".
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.encoders.cache import kept_vectors
from indexer.errors import QueryInvalid
from indexer.records import Vectors

if TYPE_CHECKING:
    from indexer.encoders.base import Encoder

NOUN_WORDS_MAX = 3
_ARTICLES = frozenset({"a", "an", "the", "some", "two", "three", "my", "this"})
SENTENCES = (
    "a photo of a {}.",
    "a picture of the {}.",
    "{}",
    "a close-up photo of a {}.",
    "a small {}.",
    "there is a {} in the picture.",
)
# Each everyday noun takes one of these, in turn. Chosen on half of the region photos: with rarer frames ("an
# old {} in the street") or captions of whole scenes beside them, presence AUC was lower, by .02 at most.
FRAMES = (
    "a {}",
    "a photo of a {}",
    "the {}",
    "a picture of a {}",
    "a view of the {}",
    "there is a {} in the picture",
    "a {} in the background",
)
# Of every kind of thing, so that a picture shows a few of them and not the most.
# fmt: off
EVERYDAY_NOUNS = (
    "person", "man", "woman", "child", "crowd", "face", "hand", "dog", "cat", "horse", "cow", "sheep",
    "bird", "fish", "insect", "animal", "tree", "grass", "flower", "leaf", "plant", "bush", "sky", "cloud",
    "sea", "river", "lake", "beach", "sand", "snow", "rock", "mountain", "field", "road", "street",
    "pavement", "car", "bus", "truck", "train", "boat", "aeroplane", "bicycle", "motorcycle", "building",
    "house", "tower", "bridge", "wall", "window", "door", "roof", "fence", "stairs", "room", "floor",
    "ceiling", "table", "chair", "bed", "sofa", "cupboard", "shelf", "lamp", "mirror", "curtain", "carpet",
    "book", "paper", "sign", "poster", "screen", "computer", "keyboard", "telephone", "clock", "bottle",
    "cup", "glass", "plate", "bowl", "knife", "food", "fruit", "vegetable", "bread", "cake", "meat",
    "clothing", "shirt", "hat", "shoe", "bag", "umbrella", "ball", "toy", "tool", "machine", "wheel", "box",
    "basket", "rope", "light", "shadow",
)
# fmt: on


@dataclass(frozen=True, slots=True)
class ChanceTexts:
    """Texts that come about by chance, of both kinds."""

    nouns: Vectors  # (n, dim), EVERYDAY_NOUNS
    phrases: Vectors  # (n, dim), the same in FRAMES


def checked_texts(texts: Sequence[str]) -> tuple[str, ...]:
    """Give texts without the space around them; raises QueryInvalid for none, or an empty one."""
    stripped = tuple(text.strip() for text in texts)
    if not stripped:
        raise QueryInvalid(
            'nothing to look for; say what, as in: sightline highlight photo.jpg "red umbrella"'
        )
    if not all(stripped):
        raise QueryInvalid("one of the texts is empty; leave it out, or say what to look for")
    return stripped


def is_noun(text: str) -> bool:
    """Tell whether a text is a bare noun or a few words around one, and no phrase."""
    words = text.split()
    return len(words) <= NOUN_WORDS_MAX and words[0].lower() not in _ARTICLES


def text_vectors(encoder: "Encoder", texts: Sequence[str]) -> Vectors:
    """Encode checked texts, (t, dim) float32 unit rows; a noun is the mean over SENTENCES."""
    rows = [[each.replace("{}", text) for each in SENTENCES] if is_noun(text) else [text] for text in texts]
    encoded = encoder.encode_texts([sentence for row in rows for sentence in row])
    ends = np.cumsum([len(row) for row in rows])
    means = np.stack([part.mean(axis=0) for part in np.split(encoded, ends[:-1])])
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), np.float32)


def chance_texts(encoder: "Encoder") -> ChanceTexts:
    """Encode both kinds; once per model, then read from its cache folder."""
    return ChanceTexts(
        _kept_vectors(encoder, "nouns", EVERYDAY_NOUNS, asked_in=SENTENCES),
        _kept_vectors(encoder, "phrases", everyday_phrases()),
    )


def everyday_phrases() -> tuple[str, ...]:
    """Give each everyday noun in one of the frames."""
    framed = zip(itertools.cycle(FRAMES), EVERYDAY_NOUNS, strict=False)
    return tuple(frame.replace("{}", noun) for frame, noun in framed)


def _kept_vectors(
    encoder: "Encoder", kind: str, texts: Sequence[str], *, asked_in: Sequence[str] = ()
) -> Vectors:
    """Encode chance texts, or read them where they were kept; asked_in: what else the vectors depend on."""
    return kept_vectors(
        encoder.card, kind, (*asked_in, *texts), lambda: text_vectors(encoder, texts), rows=len(texts)
    )
