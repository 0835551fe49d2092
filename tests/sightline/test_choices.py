import os
import re
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import EncoderUnknown, FolderMissing, UsageError
from sightline.choices import above_zero, make_filters, model_name, parse_date, path

HALF_A_LETTER = pytest.param(
    "ViT-B-32@\ud800.pt", marks=pytest.mark.skipif(os.name == "nt", reason="Windows allows it in names")
)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("1800", date(1800, 1, 1)),
        ("2024", date(2024, 1, 1)),
        ("2024-05", date(2024, 5, 1)),
        ("2024-5-7", date(2024, 5, 7)),
    ],
)
def test_a_date_is_the_first_day_it_names(text: str, day: date):
    assert parse_date(text) == day


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2024-13", "2024-02-30", "24-01-01", "1799", "3000", "2024/05"]
)
def test_what_is_no_date_is_said(text: str):
    with pytest.raises(UsageError, match="is no date"):
        parse_date(text)


def test_after_is_included_and_before_is_not():
    filters = make_filters(after="2024", before=datetime(2025, 1, 1, 12))
    assert (filters.after, filters.before) == (date(2024, 1, 1), date(2024, 12, 31))


def test_nothing_is_not_above_zero():
    with pytest.raises(UsageError, match="max_megapixels is 0; it lies above 0"):
        above_zero("max_megapixels", 0)


def test_a_folder_of_a_user_who_is_none_is_said():
    with pytest.raises(UsageError, match="no such user as ~nouser"):
        make_filters(folder="~nouser/photos")


def test_a_missing_folder_is_said(tmp_path: Path):
    with pytest.raises(FolderMissing):
        make_filters(folder=tmp_path / "nowhere")


def test_dots_after_a_link_name_the_folder_that_the_system_goes_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for folder in ("x", "y/x", "y/sub"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "link").symlink_to("y/sub")
    monkeypatch.chdir(tmp_path)
    assert make_filters(folder="link/../x").folder == tmp_path / "y" / "x"


@pytest.mark.parametrize("name", ["ViT-B-32@a\0b.pt", HALF_A_LETTER])
def test_a_model_that_no_file_can_be_is_unknown(name: str):
    with pytest.raises(EncoderUnknown, match="no name has a"):
        model_name("model", name)


@pytest.mark.parametrize("name", ["a\0b", HALF_A_LETTER])
def test_a_path_that_no_file_can_have_is_said(name: str):
    with pytest.raises(UsageError, match="no path has a"):
        path("image", name)


@pytest.mark.skipif(os.name == "nt", reason="names are no bytes there")
def test_a_name_of_any_bytes_is_one():
    assert model_name("model", "caf\udce9") == "caf\udce9"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("folder", 5, "folder is a path, not int: 5"),
        ("after", 2024, "after is a date, not int: 2024"),
        ("before", date.min, "before is 0001-01-01"),
        ("camera", 3, "camera is a str, not int: 3"),
        ("min_width", "x", "min_width is a whole number, not str: 'x'"),
        ("min_width", 2**64, "it lies from 0 to 2,147,483,647"),
        ("min_height", -1, "min_height is -1"),
        ("min_height", 1.5, "min_height is a whole number, not float"),
    ],
)
def test_what_no_filter_can_be_is_said(name: str, value: object, said: str):
    with pytest.raises(UsageError, match=re.escape(said)):
        make_filters(**{name: value})  # type: ignore[arg-type]


def test_numpys_numbers_are_numbers():
    filters = make_filters(min_width=np.int32(640), min_height=np.uint8(3))  # type: ignore[arg-type]
    assert (filters.min_width, filters.min_height) == (640, 3)
    assert (type(filters.min_width), type(filters.min_height)) == (int, int)
