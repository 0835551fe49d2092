"""Records: what comes of reading a source, and what of it was left out on the way."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from ..examples import Example, ImagePlace
from .text_encoding import whole_letters


@dataclass(frozen=True, slots=True)
class Reading:
    """The examples of a source, and in words how they were understood."""

    examples: tuple[Example, ...]
    form: str  # "CSV", "JSONL", "images with .txt files", "class folders", "tar shards", ...
    notes: tuple[str, ...]  # what was guessed, and what was left out and why


@dataclass(slots=True)
class LeftOut:
    """Counts what is left out or read in an unusual way, by reason, with the first of each."""

    counts: Counter[str] = field(default_factory=Counter)
    firsts: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, name: object) -> None:
        """Count one more that is left out; reason completes "left out ..."."""
        self.tell(f"left out {reason}", name)

    def tell(self, what: str, name: object) -> None:
        """Count one more of what is not left out, but worth a line."""
        self.counts[what] += 1
        self.firsts.setdefault(what, str(name))

    def notes(self) -> Iterator[str]:
        """Say it in one line for each reason, the most frequent first."""
        for what, count in self.counts.most_common():
            yield f"{what}: {count:,} (first: {self.firsts[what]})"


@dataclass(slots=True)
class Gathered:
    """Joins the captions of an image that come one by one; images stay in the order of their first."""

    captions: dict[ImagePlace, dict[str, None]] = field(default_factory=dict)  # a dict keeps the order
    labels: dict[ImagePlace, str] = field(default_factory=dict)
    second_labels: dict[ImagePlace, str] = field(default_factory=dict)  # which were not taken

    def add(self, image: ImagePlace, captions: Iterable[str], label: str | None = None) -> None:
        """Add captions to an image; one that it has already is not repeated.

        An image has one class, the first; what says that it is of another is not taken, captions included.
        """
        if label is not None and self.labels.setdefault(image, label) != label:
            self.second_labels.setdefault(image, label)
            return
        self.captions.setdefault(image, {}).update(dict.fromkeys(captions))

    def notes(self) -> Iterator[str]:
        """Tell of images of two classes."""
        for image, second in islice(self.second_labels.items(), 1):
            first = f"{image.name}: {self.labels[image]!r}, not {second!r}"
            count = len(self.second_labels)
            yield f"images of two classes: {count:,}, the first is taken (first: {first})"

    def examples(self) -> tuple[Example, ...]:
        """Give each image once, with all of its captions."""
        return tuple(
            Example(image, tuple(captions), self.labels.get(image))
            for image, captions in self.captions.items()
        )


def tidy(captions: Iterable[str]) -> tuple[str, ...]:
    """Give the captions with single spaces and whole letters, without the empty ones."""
    return tuple(filter(None, (" ".join(whole_letters(caption).split()) for caption in captions)))
