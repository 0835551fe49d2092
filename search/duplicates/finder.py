"""The finder: a library to its groups of duplicates."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from indexer.records import Ids
from indexer.store.library import LibraryReader
from indexer.store.records import Filters, StoredImage

from .candidates import Candidates, hash_pairs, merged, vector_pairs
from .grouping import stars
from .judging import PAIRS_AT_ONCE, STRICT, Bars, Judge, Pair, pairs_of
from .keeping import Keep, is_protected, order_to_keep
from .records import DuplicatePair, Evidence, Group, Level, Member

GIVEN_UP_COVERED_MIN = 0.9  # of a picture that the kept one must show, or something would be lost with it

Images = Mapping[int, Sequence[StoredImage]]  # content -> the files that hold it
Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much


@dataclass(frozen=True, slots=True)
class Question:
    """What to look for, and what to keep."""

    level: Level = Level.NEAR
    keep: Keep = Keep.BEST
    protected: tuple[Path, ...] = ()  # nothing below them may go
    turned: bool = False  # mirrored and rotated copies as well
    folder: Path | None = None  # only files at or below it


@dataclass(frozen=True, slots=True)
class DuplicateReport:
    """What was found."""

    groups: tuple[Group, ...]  # those that free most first
    files: int  # that were looked at
    unreadable: tuple[tuple[Path, str], ...]

    @property
    def members(self) -> int:
        """Count the files that could go."""
        return sum(len(group.members) for group in self.groups)

    @property
    def freed(self) -> int:
        """Give the bytes they take."""
        return sum(group.freed for group in self.groups)


def find_duplicates(
    reader: LibraryReader, question: Question, *, progress: Progress = lambda *_: None
) -> DuplicateReport:
    """Find the duplicates among a library's files; raises LibraryEmpty.

    Each member of a group is a duplicate of the group's kept file itself, and of a picture that the kept one
    shows at least nine tenths of.
    """
    with reader.snapshot():
        images = all_images(reader, question.folder)
        judge = Judge(images, mirrored=question.turned, workers=_cores())
        try:
            groups = _find_groups(reader, question, images, judge, progress)
        finally:
            judge.close()
    files = sum(len(copies) for copies in images.values())
    groups.sort(key=lambda group: (-group.freed, str(group.keep.path)))
    return DuplicateReport(tuple(groups), files, tuple(judge.unreadable.items()))


def find_pairs(
    reader: LibraryReader,
    question: Question,
    images: Images,
    *,
    worth: Callable[[Pair], bool] = lambda _: True,
    bars: Bars = STRICT,
    progress: Progress = lambda *_: None,
) -> Iterator[DuplicatePair]:
    """Yield all pairs of different contents, among these, that are duplicates at the level asked for.

    worth: which candidates to look at. More work than `find_duplicates` makes, which leaves alone what has
    found its group.
    """
    judge = Judge(images, mirrored=question.turned, workers=_cores(), bars=bars)
    try:
        pairs = [pair for pair in _candidate_pairs(reader, question, images, progress) if worth(pair)]
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            progress("comparing pictures", start, len(pairs))
            for found in judge.judge(pairs[start : start + PAIRS_AT_ONCE]):
                if found is not None and found.level.rank <= question.level.rank:
                    yield found
    finally:
        judge.close()


def all_images(reader: LibraryReader, folder: Path | None = None) -> dict[int, list[StoredImage]]:
    """Give a library's files, or those at or below a folder, by their content."""
    ids, _, _ = reader.fingerprints()
    return reader.images(ids.tolist(), Filters(folder=folder))


def _candidate_pairs(
    reader: LibraryReader, question: Question, images: Images, progress: Progress
) -> list[Pair]:
    if question.level is Level.EXACT:
        return []
    candidates, ids = find_candidates(reader, question, images, progress)
    return pairs_of(candidates, ids)


