"""The finder: a library to its groups of duplicates."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from indexer.actions.checks import same_entry, same_file
from indexer.paths import identity_of
from indexer.store.reader import LibraryReader
from indexer.store.records import Filters, StoredImage
from indexer.workers import usable_cores

from ..places import place_of
from .candidates import Candidates, merged
from .giving_up import is_kept_rather, may_be_given_up
from .grouping import stars
from .judging import PAIRS_AT_ONCE, STRICT, Bars, Judge, Pair, pair_at
from .keeping import Keep, is_protected, look_anew, order_to_keep
from .pair_cache import SCOPES, PairCache
from .proposing import Progress, find_candidates
from .reasons import explain
from .records import DuplicatePair, Evidence, Group, Level, Member
from .removed import GONE, without_removed
from .spool import Neighbours, chosen

PATIENCE_SECONDS_MAX = 10.0  # with another program that writes the library, when all is compared
RANKED_ANEW_MAX = 3  # times that a look at the pictures may change what is kept

Images = Mapping[int, Sequence[StoredImage]]  # content -> the files that hold it


@dataclass(frozen=True, slots=True)
class Question:
    """What to look for, and what to keep."""

    level: Level = Level.NEAR
    keep: Keep = Keep.BEST
    protected: tuple[Path, ...] = ()  # nothing below them may go
    turned: bool = False  # mirrored and rotated copies as well
    folder: Path | None = None  # only files at or below it, and the reference
    reference: Path | None = None  # only what is also at or below it; nothing there may go

    @property
    def staying(self) -> tuple[Path, ...]:
        """Give the folders from which nothing may go."""
        return self.protected if self.reference is None else (*self.protected, self.reference)

    def in_order(self, images: Sequence[StoredImage]) -> list[StoredImage]:
        """Sort images, the most worth keeping first."""
        return order_to_keep(images, self.keep, self.protected, self.reference)


@dataclass(frozen=True, slots=True)
class DuplicateReport:
    """What was found."""

    groups: tuple[Group, ...]  # those that free most first
    files: int  # that were looked at
    unreadable: tuple[tuple[Path, str], ...]
    not_kept: str = ""  # why the next search has to compare again, in words; empty: it has not

    @property
    def members(self) -> int:
        """Count the files that could go."""
        return sum(len(group.members) for group in self.groups)

    @property
    def worth_acting_on(self) -> int:
        """Count those that take room: the others are hard links to the kept file."""
        return sum(not member.linked for group in self.groups for member in group.members)

    @property
    def freed(self) -> int:
        """Give the bytes they take."""
        return sum(group.freed for group in self.groups)


def find_duplicates(
    reader: LibraryReader, question: Question, *, progress: Progress = lambda *_: None
) -> DuplicateReport:
    """Find the duplicates among a library's files; raises LibraryEmpty.

    Each member of a group is a duplicate of the group's kept file itself, and of a picture that the kept one
    shows at least nine tenths of. What is found is kept in the library when it can be written, as the search
    goes on, so that the next one compares only what is new.
    """
    began = monotonic()
    memory = PairCache(reader, scope_of(reader, question))
    look_anew()
    try:
        with reader.snapshot():
            images = all_images(reader)
            memory.recall(images)
            _find_new(reader, question, memory, progress)
            report = _report(reader, question, images, memory, progress)
    except BaseException:
        memory.keep()
        raise
    memory.keep(patience_seconds=min(PATIENCE_SECONDS_MAX, monotonic() - began))
    return replace(report, not_kept=memory.not_kept)


def scope_of(reader: LibraryReader, question: Question) -> str:
    """Name what a search compares, and how: what one finds is of use to those of the same name."""
    encoder = reader.default_encoder().id
    scenes = "scenes" if question.level is Level.SIMILAR else "copies"
    return f"{SCOPES}{scenes}, encoder {encoder}" + (", turned" if question.turned else "")


def _find_new(reader: LibraryReader, question: Question, memory: PairCache, progress: Progress) -> None:
    """Compare what is new with everything."""
    if question.level is Level.EXACT or not len(memory.new):
        return
    candidates = find_candidates(
        reader, question.level, turned=question.turned, asking=memory.new, progress=progress
    )
    memory.add(candidates, incomplete=reader.incomplete(reader.default_encoder()))
    memory.keep()


def _report(
    reader: LibraryReader, question: Question, images: Images, memory: PairCache, progress: Progress
) -> DuplicateReport:
    asked = _asked_about(reader, question, images)
    apart = _set_apart(reader, asked)
    pairs = merged([]) if question.level is Level.EXACT else _without(_among(memory.pairs, asked), apart)
    asked, changed = _as_indexed(asked, set(Neighbours(pairs).contents().tolist()))
    pairs = _among(pairs, asked)
    scenes = question.level is Level.SIMILAR
    judge = Judge(asked, mirrored=question.turned, workers=usable_cores(), scenes=scenes)
    try:
        groups = _Grouper(question, asked, pairs, apart, judge, memory, progress).groups()
    finally:
        judge.close()
    if question.reference is not None:
        groups = [group for group in groups if is_protected(group.keep.path, (question.reference,))]
    files = sum(len(copies) for copies in asked.values())
    groups.sort(key=lambda group: (-group.freed, str(group.keep.path)))
    changed = without_removed(reader.path, changed)
    return DuplicateReport(tuple(groups), files, (*changed, *judge.unreadable.items()))


def _as_indexed(
    images: Images, paired: Collection[int]
) -> tuple[dict[int, Sequence[StoredImage]], list[tuple[Path, str]]]:
    """Leave out files that are no more what was indexed, among those that could be in a group; and why."""
    kept: dict[int, Sequence[StoredImage]] = {}
    changed: list[tuple[Path, str]] = []
    for content, copies in images.items():
        if content in paired or len(copies) > 1:
            problems = [(image.path, reason) for image in copies if (reason := _change_of(image))]
            changed += problems
            gone = {path for path, _ in problems}
            # A symbolic link takes no room, and must not be what is kept.
            copies = [image for image in copies if image.path not in gone and not image.path.is_symlink()]
        if copies:
            kept[content] = copies
    return kept, changed


def _change_of(image: StoredImage) -> str | None:
    try:
        same = image.is_as_indexed()
    except FileNotFoundError:
        return GONE
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return None if same else "changed since it was indexed; `sightline index` takes it in anew"


def _asked_about(reader: LibraryReader, question: Question, images: Images) -> Images:
    """Give the files in the folder that is asked about, and those in the reference."""
    if question.folder is None:
        return images
    chosen = all_images(reader, question.folder)
    if question.reference is not None:
        for content, copies in images.items():
            known = {image.path for image in chosen.get(content, ())}
            others = [image for image in copies if image.path not in known]
            if more := [image for image in others if is_protected(image.path, (question.reference,))]:
                chosen.setdefault(content, []).extend(more)
    return chosen


def _set_apart(reader: LibraryReader, images: Images) -> frozenset[frozenset[int]]:
    """Give the pairs among these images that the user has said are no duplicates."""
    content_of = {copies[0].content_hash: content for content, copies in images.items()}
    return frozenset(
        frozenset(content_of[each] for each in hashes)
        for hashes in reader.set_apart()
        if hashes <= content_of.keys()
    )


def _without(pairs: Candidates, apart: Collection[frozenset[int]]) -> Candidates:
    if not apart:
        return pairs

    def is_open(block: Candidates) -> NDArray[np.bool_]:
        contents = zip(block.first.tolist(), block.second.tolist(), strict=True)
        return np.fromiter((frozenset(pair) not in apart for pair in contents), np.bool_, len(block))

    return chosen(pairs, is_open)


def _among(pairs: Candidates, images: Images) -> Candidates:
    contents = np.fromiter(images, np.int64, len(images))
    return chosen(pairs, lambda block: np.isin(block.first, contents) & np.isin(block.second, contents))


def find_pairs(
    reader: LibraryReader,
    question: Question,
    images: Images,
    *,
    worth: Callable[[Pair], bool] = lambda _: True,
    bars: Bars = STRICT,
    progress: Progress = lambda *_: None,
    unreadable: dict[Path, str] | None = None,
) -> Iterator[DuplicatePair]:
    """Yield all pairs of different contents, among these, that are duplicates at the level asked for.

    worth: which candidates to look at; unreadable takes the files that could not be looked at, and why. More
    work than `find_duplicates` makes, which leaves alone what has found its group.
    """
    judge = Judge(images, mirrored=question.turned, workers=usable_cores(), bars=bars)
    try:
        doubtful = bars is not STRICT  # what only decides how data is split had better be looked at
        found = find_candidates(
            reader,
            question.level,
            turned=question.turned,
            doubtful=doubtful,
            progress=progress,
        )
        candidates = _among(found, images)
        rows = enumerate(pair_at(candidates, row) for row in range(len(candidates)))
        wanted = (each for each in rows if worth(each[1]))
        while some := list(islice(wanted, PAIRS_AT_ONCE)):
            progress("comparing pictures", some[0][0], len(candidates))
            for pair in judge.judge([pair for _, pair in some]):
                if pair is not None and pair.level.rank <= question.level.rank:
                    yield pair
        if unreadable is not None:
            unreadable.update(judge.unreadable)
    finally:
        judge.close()


def all_images(reader: LibraryReader, folder: Path | None = None) -> dict[int, list[StoredImage]]:
    """Give a library's files, or those at or below a folder, by their content."""
    ids, _, _ = reader.fingerprints()
    place = None if folder is None else place_of(reader, folder)
    return reader.images(ids.tolist(), Filters(folder=place))


