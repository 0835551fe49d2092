"""What a match amounts to."""

import errno
import io
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from indexer.opening import open_upright
from indexer.store.records import StoredImage
from search.duplicates.judging import (
    AGREEMENT_SURE,
    INLIERS_MIN,
    LOOSE,
    STRICT,
    Bars,
    Judge,
    Pair,
    _level_of,
)
from search.duplicates.matching import Match
from search.duplicates.records import Level

from .photos import photo

SAME = Match(inliers=INLIERS_MIN, agreement=0.9, covers_first=1.0, covers_second=0.9, turned="")


MOMENT = datetime(2024, 5, 3, 14, 2, 11)
STORED = StoredImage(
    content_id=1, path=Path("/photos/a.jpg"), relative="a.jpg", content_hash=b"", width=640, height=480,
    format="JPEG", taken_at=None, camera=None, latitude=None, longitude=None, size=1, mtime_ns=1,
)  # fmt: skip


def taken(content: int, seconds: float | None, camera: str = "Canon") -> StoredImage:
    at = None if seconds is None else MOMENT + timedelta(seconds=seconds)
    return replace(STORED, content_id=content, taken_at=at, camera=camera)


@pytest.mark.parametrize(
    ("nearness", "seconds", "is_scene"),
    [
        (0.1, None, True),
        (0.2, None, False),
        (0.5, 50, True),
        (0.5, 70, False),
        (None, 2, True),
        (None, 20, False),
    ],
)
def test_pictures_much_alike_or_taken_together_are_one_scene(
    nearness: float | None, seconds: float | None, is_scene: bool
) -> None:
    images = {1: [taken(1, None if seconds is None else 0)], 2: [taken(2, seconds)]}
    judge = Judge(images, mirrored=False, workers=1)
    found = judge._alike(Pair(1, 2, None, 0, 0.9, nearness))
    judge.close()
    assert (found is not None and found.level is Level.SIMILAR) == is_scene


def test_pictures_of_two_cameras_are_not_taken_together() -> None:
    images = {1: [taken(1, 0)], 2: [taken(2, 1, camera="Nikon")]}
    judge = Judge(images, mirrored=False, workers=1)
    assert judge._alike(Pair(1, 2, None, 0, 0.9, 0.5)) is None
    judge.close()


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


def judged(one: Path, other: Path, kind: str) -> tuple[Level | None, dict[Path, str], bool]:
    """Judge two files near by their hashes: what they are, what could not be read, whether that is final."""
    images = {
        number: [replace(STORED, content_id=number, path=path, format=kind)]
        for number, path in ((1, one), (2, other))
    }
    judge = Judge(images, mirrored=False, workers=1)
    pair = Pair(1, 2, 4, 0, None)
    [found] = judge.judge([pair])
    judge.close()
    return found and found.level, judge.unreadable, judge.could_read(pair)


def test_a_page_that_cannot_be_read_is_told_and_the_pair_looked_at_again(tmp_path: Path) -> None:
    pages = [photo("coffee"), photo("astronaut")]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", compression="tiff_adobe_deflate", save_all=True, append_images=pages[1:])
    (tmp_path / "whole.tif").write_bytes(buffer.getvalue())
    hurt = bytearray(buffer.getvalue())
    hurt[len(hurt) * 2 // 3 : len(hurt) * 5 // 6] = bytes(len(hurt) * 5 // 6 - len(hurt) * 2 // 3)
    (tmp_path / "hurt.tif").write_bytes(hurt)
    found, unreadable, is_known = judged(tmp_path / "whole.tif", tmp_path / "hurt.tif", "TIFF")
    assert (found, list(unreadable), is_known) == (Level.SIMILAR, [tmp_path / "hurt.tif"], False)


def test_a_drive_that_fails_at_the_closer_look_is_told_and_the_pair_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo("coffee").save(tmp_path / "a.jpg", quality=92)
    photo("coffee").save(tmp_path / "b.jpg", quality=60)

    def failing(_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("search.duplicates.judging._open_closer", failing)
    found, unreadable, is_known = judged(tmp_path / "a.jpg", tmp_path / "b.jpg", "JPEG")
    reasons = dict.fromkeys((tmp_path / "a.jpg", tmp_path / "b.jpg"), "input/output error")
    assert (found, unreadable, is_known) == (Level.SIMILAR, reasons, False)


def test_pictures_that_were_taken_in_over_the_usual_limit_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo("coffee").save(tmp_path / "a.png")
    photo("coffee").save(tmp_path / "b.png", compress_level=1)
    monkeypatch.setitem(open_upright.__kwdefaults__, "max_megapixels", 0.001)
    assert judged(tmp_path / "a.png", tmp_path / "b.png", "PNG") == (Level.PIXEL, {}, True)
