from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from indexer.store.records import StoredImage
from sightline.cards import facts, long_side

BASE = StoredImage(
    content_id=1,
    path=Path("/images/base.jpg"),
    relative="base.jpg",
    content_hash=b"\1" * 32,
    width=400,
    height=300,
    format="JPEG",
    taken_at=datetime(2024, 5, 17, 9, 30),
    camera="Canon",
    latitude=None,
    longitude=None,
    size=100_000,
    mtime_ns=1_600_000_000 * 10**9,
)
UNDATED = replace(BASE, taken_at=None)


def told(image: StoredImage, base: StoredImage = BASE) -> dict[str, tuple[str, str]]:
    return {fact.label: (fact.kind, fact.remark) for fact in facts(image, base) if fact.kind}


def test_what_is_the_same_is_not_marked():
    assert told(replace(BASE, path=Path("/images/other.jpg"))) == {}


@pytest.mark.parametrize(
    ("change", "label", "said"),
    [
        ({"width": 200}, "pixels", ("less", "50% less")),
        ({"width": 600}, "pixels", ("more", "50% more")),
        ({"width": 1200}, "pixels", ("more", "3.0 times as much")),
        ({"width": 300, "height": 400}, "pixels", ("other", "another shape")),
        ({"size": 99_999}, "bytes", ("less", "slightly less")),
        ({"size": 1}, "bytes", ("less", "99% less")),
        ({"format": "PNG"}, "format", ("other", "instead of JPEG")),
        ({"taken_at": datetime(2024, 5, 17, 9, 29)}, "taken", ("other", "earlier")),
        ({"taken_at": None}, "taken", ("less", "not here")),
        ({"camera": None}, "camera", ("less", "not here")),
        ({"camera": "Nikon"}, "camera", ("other", "another")),
    ],
)
def test_what_differs_is_told(change: dict[str, object], label: str, said: tuple[str, str]):
    assert told(replace(BASE, **change)) == {label: said}  # type: ignore[arg-type]


def test_a_date_that_the_base_lacks_is_marked_as_more():
    assert told(BASE, UNDATED)["taken"] == ("more", "only here")


def test_without_a_camera_the_files_dates_are_compared():
    newer = replace(UNDATED, mtime_ns=UNDATED.mtime_ns + 60 * 10**9)
    assert told(newer, UNDATED) == {"file of": ("other", "later")}


def test_a_date_that_no_calendar_has_is_a_dash():
    odd = replace(UNDATED, mtime_ns=2**62 * 1000)
    assert [fact.value for fact in facts(odd, odd) if fact.label == "file of"] == ["–"]


def test_many_thumbnails_are_small():
    assert long_side(10) > long_side(500) > long_side(5000)
