"""The pages of `sightline duplicates --html` and `sightline leaks --html`, read as a browser reads them."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image

from indexer.store.records import StoredImage
from search.duplicates.finder import DuplicateReport, Question
from search.duplicates.records import Evidence, Group, Level, Member
from sightline.duplicates_page import PICTURED_GROUPS, PICTURED_MEMBERS, duplicates_page

from ..search.duplicates.photos import NAMES, photo
from .conftest import Run
from .reading import Figure, Reader, read
from .test_cards import BASE

FOUND = 11
HOSTILE = "<script>alert(1)<\u2215script> \"'&\n{{title}} 🏖.jpg"


@pytest.fixture(scope="module")
def mess(run: Run, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with an exact, a smaller and a mirrored copy; to be left as it is."""
    folder = tmp_path_factory.mktemp("page") / "mess"
    (folder / "old").mkdir(parents=True)
    for name in NAMES[:4]:
        photo(name).save(folder / f"{name}.jpg", quality=90)
    shutil.copy(folder / "coffee.jpg", folder / "old" / HOSTILE)
    photo("chelsea").resize((240, 160)).save(folder / "old/small.webp", quality=80)
    mirrored = photo("astronaut").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mirrored.save(folder / "old/mirrored.jpg", quality=80)
    index(run, folder, model)
    return folder


@pytest.fixture
def messy(mess: Path, tmp_path: Path) -> Path:
    """Give a copy of the folder and its library, to change."""
    return Path(shutil.copytree(mess, tmp_path / "mess"))


def index(run: Run, folder: Path, model: Path) -> None:
    done = run("index", folder, "--model", model)
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture(scope="module")
def html(run: Run, mess: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the page of the folder's duplicates."""
    file = tmp_path_factory.mktemp("html") / "report.html"
    done = run("duplicates", "--transforms", "--html", file, cwd=mess)
    assert done.returncode == FOUND, done.stderr.decode()
    return file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Reader:
    return read(html)


def figure(page: Reader, name: str) -> Figure:
    (found,) = (figure for figure in page.figures if name in figure.text)
    return found


def test_the_page_holds_its_images_and_asks_the_network_for_nothing(html: str, page: Reader):
    assert len(page.sources()) == 6
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources())
    assert not re.search(r"(src|href)=.https?:|url\(", html)


def test_the_kept_image_comes_first_and_is_marked(page: Reader):
    assert [figure.kinds[0] for figure in page.figures] == ["base", "compared"] * 3
    assert all(("KEEP" in figure.text) == ("base" in figure.kinds) for figure in page.figures)


def test_the_head_tells_where_what_and_how_much(page: Reader, mess: Path):
    head = page.words.split("KEEP")[0]
    assert f"Duplicates in {mess}" in head
    assert "level near · keeps the best · mirrored and rotated copies too" in head
    assert "groups 3 files could go 3" in head


def test_files_are_counted_by_level(page: Reader):
    assert re.search(r"exact the same bytes 1 .*pixel .* file 0 0 B near .* marked 2 ", page.words)


def test_a_member_tells_its_level_reason_and_confidence(page: Reader):
    small = figure(page, "small.webp")
    assert small.has("span", **{"class": "tag near"})
    assert small.has("span", role="meter", aria_label="confidence")
    assert "the same picture, 240 x 160 instead of" in small.text


def test_what_differs_from_the_kept_one_is_marked(page: Reader):
    small = figure(page, "small.webp")
    assert re.search(r"pixels240 × 160 \d+% less", small.text)
    assert "WEBP instead of JPEG" in small.text
    assert small.has("span", **{"class": "less"})


def test_a_near_copy_can_be_flipped_and_subtracted(page: Reader):
    small = figure(page, "small.webp")
    assert small.has("button", data_show="flip")
    assert small.has("button", data_show="difference")


def test_a_mirrored_copy_is_not_subtracted(page: Reader):
    mirrored = figure(page, "mirrored.jpg")
    assert mirrored.has("button", data_show="flip")
    assert not mirrored.has("button", data_show="difference")


def test_the_same_bytes_need_no_flipping(page: Reader):
    assert not figure(page, "alert(1)").has("button")