def find_candidates(
    reader: LibraryReader, question: Question, images: Images, progress: Progress = lambda *_: None
) -> tuple[Candidates, Ids]:
    """Give the pairs worth a look, as rows of the ids that come with them."""
    ids, hashes, quality = reader.fingerprints()
    chosen = np.isin(ids, np.fromiter(images, np.int64, len(images)))
    ids, hashes, quality = ids[chosen], hashes[chosen], quality[chosen]
    progress("comparing hashes", 0, len(ids))
    parts = list(hash_pairs(hashes, quality, turned=question.turned))
    progress("comparing vectors", 0, len(ids))
    vector_ids, vectors = reader.embeddings(reader.default_encoder())
    inside = np.isin(vector_ids, ids)
    rows = np.searchsorted(ids, vector_ids[inside])
    for part in vector_pairs(vectors[inside]):
        parts.append(replace(part, first=rows[part.first], second=rows[part.second]))
    return merged(parts), ids


def _find_groups(
    reader: LibraryReader, question: Question, images: Images, judge: Judge, progress: Progress
) -> list[Group]:
    pairs = {frozenset((p.first, p.second)): p for p in _candidate_pairs(reader, question, images, progress)}
    neighbours: dict[int, list[int]] = defaultdict(list)
    for pair in pairs.values():
        neighbours[pair.first].append(pair.second)
        neighbours[pair.second].append(pair.first)
    first_copy = {
        content: order_to_keep(copies, question.keep, question.protected)[0]
        for content, copies in images.items()
        if content in neighbours or len(copies) > 1
    }
    ordered = order_to_keep(list(first_copy.values()), question.keep, question.protected)
    ranked = [image.content_id for image in ordered]
    judged: dict[frozenset[int], DuplicatePair | None] = {}

    def may_go(questions: Sequence[tuple[int, int]]) -> list[bool]:
        asked = {frozenset(each) for each in questions}
        open_pairs = [pairs[key] for key in asked if key not in judged]
        for start in range(0, len(open_pairs), PAIRS_AT_ONCE):
            some = open_pairs[start : start + PAIRS_AT_ONCE]
            for pair, found in zip(some, judge.judge(some), strict=True):
                judged[frozenset((pair.first, pair.second))] = found
        progress("comparing pictures", len(judged), len(pairs))
        return [_may_go(judged[frozenset(each)], each[0], question.level) for each in questions]

    starred = stars(ranked, neighbours, may_go)
    given_up = {member for members in starred.values() for member in members}
    groups = [
        _group(
            images[content],
            [(other, judged[frozenset((content, other))]) for other in starred.get(content, ())],
            images,
            question,
        )
        for content in ranked
        if content not in given_up
    ]
    return [group for group in groups if group.members]


def _may_go(found: DuplicatePair | None, keeper: int, level: Level) -> bool:
    """Tell whether the other of a pair may be given up for the keeper, at a level."""
    if found is None or found.level.rank > level.rank:
        return False
    return found.level is Level.SIMILAR or (found.towards(keeper).covered or 0) >= GIVEN_UP_COVERED_MIN


def _group(
    copies: Sequence[StoredImage],
    others: Sequence[tuple[int, DuplicatePair | None]],
    images: Images,
    question: Question,
) -> Group:
    keep, *same = order_to_keep(copies, question.keep, question.protected)
    members = [Member(copy, Level.EXACT, 1.0, Evidence(), "the same bytes") for copy in same]
    for other, pair in others:
        if pair is not None:
            evidence = pair.towards(keep.content_id)
            members += [
                Member(
                    image, pair.level, pair.confidence, evidence, explain(pair.level, evidence, image, keep)
                )
                for image in images[other]
            ]
    free = [member for member in members if not is_protected(member.image.path, question.protected)]
    return Group(keep, tuple(free))


def explain(level: Level, evidence: Evidence, image: StoredImage, keep: StoredImage) -> str:
    """Say in words why an image is held to be a duplicate of the kept one."""
    if level is Level.EXACT:
        return "the same bytes"
    if level is Level.PIXEL:
        return (
            "the same pixels in another file"
            if image.format == keep.format
            else f"the same pixels as {image.format}"
        )
    said = ["the same picture" if level is Level.NEAR else "the same scene"]
    if evidence.turned:
        said.append(evidence.turned)
    if (image.width, image.height) != (keep.width, keep.height):
        said.append(f"{image.width} x {image.height} instead of {keep.width} x {keep.height}")
    if evidence.agreement is not None and evidence.agreement < 0.995:
        said.append(f"{evidence.agreement:.0%} of it unchanged")
    return ", ".join(said)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
