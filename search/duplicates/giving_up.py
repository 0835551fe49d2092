"""Giving up: whether one of two pictures may go for the other, or something would be lost with it."""

from indexer.store.records import StoredImage

from .keeping import NEGATIVE, came_before, has_few_colours, worth
from .lacking import has_more_channels, tells_more
from .records import DuplicatePair, Evidence, Level
from .sharpness import is_better_source, is_poor_source

GIVEN_UP_COVERED_MIN = 0.9  # of a picture that the kept one must show, or something would be lost with it
MORE_PIXELS = 1.05  # times as many are a loss
BYTES_MORE = 1.5  # times as many are a loss, but for a keeper that comes from a camera
KEEPER_COVERED_MIN = 0.5  # of the kept picture that the other shows, or they are different pictures


def may_be_given_up(
    found: DuplicatePair | None,
    keeper: StoredImage,
    other: StoredImage,
    level: Level,
    *,
    best: bool,
    staying: bool = False,
) -> bool:
    """Tell whether the other of a pair may be given up for the keeper.

    level: the loosest that counts; best: whether the best of a group is to be kept; staying: whether the
    keeper stays in any case, as what is protected does.

    Never for a keeper of which a part is lost, that is the other one in a frame, or that shows mostly
    something else: a screenshot has the more pixels, and is not the photo. Nor, when the best is to be kept,
    for one of fewer pixels (a frame's do not count), for one without the colours, the transparency, the
    shades or the fine detail of this one, or where the other `is_kept_rather`. Among pictures of one scene
    neither need show all that the other shows.
    """
    if found is None or found.level.rank > level.rank:
        return False
    given_up, kept = found.towards(keeper.content_id), found.towards(other.content_id)
    if is_kept_rather(found, other, keeper, best=False):
        return False
    if found.level is Level.SIMILAR:
        return True
    if kept.framed or (kept.covered or 0) < KEEPER_COVERED_MIN:
        return False
    if not given_up.framed and level is not Level.SIMILAR and (given_up.covered or 0) < GIVEN_UP_COVERED_MIN:
        return False
    if best and _has_more_pixels(given_up, other, kept, keeper):
        return False
    if best and is_kept_rather(found, other, keeper, best=True, staying=staying):
        return False
    return not (best and _has_more(found.level, given_up, other, keeper))  # the last, since it opens files


def is_kept_rather(
    found: DuplicatePair, other: StoredImage, keeper: StoredImage, *, best: bool, staying: bool = False
) -> bool:
    """Tell whether the other of a pair has what cannot be had again from the keeper, whatever its pixels.

    It is whole where the keeper is not; or, when the best is to be kept, it is unchanged where the keeper was
    changed, is the negative, tells more, or is what a lossless keeper of the same pixels was made of (of
    which nothing is lost if the keeper stays anyway).
    """
    theirs, kept = found.towards(keeper.content_id), found.towards(other.content_id)
    if theirs.damaged or kept.damaged:
        return not theirs.damaged
    if not best or theirs.altered:
        return False
    if kept.altered or (other.format == NEGATIVE and keeper.format != NEGATIVE):
        return True
    if tells_more(other, keeper):  # from here on files are opened
        return True
    if staying or found.level is not Level.PIXEL:
        return False
    return came_before(other, keeper) and not tells_more(keeper, other)


def _has_more_pixels(given_up: Evidence, other: StoredImage, kept: Evidence, keeper: StoredImage) -> bool:
    if given_up.framed:
        return _shows_more(given_up, other, kept, keeper)
    is_whole = (kept.covered or 0) >= GIVEN_UP_COVERED_MIN  # else an enlarged crop: its pixels are no gain
    return is_whole and other.width * other.height > MORE_PIXELS * keeper.width * keeper.height


def _has_more(level: Level, given_up: Evidence, other: StoredImage, keeper: StoredImage) -> bool:
    """Tell whether the other has colours, detail or channels that the keeper lacks, or, being hurt, words."""
    if given_up.damaged and tells_more(other, keeper):
        return True
    if level is Level.NEAR:
        fewer_colours = given_up.coloured or (has_few_colours(keeper) and not has_few_colours(other))
        if fewer_colours or is_poor_source(keeper, other) or _is_worth_its_words_alone(keeper, other):
            return True
    return has_more_channels(other, keeper)  # two of the same eight bits may come of more


def _is_worth_its_words_alone(keeper: StoredImage, other: StoredImage) -> bool:
    """Tell whether the keeper would stay for what it tells, and is coded clearly worse: then both stay.

    What comes from a camera may have far fewer bytes: the other was saved anew from it.
    """
    if keeper.format == NEGATIVE or not tells_more(keeper, other):
        return False
    if keeper.width * keeper.height != other.width * other.height:
        return False
    far_fewer = not _is_from_camera(keeper) and worth(other) > BYTES_MORE * worth(keeper)
    return far_fewer or is_better_source(other, keeper)


def _is_from_camera(image: StoredImage) -> bool:
    return image.taken_at is not None and image.camera is not None


def _shows_more(given_up: Evidence, other: StoredImage, kept: Evidence, keeper: StoredImage) -> bool:
    """Tell whether the other has more pixels of what both show: its frame does not count."""
    theirs = (given_up.covered or 0) * other.width * other.height
    return theirs > MORE_PIXELS * (kept.covered or 0) * keeper.width * keeper.height
