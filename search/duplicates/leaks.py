"""Leaks: which pictures of a test set are in the training set, or nearly.

The bar is looser than for deleting (judging.LOOSE): here a doubtful pair costs one test picture, and a missed
one a figure that is too good.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.store.reader import LibraryReader
from indexer.store.records import StoredImage

from .finder import Images, Question, all_images, explain, find_pairs
from .judging import LOOSE, Pair
from .proposing import Progress
from .records import DuplicatePair, Evidence, Level
from .sides import Side


@dataclass(frozen=True, slots=True)
class Leak:
    """A test picture and a training picture that show the same."""

    test: StoredImage
    train: StoredImage
    level: Level
    confidence: float
    evidence: Evidence
    reason: str


@dataclass(frozen=True, slots=True)
class LeakReport:
    """All leaks, the strictest level first, and how many files were compared."""

    leaks: tuple[Leak, ...]
    train_files: int
    test_files: int

    def counts(self) -> dict[str, int]:
        """Count the test pictures that leak, each at its strictest level."""
        strictest: dict[Path, Level] = {}
        for leak in self.leaks:
            strictest.setdefault(leak.test.path, leak.level)
        counted = Counter(level.value for level in strictest.values())
        return {level.value: counted[level.value] for level in Level if level is not Level.SIMILAR}


def find_leaks(
    reader: LibraryReader,
    train: Side,
    test: Side,
    *,
    turned: bool = True,
    progress: Progress = lambda *_: None,
) -> LeakReport:
    """Compare two sides that a library covers; what is on both counts as test alone."""
    with reader.snapshot():
        images = all_images(reader)
        in_test = _on(test, images)
        in_train = {
            content: rest
            for content, copies in _on(train, images).items()
            if (rest := [image for image in copies if not test.holds(image.path)])
        }
        question = Question(Level.NEAR, turned=turned)
        wanted = {content: images[content] for content in in_test.keys() | in_train.keys()}
        leaks = _exact(in_train, in_test)
        pairs = find_pairs(
            reader,
            question,
            wanted,
            worth=_Across(frozenset(in_train), frozenset(in_test)),
            bars=LOOSE,
            progress=progress,
        )
        for pair in pairs:
            leaks += _leaks(pair, in_train, in_test)
    leaks.sort(key=lambda leak: (leak.level.rank, -leak.confidence, str(leak.test.path)))
    return LeakReport(tuple(leaks), _count(in_train), _count(in_test))


def _on(side: Side, images: Images) -> dict[int, list[StoredImage]]:
    found = {content: [i for i in copies if side.holds(i.path)] for content, copies in images.items()}
    return {content: copies for content, copies in found.items() if copies}


def _count(images: Images) -> int:
    return sum(len(copies) for copies in images.values())


@dataclass(frozen=True, slots=True)
class _Across:
    """Tells whether a candidate joins the two sides."""

    train: frozenset[int]
    test: frozenset[int]

    def __call__(self, pair: Pair) -> bool:
        return (pair.first in self.train and pair.second in self.test) or (
            pair.first in self.test and pair.second in self.train
        )


def _exact(in_train: Images, in_test: Images) -> list[Leak]:
    return [
        Leak(test, train, Level.EXACT, 1.0, Evidence(), "the same bytes")
        for content in in_train.keys() & in_test.keys()
        for test in in_test[content]
        for train in in_train[content]
    ]


def _leaks(pair: DuplicatePair, in_train: Images, in_test: Images) -> list[Leak]:
    found = []
    for test_side, train_side in ((pair.first, pair.second), (pair.second, pair.first)):
        tests: Sequence[StoredImage] = in_test.get(test_side, ())
        for test in tests:
            for train in in_train.get(train_side, ()):
                evidence = pair.towards(train_side)
                reason = explain(pair.level, evidence, test, train)
                found.append(Leak(test, train, pair.level, pair.confidence, evidence, reason))
    return found
