"""Leaks: which pictures of a test set are in the training set, or nearly.

The bar is looser than for deleting (judging.LOOSE): here a doubtful pair costs one test picture, and a missed
one a figure that is too good.
"""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import UsageError
from indexer.store.reader import LibraryReader
from indexer.store.records import StoredImage

from .finder import Images, Question, all_images, find_pairs
from .judging import LOOSE, Pair
from .proposing import Progress
from .reasons import explain
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
    train_skipped: int = 0  # that are no pictures, cannot be read, or are not there
    test_skipped: int = 0
    shared: int = 0  # files on both sides, which count as test alone
    # Among the skipped: files that could be a leak, and cannot be read any more; and why.
    unreadable: tuple[tuple[Path, str], ...] = ()

    def counts(self) -> dict[str, int]:
        """Count the test pictures that leak, each at its strictest level."""
        strictest: dict[Path, Level] = {}
        for leak in self.leaks:
            strictest.setdefault(leak.test.path, leak.level)
        counted = Counter(level.value for level in strictest.values())
        return {level.value: counted[level.value] for level in Level if level is not Level.SIMILAR}


Skipped = tuple[tuple[Path, str], ...]  # files and why each was not compared


@dataclass(frozen=True, slots=True)
class Split:
    """Two sides and what a library holds of them.

    A file on both is on the test side alone where one side is a folder, which may hold the other; two lists
    that name it leak it.
    """

    train: Side
    test: Side
    in_train: Images
    in_test: Images
    train_skipped: Skipped
    test_skipped: Skipped
    shared: int

    def check(self) -> None:
        """Raise UsageError if a side has no picture: `no leaks` would say nothing."""
        if not self.in_test:
            raise UsageError(_emptiness("test", self.test, self.test_skipped))
        if not self.in_train and not self.shared:
            raise UsageError(_emptiness("training", self.train, self.train_skipped))
        if not self.in_train:
            raise UsageError(
                f"{self.train.place}: nothing is left on the training side: {self.overlap()}; "
                "name two sides that are apart"
            )

    def overlap(self) -> str:
        """Say in words how the sides share files, if they do."""
        if not self.shared:
            return ""
        count = "1 file is" if self.shared == 1 else f"{self.shared:,} files are"
        said = f"{count} on both sides, and taken as test alone"
        if self.train.lies_inside(self.test):
            return f"it lies inside the test side {self.test.place}: {said}"
        if self.test.lies_inside(self.train):
            return f"the test side {self.test.place} lies inside it: {said}"
        return said


def _emptiness(name: str, side: Side, skipped: Skipped) -> str:
    if not skipped:
        return f"{side.place}: the {name} side has no picture to compare; look at the path"
    files = "its one file is not" if len(skipped) == 1 else f"none of its {len(skipped):,} files is"
    return f"{side.place}: the {name} side has no picture to compare: {files} one that can be read"


def read_split(reader: LibraryReader, train: Side, test: Side) -> Split:
    """Find what a library that covers two sides holds of them."""
    images = all_images(reader)
    on_train, in_test = _on(train, images), _on(test, images)
    listed = train.files is not None and test.files is not None
    in_train = {
        content: rest
        for content, copies in on_train.items()
        if (rest := [image for image in copies if listed or not test.holds(image.path)])
    }
    unread = reader.skipped_files()
    not_trained_on = _skipped(train, on_train, unread)
    return Split(
        train,
        test,
        in_train,
        in_test,
        tuple((path, why) for path, why in not_trained_on if not test.holds(path)),
        _skipped(test, in_test, unread),
        shared=_count(on_train) - _count(in_train),
    )


def find_leaks(
    reader: LibraryReader,
    split: Split,
    *,
    turned: bool = True,
    progress: Progress = lambda *_: None,
) -> LeakReport:
    """Compare the two sides of a split; raise UsageError if one of them has no picture."""
    split.check()
    # Both sides ask for what is near: of a long sequence on one of them, the nearest few are all its own.
    in_train, in_test = split.in_train, split.in_test
    leaks = _exact(in_train, in_test)
    unreadable: dict[Path, str] = {}
    pairs = find_pairs(
        reader,
        Question(Level.NEAR, turned=turned),
        {
            content: (*in_test.get(content, ()), *in_train.get(content, ()))
            for content in {*in_test, *in_train}
        },
        worth=_Across(frozenset(in_train), frozenset(in_test)),
        bars=LOOSE,
        progress=progress,
        unreadable=unreadable,
    )
    for pair in pairs:
        leaks += _leaks(pair, in_train, in_test)
    leaks.sort(key=lambda leak: (leak.level.rank, -leak.confidence, str(leak.test.path)))
    lost = [_among(side, unreadable) for side in (in_train, in_test)]
    return LeakReport(
        tuple(leaks),
        _count(in_train) - lost[0],
        _count(in_test) - lost[1],
        len(split.train_skipped) + split.train.missing + lost[0],
        len(split.test_skipped) + split.test.missing + lost[1],
        split.shared,
        tuple(sorted(unreadable.items())),
    )


def _among(images: Images, files: Collection[Path]) -> int:
    return sum(image.path in files for copies in images.values() for image in copies)


def _on(side: Side, images: Images) -> dict[int, list[StoredImage]]:
    """Give what is on a side and there: a library keeps files of a folder that looks unmounted."""
    found = {
        content: [image for image in copies if side.holds(image.path) and _is_there(image.path)]
        for content, copies in images.items()
    }
    return {content: copies for content, copies in found.items() if copies}


def _skipped(side: Side, images: Images, unread: Sequence[tuple[Path, str]]) -> Skipped:
    """Give the files of a side that were not compared; a list may name what is no picture at all."""
    skipped = {path: why for path, why in unread if side.holds(path) and _is_there(path)}
    if side.files is not None:
        compared = {image.path for copies in images.values() for image in copies}
        others = side.files - compared - skipped.keys()
        skipped |= dict.fromkeys(others, "not known as a picture by its name, or in a hidden folder")
    return tuple(sorted(skipped.items()))


def _is_there(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110  # Path.exists raises where a folder may not be entered


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
        Leak(test, train, Level.EXACT, 1.0, Evidence(), _same_bytes(test, train))
        for content in in_train.keys() & in_test.keys()
        for test in in_test[content]
        for train in in_train[content]
    ]


def _same_bytes(test: StoredImage, train: StoredImage) -> str:
    return "the same file, named on both sides" if test.path == train.path else "the same bytes"


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
