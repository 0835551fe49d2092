"""Judging: candidates to duplicate pairs, by looking at the pixels; two signals must agree.

A pair proposed by its hashes is laid over whole: hash and cells. A pair that does not pass so, or that marks
or vectors proposed, is matched by its features and cells. All that on small sketches; what looks the same
there is looked at once more, at a size at which a face or a word can be told. The bars below come from
benchmarks/duplicates_quality.py (docs/decisions.md tells the figures).
"""

import math
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from indexer.formats import SEVERAL_PICTURES
from indexer.opening import (
    INDEXED_MEGAPIXELS_MAX,
    SourceFacts,
    TooManyPictures,
    Undecodable,
    open_later_pictures,
    open_upright,
)
from indexer.store.records import StoredImage

from .aligning import SIDE as DETAILS_SIDE
from .candidates import TURNS, Candidates
from .damage import is_hurt
from .details import Finding, compare_details
from .lacking import extras_of
from .matching import SIDE, Match, Sketch, match, match_whole, show_the_same, sketch
from .overlay import OVERLAY_SIDE, within
from .records import DuplicatePair, Evidence, Level

INLIERS_MIN = 12  # features that agree, for a duplicate
AGREEMENT_SURE = 0.95  # of the cells: then as few features are enough as `match` needs to find how it lies
SCENE_INLIERS_MIN = 15  # features that agree, for the same scene with something changed
SKETCHES_KEPT = 2_000  # about 500 MB
PAIRS_AT_ONCE = 512
PICTURES_KEPT = 32  # about 80 MB
MARKED_AGREEMENT_MIN = 0.7  # of the cells of a sketch, which are large beside a label
LATER_PICTURES_MAX = 500  # about 30 MB a file
SAME_PIXELS_DISTANCE_MAX = 10  # bits that decoders reduced differently may make of equal pixels

# Pictures whose vectors lie so near, 1 being as far apart as strangers, show one scene or thing: of 28 looked
# at among the 69 such pairs of 7,156 photos of Flickr8k and COCO 26 are of one event (docs/decisions.md).
ALIKE_NEARNESS_MAX = 0.12
MOMENT_SECONDS = 60  # between two pictures of one camera that are near one another: one scene
BURST_SECONDS = 3  # the same where a library is too small to tell how near strangers are

SAME_PIXELS = Match(inliers=0, agreement=1.0, covers_first=1.0, covers_second=1.0, turned="")


@dataclass(frozen=True, slots=True)
class Bars:
    """What a pair must reach to be the same picture."""

    agreement: float = 0.85  # share of the common cells that show the same
    inliers: int = INLIERS_MIN  # features that agree; 0 is enough where hashes do, fewer where cells do
    covered: float = 0.5  # of the picture that the other shows more of
    details: bool = True  # must be the same as well, and the later pictures of animations and documents


STRICT = Bars()
# Nothing is lost by calling two pictures the same when they only decide what may be tested on: a test picture
# that is in doubt is better left out. DINOv2 (arXiv 2304.07193, appendix A.3) does so too.
LOOSE = Bars(agreement=0.7, inliers=10, covered=0.25, details=False)


@dataclass(frozen=True, slots=True)
class Pair:
    """A candidate on its way through the judge; contents, not rows."""

    first: int
    second: int
    hash_distance: int | None
    turn: int
    cosine: float | None
    nearness: float | None = None  # of the vectors, as in Candidates

    @property
    def key(self) -> frozenset[int]:
        """Give the two contents."""
        return frozenset((self.first, self.second))


