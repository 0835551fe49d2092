"""Checking: pairs are looked through before anything is learned from them, and split for validation."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

from indexer.errors import PairsInvalid
from search.duplicates.grouping import components

from .copies import Rows, exact_copies, near_copies
from .examples import Example
from .image_check import Progress, Seen, look_at
from .splitting import split

IMAGES_MIN = 2  # one image cannot be told apart from others
QUOTED_LENGTH = 60  # letters of a caption in a message

Kind = Literal[
    "unreadable",
    "empty caption",
    "cut caption",
    "shared caption",
    "exact copy",
    "near copy",
    "two classes",
    "leak",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the check found, and what came of it."""

    kind: Kind
    count: int
    what: str  # that was counted
    outcome: str  # what comes of it
    first: str  # one of them

    def __str__(self) -> str:
        return f"{self.what}: {self.count:,}, {self.outcome} (first: {self.first})"


@dataclass(frozen=True, slots=True)
class Checked:
    """What is fit to learn from and to validate on; no photo is in both."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    findings: tuple[Finding, ...]


def check(
    examples: Sequence[Example],
    *,
    validation: Sequence[Example] | None = None,
    share: float = 0.1,
    seed: int = 0,
    is_cut: Callable[[str], bool] | None = None,
    workers: int | None = None,
    progress: Progress = lambda *_: None,
) -> Checked:
    """Leave out what cannot be used, and see to it that no photo is both learned from and validated on.

    validation: what to validate on, less what is in the examples as well; without, a share (0 to below 1) of
    the examples is split off by photo: a photo's copies stay together, and where it goes depends on its
    content and the seed alone. is_cut tells whether a model cuts a caption (trainer.truncation); workers are
    processes to decode in, 0 for none.

    Raises PairsInvalid when too little is left, or when all images have the same caption.
    """
    if not 0 <= share < 1:
        raise PairsInvalid(None, f"the validation share {share:g} is not between 0 and 1")
    findings: list[Finding] = []
    given = _captioned(examples, findings), _captioned(validation or (), findings)
    pool = _look([*given[0], *given[1]], len(given[0]), workers, progress, findings)
    _check_enough(pool.train)
    findings += _about_captions(pool.examples, is_cut)
    places = [example.image for example in pool.examples]
    copies = exact_copies(pool.seen) + near_copies(places, pool.seen, progress=progress)
    groups = _groups(len(pool.seen), copies)
    findings += _about_copies(pool, groups)
    pool = _with_photos(pool)
    if validation is None:
        checked = _split(pool, groups, share, seed)
    else:
        checked = _without_leaks(pool, groups, findings)
    _check_enough(checked[0])
    return Checked(*checked, tuple(findings))


def leave_out_unreadable(
    examples: Sequence[Example], *, workers: int | None = None, progress: Progress = lambda *_: None
) -> tuple[tuple[Example, ...], tuple[Finding, ...]]:
    """Give the examples that a model can be measured on: those with an image to decode and a caption.

    Raises PairsInvalid when there is none.
    """
    findings: list[Finding] = []
    given = _captioned(examples, findings)
    answers = look_at([example.image for example in given], workers=workers, progress=progress)
    findings += _about_unreadable(given, answers)
    kept = tuple(e for e, answer in zip(given, answers, strict=True) if isinstance(answer, Seen))
    if not kept:
        reason = f"; {findings[-1]}" if findings else ""
        raise PairsInvalid(None, f"no image with a caption is left to measure on{reason}")
    return kept, tuple(findings)


@dataclass(frozen=True, slots=True)
class _Pool:
    """The readable examples, the training part first."""

    examples: list[Example]
    seen: list[Seen]  # one for each
    train_count: int

    @property
    def train(self) -> list[Example]:
        return self.examples[: self.train_count]


def _captioned(examples: Sequence[Example], findings: list[Finding]) -> list[Example]:
    """Leave out empty captions, and images with no other."""
    kept = [replace(example, captions=tuple(filter(str.strip, example.captions))) for example in examples]
    lacking = [
        example
        for example, rest in zip(examples, kept, strict=True)
        if not rest.captions or len(rest.captions) < len(example.captions)
    ]
    if lacking:
        what, outcome = "images with an empty caption", "left out unless they have another"
        findings.append(Finding("empty caption", len(lacking), what, outcome, lacking[0].image.name))
    return [example for example in kept if example.captions]


def _look(
    examples: Sequence[Example],
    train_count: int,
    workers: int | None,
    progress: Progress,
    findings: list[Finding],
) -> _Pool:
    """Decode all images and leave out those that cannot be read."""
    answers = look_at([example.image for example in examples], workers=workers, progress=progress)
    pairs = [(e, answer) for e, answer in zip(examples, answers, strict=True) if isinstance(answer, Seen)]
    findings += _about_unreadable(examples, answers)
    readable_train = sum(isinstance(answer, Seen) for answer in answers[:train_count])
    if not readable_train:
        reason = f"; {findings[-1]}" if findings else ""
        raise PairsInvalid(None, f"no image with a caption is left to learn from{reason}")
    return _Pool([example for example, _ in pairs], [seen for _, seen in pairs], readable_train)


def _about_unreadable(examples: Sequence[Example], answers: Sequence[Seen | str]) -> Iterator[Finding]:
    bad = [(e, answer) for e, answer in zip(examples, answers, strict=True) if isinstance(answer, str)]
    if bad:
        first = f"{bad[0][0].image.name}: {bad[0][1]}"
        yield Finding("unreadable", len(bad), "images that cannot be read", "left out", first)


def _check_enough(train: Sequence[Example]) -> None:
    if len(train) < IMAGES_MIN:
        raise PairsInvalid(
            None,
            f"{len(train)} image is too few to learn from: it takes two to tell apart, and hundreds to do it "
            "well",
        )
    if len({example.captions for example in train}) == 1:
        raise PairsInvalid(
            None,
            f"all {len(train):,} images have the same caption, {_quoted(train[0].captions[0])}: nothing "
            "tells them apart; give each its own, or add images of other kinds",
        )


def _groups(rows: int, pairs: Sequence[Rows]) -> list[list[int]]:
    """Group the rows that are one photo; a chain of copies is one, too, for it must not be cut."""
    found = [sorted(group) for group in components(pairs)]
    alone = set(range(rows)).difference(chain.from_iterable(found))
    return sorted([*found, *([row] for row in alone)])


def _with_photos(pool: _Pool) -> _Pool:
    """Tell which examples are one photo byte for byte.

    Those that only look the same may be products of two colours, and it matters which caption is whose.
    """
    contents = Counter(seen.content_hash for seen in pool.seen)
    examples = [
        replace(example, photo=seen.content_hash.hex()) if contents[seen.content_hash] > 1 else example
        for example, seen in zip(pool.examples, pool.seen, strict=True)
    ]
    return replace(pool, examples=examples)


def _split(
    pool: _Pool, groups: Sequence[Sequence[int]], share: float, seed: int
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    keys = [min(pool.seen[row].content_hash for row in group) for group in groups]
    validates = split(keys, [len(group) for group in groups], share=share, seed=seed)
    chosen = {row for group, yes in zip(groups, validates, strict=True) if yes for row in group}
    rows = range(len(pool.examples))
    return (
        tuple(pool.examples[row] for row in rows if row not in chosen),
        tuple(pool.examples[row] for row in rows if row in chosen),
    )


def _without_leaks(
    pool: _Pool, groups: Sequence[Sequence[int]], findings: list[Finding]
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    leaks = {row: group[0] for group in groups for row in group if group[0] < pool.train_count <= row}
    if leaks:
        row, original = min(leaks.items())
        first = f"{pool.examples[row].image.name} is {pool.examples[original].image.name}"
        what, outcome = "validation images that are in the training part as well", "kept out of validation"
        findings.append(Finding("leak", len(leaks), what, outcome, first))
    kept = [row for row in range(pool.train_count, len(pool.examples)) if row not in leaks]
    if not kept:
        raise PairsInvalid(
            None,
            "no validation image is left: all are unreadable, without a caption or in the training part as "
            "well; give others, or have a share of the training images split off",
        )
    return tuple(pool.train), tuple(pool.examples[row] for row in kept)


def _about_copies(pool: _Pool, groups: Sequence[Sequence[int]]) -> Iterator[Finding]:
    """Tell of copies within the training part; those across are leaks, or are prevented by the split."""
    exact: list[Rows] = []
    near: list[Rows] = []
    classes: list[Rows] = []
    for group in groups:
        first, *others = [row for row in group if row < pool.train_count] or [-1]
        contents = {pool.seen[first].content_hash}
        for row in others:
            content = pool.seen[row].content_hash
            (exact if content in contents else near).append((first, row))
            contents.add(content)
            if pool.examples[row].label != pool.examples[first].label:
                classes.append((first, row))
    yield from _about_rows(pool, "exact copy", exact, "images that are another's copy, byte for byte")
    yield from _about_rows(pool, "near copy", near, "images that look like another")
    yield from _about_rows(
        pool, "two classes", classes, "photos that are in two classes", "look which of them is right"
    )


def _about_rows(
    pool: _Pool, kind: Kind, pairs: Sequence[Rows], what: str, outcome: str = "kept together"
) -> Iterator[Finding]:
    if pairs:
        first, second = (pool.examples[row].image.name for row in pairs[0])
        yield Finding(kind, len(pairs), what, outcome, f"{second} is {first}")


def _about_captions(examples: Sequence[Example], is_cut: Callable[[str], bool] | None) -> Iterator[Finding]:
    used = Counter(chain.from_iterable(set(e.captions) for e in examples if e.label is None))
    shared = [caption for caption, count in used.items() if count > 1]
    if shared:
        outcome = "which do not tell them apart"
        yield Finding(
            "shared caption", len(shared), "captions of several images", outcome, _quoted(shared[0])
        )
    if is_cut is not None:
        yield from about_cut(chain.from_iterable(example.captions for example in examples), is_cut)


def about_cut(captions: Iterable[str], is_cut: Callable[[str], bool]) -> Iterator[Finding]:
    """Tell of captions that a model reads only the beginning of."""
    cut = [caption for caption in dict.fromkeys(captions) if is_cut(caption)]
    if cut:
        what, outcome = "captions longer than the model reads", "their ends are cut off"
        yield Finding("cut caption", len(cut), what, outcome, _quoted(cut[0]))


def _quoted(caption: str) -> str:
    return repr(caption if len(caption) <= QUOTED_LENGTH else caption[: QUOTED_LENGTH - 1] + "…")
