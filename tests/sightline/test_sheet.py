from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from indexer.opening import open_upright
from sightline import sheet as module
from sightline.sheet import HEIGHT_MAX, WIDTH, contact_sheet, fitted_text, font_for, save_sheet

from .answers import make_answer, make_images
from .conftest import Run


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


@pytest.fixture
def thumbnails_read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Stand in for the thumbnails of any number of images; give what was read of them."""
    read: list[Path] = []

    def thumbnails(paths: Sequence[Path], long_side: int) -> Iterator[Image.Image]:
        for path in paths:
            read.append(path)
            yield Image.new("RGB", (40, 30))

    monkeypatch.setattr(module, "thumbnails", thumbnails)
    return read


@pytest.mark.usefixtures("thumbnails_read")
def test_a_sheet_of_many_images_is_no_higher_than_any_format_holds(tmp_path: Path):
    file = tmp_path / "sheet.webp"
    save_sheet(make_answer([tmp_path / f"{number}.jpg" for number in range(1000)]), file)
    with Image.open(file) as sheet:
        assert HEIGHT_MAX - 400 < sheet.height <= HEIGHT_MAX


@pytest.mark.usefixtures("thumbnails_read")
def test_the_header_says_how_many_are_shown_when_not_all_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    drawn: list[str] = []
    monkeypatch.setattr(module, "fitted_text", lambda draw, text, *_: drawn.append(text) or "")
    contact_sheet(make_answer([tmp_path / f"{number}.jpg" for number in range(1000)]))
    ranks = sum(text.endswith(".jpg") for text in drawn)
    assert f"the first {ranks} are shown" in drawn[1]


def test_images_beyond_a_full_sheet_are_not_read(tmp_path: Path, thumbnails_read: list[Path]):
    contact_sheet(make_answer([tmp_path / f"{number}.jpg" for number in range(1000)]))
    assert len(thumbnails_read) < 300


@pytest.mark.usefixtures("thumbnails_read")
def test_what_is_held_of_an_image_is_what_the_sheet_shows(tmp_path: Path):
    cells = list(module._placed(make_answer([tmp_path / f"{number}.jpg" for number in range(9)]).hits))
    assert [cell.image and cell.image.size for cell in cells] == [(cell.width, cell.height) for cell in cells]


class _Measure:
    """A drawing that counts how often a text was measured."""

    def __init__(self) -> None:
        self.times = 0
        self._draw = ImageDraw.Draw(Image.new("RGB", (1, 1)))

    def textlength(self, text: str, *, font: module.Font) -> float:
        self.times += 1
        return self._draw.textlength(text, font=font)


def fitted(text: str, room: int) -> tuple[str, int]:
    measure = _Measure()
    return fitted_text(measure, text, font_for(15), room), measure.times  # type: ignore[arg-type]


def test_a_long_text_is_measured_a_few_times_only():
    shown, times = fitted("a long name " * 1000, 300)
    assert "…" in shown
    assert times < 20


@pytest.mark.parametrize("room", range(0, 120, 7))
def test_as_much_of_a_text_stays_as_there_is_room_for(room: int):
    text, font = "IMG_0001.jpeg", font_for(15)
    draw = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    cuts = [text, *(text[: (n + 1) // 2] + "…" + text[len(text) - n // 2 :] for n in range(12, 1, -1))]
    longest = next((cut for cut in cuts if draw.textlength(cut, font=font) <= room), "…")
    assert fitted(text, room)[0] == longest


def test_no_sheet_takes_the_place_of_a_picture_whether_the_library_has_it_or_not(
    run: Run, indexed: Path, tmp_path: Path
):
    photo = tmp_path / "photo.png"
    Image.new("RGB", (9, 9)).save(photo)
    before = photo.read_bytes()
    done = run("search", "dog", "--sheet", photo, cwd=indexed)
    assert (done.returncode, done.stdout, photo.read_bytes()) == (2, b"", before)
    assert b"did not draw" in done.stderr


@pytest.mark.usefixtures("thumbnails_read")
def test_the_header_counts_files_on_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    drawn: list[str] = []
    monkeypatch.setattr(module, "fitted_text", lambda draw, text, *_: drawn.append(text) or "")
    contact_sheet(make_answer([tmp_path / "a.jpg", tmp_path / "copy of a.jpg"]))
    assert drawn[1].startswith("2 of 1,250 files ")