class Judge:
    """Looks at pairs; keeps the sketches of the contents it saw last."""

    def __init__(
        self,
        images: Mapping[int, Sequence[StoredImage]],
        *,
        mirrored: bool,
        workers: int,
        bars: Bars = STRICT,
        scenes: bool = False,
    ) -> None:
        """Look at these images; scenes: whether pictures of one scene may go for each other as well."""
        self._bars = bars
        self._scenes = scenes
        self._images = images
        self._mirrored = mirrored
        self._pool = ThreadPoolExecutor(max_workers=workers)
        self._sketches: OrderedDict[int, Sketch | None] = OrderedDict()
        self._closer = lru_cache(maxsize=PICTURES_KEPT)(_open_closer)  # kept files are seen with each other
        self._damaged: set[int] = set()  # contents of which a part is lost
        self._missed: set[frozenset[int]] = set()  # pairs judged last, of which not all could be looked at
        self.unreadable: dict[Path, str] = {}

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown(cancel_futures=True)

    def judge(self, pairs: Sequence[Pair]) -> list[DuplicatePair | None]:
        """Give for each pair what it is, None when no duplicate; a picture that cannot be read is in none."""
        self._missed.clear()
        contents = {content for pair in pairs if not self._equal(pair) for content in pair.key}
        missing = [content for content in sorted(contents) if content not in self._sketches]
        for content, taken in zip(missing, self._pool.map(self._sketch, missing), strict=True):
            self._sketches[content] = taken
        for content in contents:
            self._sketches.move_to_end(content)
        answers = list(self._pool.map(self._judge, pairs))
        while len(self._sketches) > SKETCHES_KEPT:
            self._sketches.popitem(last=False)
        return answers

    def could_read(self, pair: Pair) -> bool:
        """Tell whether all that a pair that was just judged depends on could be looked at."""
        if self._equal(pair):
            return True
        sketched = all(self._sketches.get(content) is not None for content in pair.key)
        return sketched and pair.key not in self._missed

    def _equal(self, pair: Pair) -> bool:
        """Tell whether indexing saw the same pixels in both."""
        one, other = (self._images[content][0].pixel_hash for content in pair.key)
        return one is not None and one == other

    def _sketch(self, content: int) -> Sketch | None:
        for image in self._images.get(content, ()):
            with self._noting(image.path):
                upright, facts = _open(image.path, SIDE // 2)
                if facts.damaged:
                    self._damaged.add(content)
                return sketch(upright, mirrored=self._mirrored)
        return None

    @contextmanager
    def _noting(self, path: Path, pair: Pair | None = None) -> Iterator[None]:
        """Go on where a file cannot be read; take down why, and which pair was not seen wholly for it."""
        try:
            yield
        except Undecodable as error:
            self.unreadable[path] = error.reason
        except OSError as error:
            self.unreadable[path] = (error.strerror or str(error)).lower()
        else:
            return
        if pair is not None:
            self._missed.add(pair.key)

    def _judge(self, pair: Pair) -> DuplicatePair | None:
        if self._equal(pair):
            return self._pair(pair, Level.PIXEL, SAME_PIXELS)
        first, second = self._sketches[pair.first], self._sketches[pair.second]
        if first is None or second is None:
            return None
        less = self._alike(pair)
        for found, level in self._laid(first, second, pair):
            seen, level = self._seen_closer(pair, found, level)
            if level is Level.NEAR:
                self._look_for_losses(pair)
            if level in (Level.PIXEL, Level.NEAR):
                return self._pair(pair, level, seen)
            if level is not None and (less is None or less.by_vectors):
                less = self._pair(pair, level, seen)
        return self._with_losses(pair, less) if less is not None and self._scenes else less

    def _pair(self, pair: Pair, level: Level, found: Match) -> DuplicatePair:
        return _pair(pair, level, found, self._damaged)

    def _look_for_losses(self, pair: Pair) -> None:
        """Find out which of two pictures is not whole; with equal pixels both show all."""
        if not self._bars.details:  # nothing is given up then
            return
        for content in pair.key - self._damaged:
            image = self._images[content][0]
            with self._noting(image.path, pair):
                if is_hurt(image):
                    self._damaged.add(content)

    def _with_losses(self, pair: Pair, found: DuplicatePair) -> DuplicatePair:
        """Note on both sides of a pair of one scene whether a part of the picture is lost."""
        self._look_for_losses(pair)
        return replace(
            found,
            first_in_second=replace(found.first_in_second, damaged=pair.first in self._damaged),
            second_in_first=replace(found.second_in_first, damaged=pair.second in self._damaged),
        )

    def _alike(self, pair: Pair) -> DuplicatePair | None:
        """Give a pair that is the same scene by what the encoder sees and when it was taken."""
        one, other = self._images[pair.first][0], self._images[pair.second][0]
        apart = _seconds_apart(one, other)
        nearness = pair.nearness
        if nearness is None:
            together = pair.cosine is not None and apart <= BURST_SECONDS
        else:
            together = apart <= MOMENT_SECONDS
        if not together and (nearness is None or nearness > ALIKE_NEARNESS_MAX):
            return None
        evidence = Evidence(
            hash_distance=pair.hash_distance,
            cosine=pair.cosine,
            nearness=nearness,
            seconds_apart=apart if together else None,
        )
        doubt = 0.0 if nearness is None else nearness / 2 if together else nearness
        return DuplicatePair(pair.first, pair.second, Level.SIMILAR, 1 - doubt, evidence, evidence)

    def _laid(self, first: Sketch, second: Sketch, pair: Pair) -> Iterator[tuple[Match, Level | None]]:
        """Give the ways the second may lie in the first, and what sketches make of the pair then."""
        whole = self._whole(first, second, pair)
        if whole is not None:
            yield whole, Level.NEAR
        found = match(first, second)
        if found is not None:
            yield found, _level_of(found, self._bars)

    def _whole(self, first: Sketch, second: Sketch, pair: Pair) -> Match | None:
        if pair.hash_distance is None:
            return None
        turn = TURNS[pair.turn]
        if turn.mirrored and not self._mirrored:
            return None
        found = match_whole(first, second, turn.quarters, mirrored=turn.mirrored)
        return found if found.same_colours and found.agreement >= self._bars.agreement else None

    def _same_pixels(self, one: StoredImage, other: StoredImage, pair: Pair, found: Match) -> bool:
        if (one.width, one.height) != (other.width, other.height) or found.turned or found.agreement < 1:
            return False
        if pair.hash_distance is None or pair.hash_distance > SAME_PIXELS_DISTANCE_MAX:
            return False
        pixels: list[bytes] = []
        for image in (one, other):
            with self._noting(image.path, pair):
                known = _pixels_of(image)
                if known is None:
                    return False
                pixels.append(known)
        return len(pixels) == 2 and pixels[0] == pixels[1]

    def _may_be_marked(self, found: Match) -> bool:
        """Tell whether a label may be all that keeps two pictures from being the same."""
        enough = found.inliers >= self._bars.inliers and found.agreement >= MARKED_AGREEMENT_MIN
        return (
            self._bars.details and enough and found.same_colours and found.covers_most >= self._bars.covered
        )

    def _seen_closer(self, pair: Pair, found: Match, level: Level | None) -> tuple[Match, Level | None]:
        """Give what a pair is that looks the same on small sketches, or nearly."""
        one, other = self._images[pair.first][0], self._images[pair.second][0]
        if level is not Level.NEAR and not self._may_be_marked(found):
            return found, level
        if level is Level.NEAR and self._same_pixels(one, other, pair, found):
            return found, Level.PIXEL
        apart = Level.SIMILAR if level is Level.NEAR else level
        if _taken_apart(one, other):
            return found, apart
        if not self._bars.details:
            return found, level
        pictures: list[Image.Image] = []
        for image in (one, other):
            with self._noting(image.path, pair):
                pictures.append(self._closer(image.path))
        if len(pictures) < 2:  # who cannot see all of it must not call it a copy
            return found, apart
        seen = compare_details(pictures[0], pictures[1], found.placed)
        # A pair that only may be the same but for a label must be seen to be so.
        enough = (Finding.MARKED,) if level is not Level.NEAR else tuple(set(Finding) - {Finding.OTHER})
        if seen.finding not in enough or not self._same_later(one, other, pair):
            return found, apart
        return replace(found, marked=seen.finding is Finding.MARKED, altered=seen.altered), Level.NEAR

    def _same_later(self, one: StoredImage, other: StoredImage, pair: Pair) -> bool:
        """Tell whether two files whose first pictures are the same go on the same."""
        if not {one.format, other.format} & SEVERAL_PICTURES:
            return True
        later: list[list[Image.Image]] = []
        for image in (one, other):
            with self._noting(image.path, pair):
                pictures = _open_later(image.path)
                if pictures is None:
                    return False
                later.append(pictures)
        return len(later) == 2 and show_the_same(*later, agreement=self._bars.agreement)


def _open(path: Path, side: int, *, thumbnails: bool = True) -> tuple[Image.Image, SourceFacts]:
    return open_upright(
        path, target=(side, side), max_megapixels=INDEXED_MEGAPIXELS_MAX, thumbnails=thumbnails
    )


def _open_closer(path: Path) -> Image.Image:
    # A thumbnail shows all of a picture of which half is lost, and libheif does not tell.
    return within(_open(path, DETAILS_SIDE * 3 // 8, thumbnails=False)[0], DETAILS_SIDE)


def _open_later(path: Path) -> list[Image.Image] | None:
    """Decode a file's further pictures; None where they are too many to look at."""
    try:
        return open_later_pictures(path, most=LATER_PICTURES_MAX, enough=OVERLAY_SIDE // 2)
    except TooManyPictures:  # next time as well
        return None


def _pixels_of(image: StoredImage) -> bytes | None:
    """Hash all pixels; large JPEGs were decoded reduced when they were indexed."""
    if image.pixel_hash is not None:
        return image.pixel_hash
    _, facts = open_upright(image.path, max_megapixels=INDEXED_MEGAPIXELS_MAX, hash_pixels=True)
    return facts.pixel_hash


def _level_of(found: Match, bars: Bars) -> Level | None:
    same = found.agreement >= bars.agreement and found.covers_most >= bars.covered
    enough = found.inliers >= bars.inliers or found.agreement >= AGREEMENT_SURE
    if same and found.same_colours and enough:
        return Level.NEAR
    return Level.SIMILAR if found.inliers >= SCENE_INLIERS_MIN else None


def _taken_apart(one: StoredImage, other: StoredImage) -> bool:
    """Tell whether one camera took the two at different moments: frames of a burst, however alike."""
    if not one.taken_at or not other.taken_at:
        return False
    if one.taken_at != other.taken_at:
        return True
    first, second = (extras_of(image).subsecond for image in (one, other))
    digits = max(len(first), len(second))  # of a fraction, which may be written with more or fewer
    return bool(first and second and first.ljust(digits, "0") != second.ljust(digits, "0"))


def _seconds_apart(one: StoredImage, other: StoredImage) -> float:
    """Give the time between two pictures of one camera; infinite when that is not known."""
    if one.camera is None or one.camera != other.camera or not (one.taken_at and other.taken_at):
        return math.inf
    return abs((one.taken_at - other.taken_at).total_seconds())


def _pair(pair: Pair, level: Level, found: Match, damaged: Collection[int]) -> DuplicatePair:
    shared = {
        "hash_distance": pair.hash_distance,
        "cosine": pair.cosine,
        "nearness": pair.nearness,
        "inliers": found.inliers or None,
        "agreement": found.agreement,
        "turned": found.turned,
        "marked": found.marked,
    }
    return DuplicatePair(
        pair.first,
        pair.second,
        level,
        1.0 if level is Level.PIXEL else _confidence(found, pair),
        Evidence(
            **shared,  # type: ignore[arg-type]
            covered=found.covers_first,
            framed=found.framed_first,
            coloured=found.only_first_coloured,
            altered=found.altered == 0,
            damaged=pair.first in damaged,
        ),
        Evidence(
            **shared,  # type: ignore[arg-type]
            covered=found.covers_second,
            framed=found.framed_second,
            coloured=found.only_second_coloured,
            altered=found.altered == 1,
            damaged=pair.second in damaged,
        ),
    )


def _confidence(found: Match, pair: Pair) -> float:
    """Put the signals together to 0..1: each further feature or nearer hash halves what doubt is left."""
    doubt = 0.5 ** (found.inliers / INLIERS_MIN)
    if pair.hash_distance is not None:
        doubt *= 0.5 ** max(0.0, (32 - pair.hash_distance) / 8)
    return float(np.clip(found.agreement * (1 - doubt), 0, 1))


def pair_at(contents: Candidates, row: int) -> Pair:
    """Take one pair out of candidates of contents."""
    distance, cosine, nearness = (
        getattr(contents, name)[row] for name in ("hash_distance", "cosine", "nearness")
    )
    return Pair(
        int(contents.first[row]),
        int(contents.second[row]),
        int(distance) if distance >= 0 else None,
        int(contents.turn[row]),
        None if np.isnan(cosine) else float(cosine),
        None if np.isnan(nearness) else float(nearness),
    )
