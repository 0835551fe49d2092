"""Questions: what a set of examples can ask of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.errors import PairsInvalid

from .examples import Example, caption_key
from .metrics import Links, link
from .templates import name_of

Rows: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class CaptionQuestions:
    """Which picture is meant by each caption, and which caption fits each picture.

    Equal captions are one text, and all of their images are right for it: a caption of two photos does not
    say which of them is meant.
    """

    texts: tuple[str, ...]  # u, no two of them equal
    captions: tuple[str, ...]  # m, image by image
    owners: Rows  # (m,), the image that a caption came with
    text_of: Rows  # (m,), row in texts
    links: Links  # texts to images


@dataclass(frozen=True)
class ClassQuestions:
    """Which class each picture is of."""

    labels: tuple[str, ...]  # c, sorted
    names: tuple[str, ...]  # c
    own: Rows  # (n,), the class of each image


def ask_for_captions(examples: Sequence[Example]) -> CaptionQuestions:
    """Make the questions of captioned images; raises PairsInvalid where nothing can be told apart."""
    _check_count(len(examples))
    rows: dict[str, int] = {}
    texts: list[str] = []
    text_of: list[int] = []
    for example in examples:
        for caption in example.captions:
            row = rows.setdefault(caption_key(caption), len(texts))
            if row == len(texts):
                texts.append(caption)
            text_of.append(row)
    if len(texts) < 2:
        raise PairsInvalid(
            None,
            f"all {len(examples):,} images have the same caption ({texts[0]!r}), so there is nothing to find "
            "them by; give each its own description",
        )
    owners = np.repeat(np.arange(len(examples)), [len(example.captions) for example in examples])
    captions = tuple(caption for example in examples for caption in example.captions)
    return CaptionQuestions(tuple(texts), captions, owners, np.array(text_of), _links(text_of, owners))


def ask_for_classes(
    examples: Sequence[Example], names: Mapping[str, str], *, captions_are_names: bool = False
) -> ClassQuestions:
    """Make the questions of labelled images; raises PairsInvalid for images of no class, or of one.

    captions_are_names: of classes, where an image has no label.
    """
    _check_count(len(examples))
    told = [_class_of(example, captions_are_names=captions_are_names) for example in examples]
    of_image = [label for label in told if label is not None]
    if len(of_image) < len(examples):
        unlabelled = examples[told.index(None)].image.name
        raise PairsInvalid(
            None,
            f"images without a class: {len(examples) - len(of_image):,} (first: {unlabelled}); use folders "
            "named by class",
        )
    labels = sorted(set(of_image))
    if len(labels) < 2:
        raise PairsInvalid(
            None, f"all {len(examples):,} images are of one class ({labels[0]}); give two at least"
        )
    row = {label: index for index, label in enumerate(labels)}
    own = np.array([row[label] for label in of_image], dtype=np.int64)
    return ClassQuestions(tuple(labels), tuple(name_of(label, names) for label in labels), own)


def _class_of(example: Example, *, captions_are_names: bool) -> str | None:
    return example.captions[0] if example.label is None and captions_are_names else example.label


def _check_count(images: int) -> None:
    if images < 2:
        found = "one image" if images else "no image that can be read"
        raise PairsInvalid(
            None, f"there is {found}, and a model is measured by telling images apart; give two at least"
        )


def _links(text_of: Sequence[int], owners: Rows) -> Links:
    images: dict[int, dict[int, None]] = {}
    for text, image in zip(text_of, owners.tolist(), strict=True):
        images.setdefault(text, {})[image] = None
    return link([list(images[text]) for text in range(len(images))])
