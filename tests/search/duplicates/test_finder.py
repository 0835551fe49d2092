import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image, ImageDraw, ImageOps

from indexer.fingerprint import content_hash
from indexer.opening import open_upright
from indexer.pipeline import IndexSettings, index_folders
from indexer.store.library import open_for_writing, open_library
from indexer.store.reader import LibraryReader
from search.duplicates.finder import DuplicateReport, Question, find_duplicates
from search.duplicates.keeping import Keep
from search.duplicates.records import Level

from .photos import NAMES, cropped, cut_out, flattened, form, labelled, negative, photo
from .searching import found, from_camera, search


def frame(number: float) -> Image.Image:
    """One of a long, slow pan over a photo with something that moves through it; 0 to 100."""
    whole = photo("hubble_deep_field", 1200)
    left = round(number * 6)
    image = whole.crop((left, 0, left + 400, 400))
    at = number * 10 % 400
    ImageDraw.Draw(image).ellipse((at, 150, at + 60, 210), fill=(200, 40, 40))
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a messy folder: originals and copies of each level."""
    folder = tmp_path_factory.mktemp("mess")
    for number, name in enumerate(NAMES):
        photo(name).save(folder / f"{name}.jpg", quality=92)
        os.utime(folder / f"{name}.jpg", (1_600_000_000 + number, 1_600_000_000 + number))
    (folder / "copies").mkdir()
    shutil.copy(folder / "coffee.jpg", folder / "copies/coffee copy.jpg")
    Image.open(folder / "rocket.jpg").save(folder / "copies/rocket.png")
    photo("chelsea").resize((240, 160)).save(folder / "copies/small cat.jpg", quality=80)
    labelled(photo("astronaut")).save(folder / "copies/marked.jpg", quality=85)
    cropped(photo("coins"), 0.8).save(folder / "copies/crop.jpg", quality=90)
    return folder


@pytest.fixture(scope="module")
def library(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("library") / "photos.library"
    index_folders(place, [folder], IndexSettings(model="builtin", device="cpu", workers=1))
    return place


@pytest.fixture
def reader(library: Path) -> Iterator[LibraryReader]:
    with open_library(library) as opened:
        yield opened


def test_each_level_holds_those_before_it(reader: LibraryReader) -> None:
    exact = {"coffee.jpg": {"coffee copy.jpg": "exact"}}
    pixel = {"rocket.jpg": {"rocket.png": "pixel"}}
    near = {
        "chelsea.jpg": {"small cat.jpg": "near"},
        "astronaut.jpg": {"marked.jpg": "near"},
        "coins.jpg": {"crop.jpg": "near"},
    }
    assert found(find_duplicates(reader, Question(Level.EXACT))) == exact
    assert found(find_duplicates(reader, Question(Level.PIXEL))) == exact | pixel
    assert found(find_duplicates(reader, Question(Level.NEAR))) == exact | pixel | near


def test_pictures_without_any_detail_are_found_by_their_pixels(tmp_path: Path) -> None:
    """Blank pages have no perceptual hash, no marks and all the same vector."""
    (tmp_path / "pages").mkdir()
    for shade in (250, 251):
        blank = Image.new("RGB", (300, 200), (shade, shade, shade))
        blank.save(tmp_path / "pages" / f"{shade}.png")
        blank.save(tmp_path / "pages" / f"{shade}.bmp")
    place = tmp_path / "photos.library"
    index_folders(place, [tmp_path / "pages"], IndexSettings(model="builtin", device="cpu", workers=1))
    with open_library(place) as reader:
        report = find_duplicates(reader, Question(Level.PIXEL))
    kept_and_gone = {frozenset((keep, *gone)) for keep, gone in found(report).items()}
    assert kept_and_gone == {frozenset((f"{shade}.png", f"{shade}.bmp")) for shade in (250, 251)}
    assert {member.confidence for group in report.groups for member in group.members} == {1.0}


def test_a_white_logo_on_nothing_is_no_copy_of_an_empty_page(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    for name, box in (("one", (50, 50, 150, 150)), ("two", (80, 20, 200, 90))):
        logo = Image.new("RGBA", (300, 200), (255, 255, 255, 0))
        ImageDraw.Draw(logo).ellipse(box, fill=(255, 255, 255, 255))
        logo.save(tmp_path / "pages" / f"{name}.png")
    Image.new("RGB", (300, 200), "white").save(tmp_path / "pages" / "page.png")
    place = tmp_path / "photos.library"
    index_folders(place, [tmp_path / "pages"], IndexSettings(model="builtin", device="cpu", workers=1))
    with open_library(place) as reader:
        assert found(find_duplicates(reader, Question(Level.NEAR))) == {}


def test_a_form_filled_in_otherwise_is_no_copy(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    filled = form(name="Anna Berger", amount="48,213.00")
    filled.save(tmp_path / "in/anna.png")
    filled.resize((500, 714)).save(tmp_path / "in/anna small.jpg", quality=60)
    form(name="Paul Winter", amount="17,950.40").save(tmp_path / "in/paul.png")
    form().save(tmp_path / "in/empty.png")
    index_folders(tmp_path / "lib", [tmp_path / "in"], IndexSettings(model="builtin", workers=1))
    with open_library(tmp_path / "lib") as reader:
        assert found(find_duplicates(reader, Question())) == {"anna.png": {"anna small.jpg": "near"}}


def test_what_was_put_on_a_copy_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    photo("chelsea").save(tmp_path / "in/cat.png")
    marked = photo("chelsea").copy()
    ImageDraw.Draw(marked).rectangle((0, marked.height - 70, 260, marked.height - 10), fill="white")
    marked.save(tmp_path / "in/label.jpg", quality=85)
    index_folders(tmp_path / "lib", [tmp_path / "in"], IndexSettings(model="builtin", workers=1))
    with open_library(tmp_path / "lib") as reader:
        ((member,),) = (group.members for group in find_duplicates(reader, Question()).groups)
    assert member.evidence.marked
    assert member.reason.startswith("the same picture, but for something put on one of them")


def saved_pictures(path: Path, *names: str, side: int = 300) -> None:
    first, *others = (ImageOps.fit(photo(name), (side, side * 2 // 3)) for name in names)
    first.save(path, save_all=True, append_images=others)


@pytest.mark.parametrize("kind", ["tiff", "webp"])
def test_pictures_that_begin_the_same_are_copies_only_when_they_go_on_the_same(
    kind: str, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    pages = ("coffee", "rocket", "astronaut")
    saved_pictures(tmp_path / f"in/scan.{kind}", *pages)
    saved_pictures(tmp_path / f"in/small.{kind}", *pages, side=200)
    saved_pictures(tmp_path / f"in/other.{kind}", "coffee", "rocket", "camera")
    saved_pictures(tmp_path / f"in/longer.{kind}", *pages, "camera")
    ImageOps.fit(photo("coffee"), (300, 200)).save(tmp_path / "in/still.jpg")
    index_folders(tmp_path / "lib", [tmp_path / "in"], IndexSettings(model="builtin", workers=1))
    with open_library(tmp_path / "lib") as reader:
        near, similar = (
            found(find_duplicates(reader, Question(level))) for level in (Level.NEAR, Level.SIMILAR)
        )
    assert near == {f"scan.{kind}": {f"small.{kind}": "near"}}
    assert sorted(name for keep, members in similar.items() for name in (keep, *members)) == sorted(
        [f"{name}.{kind}" for name in ("scan", "small", "other", "longer")] + ["still.jpg"]
    )


def test_a_member_says_why_it_is_one_and_how_sure(reader: LibraryReader) -> None:
    report = find_duplicates(reader, Question(Level.NEAR))
    (small,) = [m for g in report.groups for m in g.members if m.image.path.name == "small cat.jpg"]
    assert "240 x 160 instead of 451 x 300" in small.reason or "240 x 160 instead of" in small.reason
    assert small.confidence > 0.8
    assert small.evidence.agreement == pytest.approx(1.0, abs=0.05)


def test_the_whole_picture_is_kept_for_its_crop_even_when_the_crop_has_more_pixels(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    whole = photo("coffee")
    whole.save(tmp_path / "in/whole.jpg")
    cropped(whole, 0.75).resize((1200, 800)).save(tmp_path / "in/enlarged crop.jpg")
    index_folders(tmp_path / "lib", [tmp_path / "in"], IndexSettings(model="builtin", workers=1))
    with open_library(tmp_path / "lib") as reader:
        assert found(find_duplicates(reader, Question())) == {"whole.jpg": {"enlarged crop.jpg": "near"}}


def test_nothing_below_a_protected_folder_may_go(reader: LibraryReader, folder: Path) -> None:
    report = find_duplicates(reader, Question(protected=(folder / "copies",)))
    assert all("copies" not in member.image.relative for group in report.groups for member in group.members)
    assert found(report)["coffee copy.jpg"] == {"coffee.jpg": "exact"}


def test_a_larger_copy_is_not_given_up_for_a_smaller_one_in_a_protected_folder(
    reader: LibraryReader, folder: Path
) -> None:
    report = find_duplicates(reader, Question(protected=(folder / "copies",)))
    assert "small cat.jpg" not in found(report)


def test_who_asks_for_the_oldest_gets_it_also_when_it_is_smaller(reader: LibraryReader, folder: Path) -> None:
    report = find_duplicates(reader, Question(protected=(folder / "copies",), keep=Keep.OLDEST))
    assert found(report)["small cat.jpg"] == {"chelsea.jpg": "near"}


def test_a_folder_limits_what_is_looked_at(reader: LibraryReader, folder: Path) -> None:
    report = find_duplicates(reader, Question(folder=folder / "copies"))
    assert (report.groups, report.files) == ((), 5)


def test_turned_copies_are_found_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    photo("coffee").save(tmp_path / "in/cup.png")
    photo("coffee").transpose(Image.Transpose.ROTATE_90).save(tmp_path / "in/left.jpg")
    photo("coffee").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "in/mirror.jpg")
    index_folders(tmp_path / "lib", [tmp_path / "in"], IndexSettings(model="builtin", workers=1))
    with open_library(tmp_path / "lib") as reader:
        turned = find_duplicates(reader, Question(turned=True))
        straight = find_duplicates(reader, Question())
    assert found(turned) == {"cup.png": {"left.jpg": "near", "mirror.jpg": "near"}}
    assert "mirror.jpg" not in found(straight).get("cup.png", {})


def test_frames_of_one_camera_at_other_moments_are_no_copies(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for second in (1, 2):
        exif = Image.Exif()
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = f"2024:05:03 14:02:0{second}"
        photo("coffee").save(tmp_path / f"in/{second}.jpg", quality=90 + second, exif=exif)
    index_folders(tmp_path / "lib", [tmp_path / "in"], IndexSettings(model="builtin", workers=1))
    with open_library(tmp_path / "lib") as reader:
        assert found(find_duplicates(reader, Question(Level.NEAR))) == {}
        (group,) = find_duplicates(reader, Question(Level.SIMILAR)).groups
    assert group.level is Level.SIMILAR


def test_a_slow_pan_does_not_become_one_group(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(40):
        frame(number).save(tmp_path / f"in/{number:03}.jpg", quality=90)
    index_folders(tmp_path / "lib", [tmp_path / "in"], IndexSettings(model="builtin", workers=1))
    with open_library(tmp_path / "lib") as reader:
        report = find_duplicates(reader, Question(Level.NEAR))
    for group in report.groups:
        kept = int(group.keep.path.stem)
        assert all(abs(int(member.image.path.stem) - kept) <= 8 for member in group.members)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_five_hundred_frames_do_not_become_one_group(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    whole = photo("hubble_deep_field", 1000)
    for number in range(500):
        left = round(number * 1.6)  # 0.8 % of a frame's width
        whole.crop((left, 0, left + 200, 200)).save(tmp_path / f"in/{number:03}.jpg", quality=88)
    index_folders(tmp_path / "lib", [tmp_path / "in"], IndexSettings(model="builtin"))
    with open_library(tmp_path / "lib") as reader:
        report = find_duplicates(reader, Question(Level.NEAR))
    apart = [
        abs(int(member.image.path.stem) - int(group.keep.path.stem))
        for group in report.groups
        for member in group.members
    ]
    assert max(apart) <= 15  # an eighth of the picture
    assert len(report.groups) >= 500 / 31


def assert_holds(loose: DuplicateReport, strict: DuplicateReport) -> None:
    """Check that each group of the strict report lies within one of the loose."""
    sets = [{name, *members} for name, members in found(loose).items()]
    for name, members in found(strict).items():
        assert any({name, *members} <= some for some in sets)


def test_pictures_of_one_scene_take_their_copies_along(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in (0, 12):
        exif = Image.Exif()
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = f"2024:05:03 14:02:{number:02}"
        frame(number).save(tmp_path / f"in/{number}.jpg", quality=95, exif=exif)
        frame(number).resize((300, 300)).save(tmp_path / f"in/{number} small.jpg", quality=85)
    index_folders(tmp_path / "lib", [tmp_path / "in"], IndexSettings(model="builtin", workers=1))
    with open_library(tmp_path / "lib") as reader:
        near = find_duplicates(reader, Question(Level.NEAR))
        similar = find_duplicates(reader, Question(Level.SIMILAR))
    assert found(near) == {"0.jpg": {"0 small.jpg": "near"}, "12.jpg": {"12 small.jpg": "near"}}
    (group,) = similar.groups
    assert len(group.members) == 3
    assert_holds(similar, near)


def test_a_copy_in_a_scene_that_was_set_apart_from_the_kept_one_stays(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in (0, 12):
        exif = Image.Exif()
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = f"2024:05:03 14:02:{number:02}"
        frame(number).save(tmp_path / f"in/{number}.jpg", quality=95 - number, exif=exif)
    frame(12).resize((300, 300)).save(tmp_path / "in/12 small.jpg", quality=85)
    index_folders(tmp_path / "lib", [tmp_path / "in"], IndexSettings(model="builtin", workers=1))
    with open_for_writing(tmp_path / "lib", create=False) as writer:
        writer.put_apart([content_hash(tmp_path / "in" / name) for name in ("0.jpg", "12 small.jpg")])
    with open_library(tmp_path / "lib") as reader:
        assert found(find_duplicates(reader, Question(Level.SIMILAR))) == {"0.jpg": {"12.jpg": "similar"}}


def test_halves_of_a_picture_that_overlap_are_one_scene_and_neither_goes_as_a_copy(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    whole = photo("astronaut")
    width, height = whole.size
    whole.crop((0, 0, round(width * 0.8), height)).save(tmp_path / "in/left.png")
    whole.crop((round(width * 0.2), 0, width, height)).save(tmp_path / "in/right.png")
    index_folders(tmp_path / "lib", [tmp_path / "in"], IndexSettings(model="builtin", workers=1))
    with open_library(tmp_path / "lib") as reader:
        assert found(find_duplicates(reader, Question(Level.NEAR))) == {}
        (group,) = find_duplicates(reader, Question(Level.SIMILAR)).groups
    assert group.level is Level.SIMILAR
    assert "the kept one shows 75% of it" in group.members[0].reason


def test_a_file_that_is_gone_is_told_and_in_no_group(library: Path, folder: Path) -> None:
    away = folder / "chelsea.jpg"
    away.rename(folder / "hidden")
    try:
        with open_library(library) as reader:
            report = find_duplicates(reader, Question())
    finally:
        (folder / "hidden").rename(away)
    assert [(path.name, reason) for path, reason in report.unreadable] == [
        ("chelsea.jpg", "gone since it was indexed; `sightline index` takes it out")
    ]
    assert "small cat.jpg" not in found(report).get("chelsea.jpg", {})


def test_what_the_camera_made_is_not_given_up_for_a_larger_copy_that_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    photo("coffee").save(folder / "IMG_1.jpg", quality=92, exif=from_camera())
    photo("coffee").resize((960, 640)).save(folder / "upscaled.jpg", quality=95)
    assert search(folder) == {}


def test_copies_without_the_camera_data_go_for_what_the_camera_made(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    photo("coffee").save(folder / "IMG_1.jpg", quality=80, exif=from_camera())
    photo("coffee").save(folder / "sent.jpg", quality=95)
    assert search(folder) == {"IMG_1.jpg": {"sent.jpg": "near"}}


def test_of_exact_copies_the_one_with_edits_beside_it_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "edited").mkdir(parents=True)
    photo("coffee").save(folder / "IMG_1.jpg")
    shutil.copyfile(folder / "IMG_1.jpg", folder / "edited/IMG_1.jpg")
    (folder / "edited/IMG_1.xmp").write_text("<x:xmpmeta>edits</x:xmpmeta>")
    os.utime(folder / "IMG_1.jpg", (1_500_000_000, 1_500_000_000))  # the older, which would be kept else
    index_folders(tmp_path / "library", [folder], IndexSettings(model="builtin", workers=1))
    with open_library(tmp_path / "library") as reader:
        (group,) = find_duplicates(reader, Question()).groups
    assert group.keep.path == folder / "edited/IMG_1.jpg"


def test_hard_links_of_one_copy_take_its_room_once(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    photo("coffee").save(folder / "large.jpg", quality=95)
    photo("coffee").resize((300, 200)).save(folder / "small.jpg", quality=80)
    for number in range(2):
        os.link(folder / "small.jpg", folder / f"small {number}.jpg")
    index_folders(tmp_path / "library", [folder], IndexSettings(model="builtin", workers=1))
    with open_library(tmp_path / "library") as reader:
        report = find_duplicates(reader, Question())
    assert (report.members, report.freed) == (3, (folder / "small.jpg").stat().st_size)


def test_a_symbolic_link_is_no_copy(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    photo("coffee").save(folder / "a long name.jpg", quality=80)
    (folder / "a.jpg").symlink_to(folder / "a long name.jpg")
    assert search(folder) == {}


@pytest.mark.parametrize("kind", ["tif", "png", "bmp"])
def test_a_raw_negative_is_kept_for_what_was_developed_from_it(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("rawpy", reason="the raw extra is not installed")
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "IMG_1.dng").write_bytes(negative(photo("coffee", 960)))
    open_upright(folder / "IMG_1.dng")[0].save(folder / f"IMG_1.{kind}")
    assert search(folder) == {"IMG_1.dng": {f"IMG_1.{kind}": "near"}}


def test_a_raw_negative_is_not_given_up_for_a_copy_in_a_protected_folder(tmp_path: Path) -> None:
    pytest.importorskip("rawpy", reason="the raw extra is not installed")
    folder = tmp_path / "photos"
    (folder / "albums").mkdir(parents=True)
    (folder / "IMG_1.dng").write_bytes(negative(photo("coffee", 960)))
    open_upright(folder / "IMG_1.dng")[0].save(folder / "albums/IMG_1.tif")
    assert search(folder, Question(protected=(folder / "albums",))) == {}


@pytest.mark.parametrize(("cut", "flat"), [("png", "bmp"), ("webp", "jpg")])
def test_a_cut_out_is_kept_for_its_copy_on_white(cut: str, flat: str, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    cut_out(photo("coffee", 600)).save(folder / f"cut.{cut}", quality=50)
    flattened(cut_out(photo("coffee", 600))).save(folder / f"flat.{flat}", quality=95)
    assert search(folder) == {f"cut.{cut}": {f"flat.{flat}": "near"}}


def test_a_cut_out_goes_for_a_larger_cut_out(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    cut_out(photo("coffee", 600)).save(folder / "large.png")
    cut_out(photo("coffee", 600)).resize((300, 200)).save(folder / "small.png")
    assert search(folder) == {"large.png": {"small.png": "near"}}


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_a_deep_master_is_kept_for_its_copy_of_eight_bits(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    light = cv2.GaussianBlur(np.asarray(photo("coffee", 600))[:, :, ::-1].astype(np.float32), (0, 0), 2)
    deep = np.round(light * 4).astype(np.uint16) * 64  # ten bits, which pack well
    packed = [cv2.IMWRITE_TIFF_COMPRESSION, 8] if kind == "tif" else [cv2.IMWRITE_PNG_COMPRESSION, 9]
    assert cv2.imwrite(str(folder / f"master.{kind}"), deep, packed)
    Image.fromarray((deep[:, :, ::-1] >> 8).astype(np.uint8)).save(folder / "copy.tif")
    assert search(folder) == {f"master.{kind}": {"copy.tif": "near"}}


def test_a_deep_heic_is_kept_for_the_same_eight_bits(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    deep, size = np.asarray(photo("coffee", 600)).astype(np.uint16) * 257, photo("coffee", 600).size
    pillow_heif.from_bytes(mode="RGB;16", size=size, data=deep.tobytes()).save(folder / "deep.heic")
    open_upright(folder / "deep.heic")[0].save(folder / "copy.png")
    assert search(folder) == {"deep.heic": {"copy.png": "pixel"}}


@pytest.mark.parametrize("told_apart", [True, False])
def test_a_file_that_a_linked_folder_leads_to_as_well_is_no_copy_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told_apart: bool
) -> None:
    disk, linked = tmp_path / "disk", tmp_path / "root/y2023"
    for folder in (disk, linked.parent):
        folder.mkdir()
    linked.symlink_to(disk)
    photo("coffee").save(disk / "a.jpg")
    index_folders(tmp_path / "library", [disk, linked.parent], IndexSettings(model="builtin", workers=1))
    if not told_apart:  # as on file systems without numbers for files
        for module in ("search.duplicates.finder", "indexer.actions.checks"):
            monkeypatch.setattr(f"{module}.identity_of", lambda *_, **__: None)
    with open_library(tmp_path / "library") as reader:
        report = find_duplicates(reader, Question())
    assert (report.files, report.groups) == (2, ())


def test_a_copy_that_a_linked_folder_leads_to_as_well_is_a_member_once(tmp_path: Path) -> None:
    disk, root = tmp_path / "disk", tmp_path / "root"
    for folder in (disk, root):
        folder.mkdir()
    (root / "y2023").symlink_to(disk)
    photo("coffee").save(root / "kept.jpg", quality=95)
    photo("coffee").resize((300, 200)).save(disk / "small.jpg", quality=80)
    index_folders(tmp_path / "library", [disk, root], IndexSettings(model="builtin", workers=1))
    with open_library(tmp_path / "library") as reader:
        (group,) = find_duplicates(reader, Question()).groups
    assert [member.image.path.name for member in group.members] == ["small.jpg"]


@pytest.mark.parametrize("option", ["reference", "protected"])
def test_what_the_archive_holds_is_found_beside_a_copy_that_tells_more(option: str, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for name in ("archive", "inbox"):
        (folder / name).mkdir(parents=True)
    photo("coffee").save(folder / "archive/known.jpg", quality=90)
    photo("coffee").resize((300, 200)).save(folder / "inbox/small.jpg", quality=85)
    photo("coffee").save(folder / "inbox/told.jpg", quality=90, exif=from_camera())
    archive = folder / "archive"
    question = Question(reference=archive) if option == "reference" else Question(protected=(archive,))
    assert search(folder, question) == {"known.jpg": {"small.jpg": "near"}}