def test_a_hostile_name_is_text_and_its_link_the_file(page: Reader, mess: Path):
    hostile = figure(page, "alert(1)")
    assert "<script>alert(1)<\u2215script> \"'&\\n{{title}} 🏖.jpg" in hostile.text
    (href,) = (attrs["href"] for tag, attrs in hostile.tags if tag == "a")
    assert unquote(urlsplit(href or "").path) == str(mess / "old" / HOSTILE)
    assert sum(tag == "script" for tag, _ in page.tags) == 1


def test_the_page_comes_on_top_of_other_output(run: Run, mess: Path, tmp_path: Path):
    plain = run("duplicates", "--json", cwd=mess)
    paged = run("duplicates", "--json", "--html", tmp_path / "a.html", cwd=mess)
    assert paged.stdout == plain.stdout
    assert f"wrote {tmp_path / 'a.html'} (".encode() in paged.stderr


def test_where_nothing_is_found_the_page_says_so(run: Run, mess: Path, tmp_path: Path):
    done = run("duplicates", "--in", mess / "old", "--html", tmp_path / "a.html", cwd=mess)
    page = read((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert done.returncode == 0
    assert "No duplicates among 3 files." in page.words
    assert not page.figures


def test_an_image_that_cannot_be_read_leaves_a_box_and_is_not_flipped(tmp_path: Path):
    photo("coffee").save(tmp_path / "base.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    keep, broken = (replace(BASE, path=tmp_path / name) for name in ("base.jpg", "broken.jpg"))
    page = read(duplicates_page(report_of(keep, broken), Question(), tmp_path))
    assert [figure.kinds for figure in page.figures] == [["base"], ["compared"]]
    assert ["cannot be read" in figure.text for figure in page.figures] == [False, True]


def test_beside_a_kept_image_that_cannot_be_read_nothing_is_flipped(tmp_path: Path):
    photo("coffee").save(tmp_path / "copy.jpg")
    page = read(
        duplicates_page(report_of(BASE, replace(BASE, path=tmp_path / "copy.jpg")), Question(), tmp_path)
    )
    assert [figure.kinds for figure in page.figures] == [["base"], ["compared"]]


def test_a_place_that_cannot_be_written_is_told_before_anything_is_touched(run: Run, messy: Path):
    done = run("duplicates", "--apply", "delete", "--yes", "--html", "/nowhere/at/all.html", cwd=messy)
    assert done.returncode == 1
    assert b"/nowhere/at/all.html: no such file or directory" in done.stderr
    assert (messy / "old" / HOSTILE).exists()


def test_the_page_shows_also_what_is_deleted_in_the_same_run(run: Run, messy: Path, tmp_path: Path):
    run("duplicates", "--apply", "delete", "--yes", "--html", tmp_path / "a.html", cwd=messy)
    assert not (messy / "old" / HOSTILE).exists()
    assert "cannot be read" not in read((tmp_path / "a.html").read_text(encoding="utf-8")).words


def test_members_beyond_the_pictured_are_listed(run: Run, model: Path, tmp_path: Path):
    folder = tmp_path / "many"
    folder.mkdir()
    photo("rocket").resize((90, 60)).save(folder / "0.png")
    for number in range(1, PICTURED_MEMBERS + 4):
        shutil.copy(folder / "0.png", folder / f"copy {number:02}.png")
    index(run, folder, model)
    run("duplicates", "--keep", "first", "--html", tmp_path / "a.html", cwd=folder)
    page = read((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert len(page.figures) == 1 + PICTURED_MEMBERS
    assert "and 3 more" in page.words
    assert sum(tag == "li" for tag, _ in page.tags) == 3


def report_of(keep: StoredImage, *others: StoredImage, groups: int = 1) -> DuplicateReport:
    """Make a report by hand."""
    members = tuple(Member(image, Level.NEAR, 0.9, Evidence(), "the same picture") for image in others)
    return DuplicateReport((Group(keep, members),) * groups, 2 * groups, ())


def test_groups_beyond_the_pictured_are_listed_and_the_head_says_so(tmp_path: Path):
    report = report_of(BASE, BASE, groups=PICTURED_GROUPS + 2)
    page = read(duplicates_page(report, Question(), tmp_path))
    assert len(page.figures) == 2 * PICTURED_GROUPS
    assert "The first 200 groups have pictures; the other 2 are listed at the end." in page.words
    assert page.words.endswith("202 near /images/ base.jpg /images/ base.jpg 100 kB")


def test_files_that_could_not_be_compared_are_listed(tmp_path: Path):
    report = DuplicateReport((), 5, ((Path("/images/a<b>.jpg"), "permission denied"),))
    page = read(duplicates_page(report, Question(), tmp_path))
    assert "1 file could not be compared /images/ a<b>.jpg permission denied" in page.words


def test_folders_that_lose_nothing_are_named_at_the_head(tmp_path: Path):
    question = Question(protected=(Path("/images/albums"),), reference=Path("/images/old"))
    words = read(duplicates_page(report_of(BASE, BASE), question, tmp_path)).words
    assert "protected: /images/albums · only what is in /images/old already · as of" in words


# ---- leaks ----


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a training and a test folder that share a file and a smaller copy; to be left as they are."""
    folder = tmp_path_factory.mktemp("split")
    train, test = folder / "train", folder / "test"
    for each in (train, test):
        each.mkdir()
    for name in NAMES[:3]:
        photo(name).save(train / f"{name}.jpg", quality=90)
    shutil.copy(train / "coffee.jpg", test / "1.jpg")
    photo("chelsea").resize((300, 200)).save(test / "2.jpg")
    photo("camera").save(test / "3.jpg")
    return train, test


@pytest.fixture(scope="module")
def leaks(run: Run, split: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Give the page of the leaks."""
    file = tmp_path_factory.mktemp("html") / "leaks.html"
    done = run("leaks", *split, "--html", file)
    assert done.returncode == FOUND, done.stderr.decode()
    return read(file.read_text(encoding="utf-8"))


def test_pairs_stand_side_by_side_test_first(leaks: Reader):
    names = [re.findall(r"\w+\.jpg", figure.text)[0] for figure in leaks.figures]
    assert names == ["1.jpg", "coffee.jpg", "2.jpg", "chelsea.jpg"]
    assert ["TEST" in figure.text for figure in leaks.figures] == [True, False] * 2
    assert ["TRAIN" in figure.text for figure in leaks.figures] == [False, True] * 2


def test_a_pair_tells_its_reason(leaks: Reader):
    assert "the same bytes" in leaks.figures[0].text
    assert "the same picture, 300 x 200 instead of" in leaks.figures[2].text


def test_leaking_test_files_are_counted_by_level(leaks: Reader):
    assert re.search(r"exact the same bytes 1 33\.3% .*near .* marked 1 33\.3%", leaks.words)


def test_without_leaks_the_page_says_so(run: Run, split: tuple[Path, Path], tmp_path: Path):
    (tmp_path / "test").mkdir()
    shutil.copy(split[1] / "3.jpg", tmp_path / "test")
    done = run("leaks", split[0], tmp_path / "test", "--html", tmp_path / "a.html")
    words = read((tmp_path / "a.html").read_text(encoding="utf-8")).words
    assert done.returncode == 0
    assert "No leaks: compared 1 test with 3 training files." in words


def test_the_page_of_leaks_tells_how_many_files_of_both_sides_stood_aside(
    run: Run, split: tuple[Path, Path], tmp_path: Path
):
    for folder, count in zip(split, (2, 1), strict=True):
        shutil.copytree(folder, tmp_path / folder.name)
        for number in range(count):
            broken = b"\xff\xd8\xff\xe0 broken, and longer than a head"
            (tmp_path / folder.name / f"broken {number}.jpg").write_bytes(broken)
    run("leaks", *(tmp_path / folder.name for folder in split), "--html", tmp_path / "a.html")
    words = read((tmp_path / "a.html").read_text(encoding="utf-8")).words
    assert "Not compared: 3 files, not there, no picture or not to be read." in words


def test_leaks_tell_of_a_place_that_cannot_be_written(run: Run, split: tuple[Path, Path]):
    done = run("leaks", *split, "--html", "/nowhere/at/all.html")
    assert done.returncode == 1
    assert b"/nowhere/at/all.html: no such file or directory" in done.stderr
