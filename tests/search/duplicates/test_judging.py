"""What a match amounts to."""

from dataclasses import replace

import pytest

from search.duplicates.judging import AGREEMENT_SURE, INLIERS_MIN, LOOSE, STRICT, Bars, _level_of
from search.duplicates.matching import Match
from search.duplicates.records import Level

SAME = Match(inliers=INLIERS_MIN, agreement=0.9, covers_first=1.0, covers_second=0.9, turned="")


@pytest.mark.parametrize(
    ("found", "bars", "level"),
    [
        (SAME, STRICT, Level.NEAR),
        (replace(SAME, inliers=INLIERS_MIN - 1), STRICT, None),
        (replace(SAME, inliers=8, agreement=AGREEMENT_SURE), STRICT, Level.NEAR),
        (replace(SAME, agreement=0.8), STRICT, None),
        (replace(SAME, agreement=0.8), LOOSE, Level.NEAR),
        (replace(SAME, agreement=0.8, inliers=40), STRICT, Level.SIMILAR),
        (replace(SAME, same_colours=False, inliers=40), STRICT, Level.SIMILAR),
        (replace(SAME, covers_first=0.4, covers_second=0.4), STRICT, None),
    ],
    ids=[
        "both signals",
        "too few features",
        "few features, cells all agree",
        "cells differ",
        "cells differ, loosely",
        "cells differ, many features",
        "other colours",
        "a small part",
    ],
)
def test_two_signals_make_a_near_duplicate(found: Match, bars: Bars, level: Level | None) -> None:
    assert _level_of(found, bars) is level