def _rank(level: Level) -> int:
    return level.rank


class _Grouper:
    """Makes groups of the pairs among some images, having those judged that the groups depend on."""

    def __init__(
        self,
        question: Question,
        images: Images,
        pairs: Candidates,
        apart: Collection[frozenset[int]],
        judge: Judge,
        memory: PairCache,
        progress: Progress,
    ) -> None:
        self._question, self._images, self._pairs, self._apart = question, images, pairs, apart
        self._judge, self._memory, self._progress = judge, memory, progress
        self._neighbours = Neighbours(pairs)
        paired = set(self._neighbours.contents().tolist())
        self._first_copy = {
            content: question.in_order(copies)[0]
            for content, copies in images.items()
            if content in paired or len(copies) > 1
        }
        self._outranked: dict[int, list[int]] = {}  # contents that must not be kept before others, and those

    def groups(self) -> list[Group]:
        """Group copies, and then scenes among what is left of them."""
        ranked = [image.content_id for image in self._question.in_order(list(self._first_copy.values()))]
        ranked, copies = self._stars(ranked, min(self._question.level, Level.NEAR, key=_rank))
        taken = {other for members in copies.values() for other in members}
        scenes: dict[int, list[int]] = {}
        if self._question.level is Level.SIMILAR:
            left = [content for content in ranked if content not in taken]
            ranked, scenes = self._stars(left, Level.SIMILAR)
            taken.update(other for members in scenes.values() for other in members)
        found = _Found(self._images, self._memory.judged, self._question, copies, scenes, self._apart)
        groups = [found.group(content) for content in ranked if content not in taken]
        return [group for group in groups if group.members]

    def _stars(self, ranked: list[int], level: Level) -> tuple[list[int], dict[int, list[int]]]:
        """Group around the best, and anew where a look at the pictures said that another is worth more."""
        among = set(ranked)
        for times in range(RANKED_ANEW_MAX + 1):
            self._outranked.clear()
            may_go = partial(self._may_go, level, final=times == RANKED_ANEW_MAX)
            found = stars(
                ranked,
                lambda content: [other for other in self._neighbours.of(content) if other in among],
                may_go,
            )
            if not self._outranked:
                break
            ranked = _moved_behind(ranked, self._outranked)
        return ranked, found

    def _may_go(self, level: Level, questions: Sequence[tuple[int, int]], *, final: bool) -> list[bool]:
        """Answer for `stars`; until the final time, what is outranked takes nothing.

        Else each of many like copies in turn would take the others before the one that all are to go for.
        """
        self._look_at({frozenset(each) for each in questions})
        answers = [self._may_be_given_up(*each, level) for each in questions]
        if final:
            return answers
        return [
            answer and keeper not in self._outranked
            for (keeper, _), answer in zip(questions, answers, strict=True)
        ]

    def _may_be_given_up(self, keeper: int, other: int, level: Level) -> bool:
        best = self._question.keep is Keep.BEST
        found = self._memory.judged[frozenset((keeper, other))]
        one, two = self._first_copy[keeper], self._first_copy[other]
        if found is None or found.level.rank > level.rank:
            return False
        staying = is_protected(one.path, self._question.staying)
        if may_be_given_up(found, one, two, level, best=best, staying=staying):
            return True
        rather = self._may_follow(one, two) and is_kept_rather(found, two, one, best=best)
        if rather and may_be_given_up(found, two, one, level, best=best):
            self._outranked.setdefault(keeper, []).append(other)
        return False

    def _may_follow(self, one: StoredImage, two: StoredImage) -> bool:
        """Tell whether the first may be ranked behind the second.

        What stays anyway never is behind what may go: what the reference holds is to be found as kept.
        """
        reference = () if self._question.reference is None else (self._question.reference,)
        return all(
            is_protected(two.path, places) or not is_protected(one.path, places)
            for places in (reference, self._question.protected)
        )

    def _look_at(self, asked: Collection[frozenset[int]]) -> None:
        """Have those pairs judged that have not been."""
        memory = self._memory
        rows = sorted(self._pairs.row_of(*sorted(key)) for key in asked if key not in memory.judged)
        open_pairs = [pair_at(self._pairs, row) for row in rows]
        for start in range(0, len(open_pairs), PAIRS_AT_ONCE):
            some = open_pairs[start : start + PAIRS_AT_ONCE]
            for pair, found in zip(some, self._judge.judge(some), strict=True):
                memory.note(pair, found, readable=self._judge.could_read(pair))
            memory.keep_when_due()
            self._progress("comparing pictures", len(memory.judged), len(memory.pairs))


