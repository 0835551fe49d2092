from pathlib import Path

import pytest
from PIL import Image

from indexer.opening import open_upright
from sightline.sheet import WIDTH, contact_sheet, save_sheet

from .answers import make_answer, make_images


def test_sheet_holds_every_image(tmp_path: Path):
    sheet = contact_sheet(make_answer(make_images(tmp_path)))
    colors = {color for _, color in sheet.getcolors(1 << 24) or ()}
    assert sheet.width == WIDTH
    assert sum(any(abs(c[1] - 60 * n) < 8 and c[0] > 180 for c in colors) for n in range(4)) == 4


def test_an_image_that_is_gone_leaves_its_place(tmp_path: Path):
    paths = make_images(tmp_path)
    paths[0].unlink()
    assert contact_sheet(make_answer(paths)).width == WIDTH


def test_an_empty_answer_still_makes_a_sheet():
    assert contact_sheet(make_answer([])).height > 100


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_the_suffix_chooses_the_format(tmp_path: Path, suffix: str):
    file = tmp_path / f"sheet{suffix}"
    save_sheet(make_answer(make_images(tmp_path)), file)
    with Image.open(file) as sheet:
        assert sheet.width == WIDTH
    assert not list(tmp_path.glob(".sheet*"))


def test_long_queries_and_odd_names_fit(tmp_path: Path):
    names = (
        "x" * 200 + ".jpg",
        "\udcff.jpg".encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape"),
    )
    answer = make_answer(
        make_images(tmp_path, names), query="very long " * 60 + "🐶 日本", nothing_matches=True
    )
    assert contact_sheet(answer).width == WIDTH


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_sheet_is_told_from_a_photo(suffix: str, tmp_path: Path):
    sheet = (tmp_path / "sheet").with_suffix(suffix)
    save_sheet(make_answer(make_images(tmp_path)), sheet)
    assert open_upright(sheet)[1].drawn