def _moved_behind(ranked: Sequence[int], outranked: Mapping[int, Collection[int]]) -> list[int]:
    """Move contents right behind the best of those that are to be kept rather, wherever that itself goes."""
    at = {content: place for place, content in enumerate(ranked)}
    goes_to = {content: (place, 0) for content, place in at.items()}  # the place, and how far behind it
    for content in sorted(outranked, key=at.__getitem__, reverse=True):
        if behind := [goes_to[other] for other in outranked[content] if at[other] > at[content]]:
            place, steps = min(behind)
            goes_to[content] = place, steps + 1
    return sorted(ranked, key=lambda content: (*goes_to[content], at[content]))


@dataclass(frozen=True, slots=True)
class _Found:
    """What the groups are made of."""

    images: Images
    judged: Mapping[frozenset[int], DuplicatePair | None]
    question: Question
    copies: Mapping[int, Sequence[int]]  # kept content -> those that are the same picture
    scenes: Mapping[int, Sequence[int]]  # kept content -> those of the same scene, whose copies go with them
    apart: Collection[frozenset[int]]  # pairs that the user has said are no duplicates

    def group(self, content: int) -> Group:
        """Give the group around a kept content; without members when it has no duplicates."""
        keep, *same = self.question.in_order(self.images[content])
        members = [_same_bytes(copy, keep) for copy in same]
        members += self._copies_of(content, keep)
        for other in self.scenes.get(content, ()):
            members += self._members(keep, content, other, Level.SIMILAR)
            for copy in self.copies.get(other, ()):
                if frozenset((content, copy)) not in self.apart:
                    members += self._copy_of_other(content, other, copy)
        staying = self.question.staying
        free = [member for member in members if not is_protected(member.image.path, staying)]
        return Group(keep, tuple(_each_once(keep, free)))

    def _copies_of(self, content: int, keep: StoredImage) -> Iterator[Member]:
        for other in self.copies.get(content, ()):
            yield from self._members(keep, content, other)

    def _members(
        self, keep: StoredImage, content: int, other: int, level: Level | None = None
    ) -> Iterator[Member]:
        pair = self.judged[frozenset((content, other))]
        assert pair is not None  # or it would not have been taken
        evidence, level = pair.towards(content), level or pair.level
        for image in self.images[other]:
            reason = explain(pair.level, evidence, image, keep)
            yield Member(image, level, pair.confidence, evidence, reason)

    def _copy_of_other(self, content: int, other: int, copy: int) -> Iterator[Member]:
        """Give the files of a copy of what shows the same scene as the kept file."""
        pair = self.judged[frozenset((content, other))]
        assert pair is not None
        for image in self.images[copy]:
            reason = f"a copy of {self.images[other][0].path.name}, which shows the same scene"
            yield Member(image, Level.SIMILAR, pair.confidence, Evidence(), reason)


def _each_once(keep: StoredImage, members: Sequence[Member]) -> Iterator[Member]:
    """Yield the members with their identities, one for each entry of a folder, and none for the kept one's.

    A linked folder, or a second mount of one, leads to the same entries by other paths: to remove such a file
    is to remove the kept one. A hard link is an entry of its own.
    """
    kept = identity_of(keep.path, follow_links=False) or keep.path.name.casefold()
    entries: dict[tuple[int, int] | str, list[Path]] = {kept: [keep.path]}
    for member in members:
        path = member.image.path
        identity = identity_of(path, follow_links=False)
        known = entries.setdefault(identity or path.name.casefold(), [])
        if not any(same_entry(path, other) for other in known):
            known.append(path)
            yield replace(member, identity=identity)


def _same_bytes(image: StoredImage, keep: StoredImage) -> Member:
    linked = same_file(image.path, keep.path)
    reason = "the same file by another name, which takes no room" if linked else "the same bytes"
    return Member(image, Level.EXACT, 1.0, Evidence(), reason, linked)
