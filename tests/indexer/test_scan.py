import builtins
import contextlib
import errno
import os
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from indexer.records import FoundFile, Unreadable
from indexer.scan import OutOfReach, ScanRules, scan

from .rights import ordinary_user

JPEG_HEAD = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def write(relative: str, content: bytes = JPEG_HEAD) -> Path:
        path = tmp_path / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


def names(root: Path, rules: ScanRules | None = None) -> list[str]:
    return sorted(f.relative for f in scan(root, rules or ScanRules()) if isinstance(f, FoundFile))


def test_found_file_carries_size_and_time_of_change(tmp_path: Path, make: Make) -> None:
    path = make("a/b.jpg")
    os.utime(path, ns=(5, 1_600_000_000_123_456_000))
    assert list(scan(tmp_path, ScanRules())) == [
        FoundFile(tmp_path, "a/b.jpg", len(JPEG_HEAD), path.stat().st_mtime_ns)
    ]


def test_every_image_extension_is_found_in_any_case(tmp_path: Path, make: Make) -> None:
    kinds = "jpg JPEG png WebP gif apng bmp TIF tiff avif HEIC heif ico pbm pgm ppm pnm jp2 j2k".split()  # noqa: SIM905
    for kind in kinds:
        make(f"x.{kind}", b"")
    assert names(tmp_path) == sorted(f"x.{kind}" for kind in kinds)


def test_image_is_recognised_by_content_when_its_name_does_not_tell(tmp_path: Path, make: Make) -> None:
    for name in ("photo", "photo.txt", "photo.dat", "photo.jpg_large"):
        make(name)
    make("letter.txt", b"Dear Sir, P1 is not a picture")
    make("data.bin", b"\0" * 100)
    make("tiny", b"P")
    assert names(tmp_path) == ["photo", "photo.dat", "photo.jpg_large", "photo.txt"]


def test_hidden_and_junk_folders_are_left_out(tmp_path: Path, make: Make) -> None:
    junk = ["@eaDir", "node_modules", ".git", "$RECYCLE.BIN", ".Trash-1000", "#recycle"]
    junk += ["System Volume Information", "lost+found", ".sightline", ".hidden"]
    for folder in junk:
        make(f"{folder}/deep/x.jpg")
    make(".hidden.jpg")
    make("seen.jpg")
    assert names(tmp_path) == ["seen.jpg"]


def test_include_hidden_adds_hidden_but_neither_junk_nor_the_library(tmp_path: Path, make: Make) -> None:
    for folder in (".hidden", ".git", ".Trash-1000", ".sightline", "@eaDir"):
        make(f"{folder}/x.jpg")
    assert names(tmp_path, ScanRules(include_hidden=True)) == [".hidden/x.jpg"]


def test_hidden_root_is_scanned_when_it_is_named(tmp_path: Path, make: Make) -> None:
    make(".photos/x.jpg")
    assert names(tmp_path / ".photos") == ["x.jpg"]


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("drafts", ["2019/a.jpg", "2019/b.PNG", "c.png"]),
        ("drafts/", ["2019/a.jpg", "2019/b.PNG", "c.png"]),
        ("*.png", ["2019/a.jpg", "2019/drafts/d.jpg"]),
        ("2019/*", ["c.png"]),
        ("./2019", ["c.png"]),
        ("2019/dra*/d.jpg", ["2019/a.jpg", "2019/b.PNG", "c.png"]),
        ("nothing", ["2019/a.jpg", "2019/b.PNG", "2019/drafts/d.jpg", "c.png"]),
    ],
)
def test_exclude_matches_names_and_relative_paths(
    tmp_path: Path, make: Make, pattern: str, left: list[str]
) -> None:
    for name in ("2019/a.jpg", "2019/b.PNG", "2019/drafts/d.jpg", "c.png"):
        make(name)
    assert names(tmp_path, ScanRules(exclude=(pattern,))) == left


@pytest.mark.skipif(os.name == "nt", reason="there a backslash cannot be part of a name")
@pytest.mark.parametrize(("platform", "left"), [("win32", ["x.jpg"]), ("linux", ["2019/raw/a.jpg", "x.jpg"])])
@pytest.mark.parametrize("pattern", ["2019\\raw", "2019\\", ".\\2019"])
def test_a_backslash_parts_the_folders_of_a_pattern_on_windows_only(
    tmp_path: Path, make: Make, pattern: str, platform: str, left: list[str]
) -> None:
    make("2019/raw/a.jpg")
    make("x.jpg")
    found = scan(tmp_path, ScanRules(exclude=(pattern,)), platform=platform)
    assert sorted(file.relative for file in found if isinstance(file, FoundFile)) == left


def test_a_scan_can_be_stopped_while_it_meets_no_image(tmp_path: Path, make: Make) -> None:
    for number in range(20):
        make(f"note {number}", b"no image")
    asked: list[bool] = []
    assert list(scan(tmp_path, ScanRules(), stopped=lambda: asked.append(True) or len(asked) > 5)) == []
    assert len(asked) < 10


def test_exclude_takes_an_absolute_path(tmp_path: Path, make: Make) -> None:
    make("a/x.jpg")
    make("b/x.jpg")
    assert names(tmp_path, ScanRules(exclude=(str(tmp_path / "a"),))) == ["b/x.jpg"]


@pytest.mark.parametrize(
    ("said_of", "pattern", "left"),
    [
        ("..", "photos/2019/raw/*", ["2019/a.png", "2019/b.jpg", "raw/d.jpg"]),
        ("..", "photos/raw", ["2019/a.png", "2019/b.jpg", "2019/raw/c.jpg"]),
        ("..", "2019/*", ["2019/a.png", "2019/b.jpg", "2019/raw/c.jpg", "raw/d.jpg"]),
        ("..", "raw", ["2019/a.png", "2019/b.jpg"]),
        ("../else", "*.jpg", ["2019/a.png", "2019/b.jpg", "2019/raw/c.jpg", "raw/d.jpg"]),
        ("2019", "raw/*", ["2019/a.png", "2019/b.jpg", "raw/d.jpg"]),
        ("2019", "*.jpg", ["2019/a.png", "raw/d.jpg"]),
        ("2019", "2019", ["2019/a.png", "2019/b.jpg", "2019/raw/c.jpg", "raw/d.jpg"]),
        ("..", "photos/", []),
        ("..", "photos", []),
        ("../..", "*/photos", []),
    ],
)
def test_a_pattern_holds_in_the_folder_it_was_said_of(
    tmp_path: Path, make: Make, said_of: str, pattern: str, left: list[str]
) -> None:
    for name in ("2019/a.png", "2019/b.jpg", "2019/raw/c.jpg", "raw/d.jpg"):
        make(f"photos/{name}")
    folder = Path(os.path.normpath(tmp_path / "photos" / said_of))
    assert names(tmp_path / "photos", ScanRules(exclude_in=((folder, pattern),))) == left


def test_excluded_folder_is_not_entered(tmp_path: Path, make: Make) -> None:
    make("closed/x.jpg")
    (tmp_path / "closed").chmod(0)
    try:
        assert list(scan(tmp_path, ScanRules(exclude=("closed",)))) == []
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_links_that_lead_in_circles_are_survived(tmp_path: Path, make: Make) -> None:
    make("photos/a/x.jpg")
    make("neighbour.jpg")
    root = tmp_path / "photos"
    (root / "a/up").symlink_to(root)
    (root / "a/parent").symlink_to(tmp_path)
    (root / "self").symlink_to(root / "self")
    (root / "gone").symlink_to(root / "nothing")
    assert names(root) == ["a/x.jpg"]


def test_linked_folder_is_scanned_once_and_by_its_own_path(tmp_path: Path, make: Make) -> None:
    make("root/real/x.jpg")
    make("elsewhere/y.jpg")
    (tmp_path / "root/0link").symlink_to(tmp_path / "root/real")
    (tmp_path / "root/out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/out2").symlink_to(tmp_path / "elsewhere")
    found = names(tmp_path / "root")
    assert found in (["out/y.jpg", "real/x.jpg"], ["out2/y.jpg", "real/x.jpg"])


def test_linked_file_is_found(tmp_path: Path, make: Make) -> None:
    target = make("elsewhere/y.jpg")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/link.jpg").symlink_to(target)
    assert names(tmp_path / "root") == ["link.jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such file names there")
def test_strange_names_survive(tmp_path: Path, make: Make) -> None:
    strange = ["\udcff\udcfe.jpg", "two\nlines.jpg", " spaces .jpg", "🐕 Hündchen.jpg", "-rf.jpg", "*?[.jpg"]
    for name in strange:
        make(name)
    found = {f.relative: f.path.read_bytes() for f in scan(tmp_path, ScanRules()) if isinstance(f, FoundFile)}
    assert found == dict.fromkeys(strange, JPEG_HEAD)


@pytest.mark.skipif(sys.platform == "win32", reason="the owner may read everything there")
def test_unreadable_folder_is_reported_and_the_rest_is_scanned(tmp_path: Path, make: Make) -> None:
    make("closed/x.jpg")
    make("open/x.jpg")
    (tmp_path / "closed").chmod(0)
    try:
        with ordinary_user():
            found = list(scan(tmp_path, ScanRules()))
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert Unreadable(tmp_path / "closed", "permission denied") in found
    assert len(found) == 2


def test_folder_that_fails_while_it_is_listed_is_reported(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("broken/x.jpg")
    make("fine/x.jpg")
    real = os.scandir

    def failing(path: str) -> object:
        if str(path).endswith("broken"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", failing)
    found = list(scan(tmp_path, ScanRules()))
    assert Unreadable(tmp_path / "broken", "permission denied") in found
    assert [f.relative for f in found if isinstance(f, FoundFile)] == ["fine/x.jpg"]


def test_missing_root_is_unreadable(tmp_path: Path) -> None:
    assert list(scan(tmp_path / "none", ScanRules())) == [Unreadable(tmp_path / "none", "no such folder")]


def test_raw_beside_its_jpeg_is_one_picture(tmp_path: Path, make: Make) -> None:
    for name in (
        "IMG_1.CR2",
        "img_1.JPG",
        "IMG_2.cr2",
        "sub/IMG_2.jpg",
        "IMG_3.NEF",
        "IMG_3.heic",
        "IMG_3.png",
    ):
        make(name)
    assert names(tmp_path) == ["IMG_2.cr2", "IMG_3.heic", "IMG_3.png", "img_1.JPG", "sub/IMG_2.jpg"]


def test_a_raw_photo_is_given_beside_a_link_called_like_its_jpeg_that_cannot_be_followed(
    tmp_path: Path, make: Make
) -> None:
    make("x.cr2")
    (tmp_path / "x.jpg").symlink_to("n" * 300)
    assert names(tmp_path) == ["x.cr2"]


def test_raw_beside_its_jpeg_is_one_picture_in_a_folder_below_too(tmp_path: Path, make: Make) -> None:
    make("2019/x.cr2")
    make("2019/x.jpg")
    assert names(tmp_path) == ["2019/x.jpg"]


def test_a_raw_photo_is_given_when_its_jpeg_is_excluded(tmp_path: Path, make: Make) -> None:
    make("IMG_1.jpg")
    make("IMG_1.CR2")
    assert names(tmp_path, ScanRules(exclude=("*.jpg",))) == ["IMG_1.CR2"]


def test_a_raw_photo_is_given_beside_an_empty_jpeg(tmp_path: Path, make: Make) -> None:
    make("IMG_1.jpg", b"")
    make("IMG_1.CR2")
    assert names(tmp_path) == ["IMG_1.CR2", "IMG_1.jpg"]


def test_a_raw_photo_is_given_beside_a_folder_called_like_its_jpeg(tmp_path: Path, make: Make) -> None:
    make("IMG_1.jpg/inside.png")
    make("IMG_1.CR2")
    assert names(tmp_path) == ["IMG_1.CR2", "IMG_1.jpg/inside.png"]


def test_raw_can_be_left_out(tmp_path: Path, make: Make) -> None:
    make("IMG_2.cr2")
    assert names(tmp_path, ScanRules(raw=False)) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders there")
def test_pipe_named_like_an_image_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe")
    assert names(tmp_path) == []


def test_empty_image_file_is_found_so_that_it_can_be_reported(tmp_path: Path, make: Make) -> None:
    make("empty.jpg", b"")
    assert names(tmp_path) == ["empty.jpg"]


def test_first_file_is_given_before_other_folders_are_listed(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        make(f"{number}/x.jpg")
    listed: list[str] = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or real(path))
    with contextlib.closing(scan(tmp_path, ScanRules())) as stream:
        next(stream)
    assert len(listed) == 2


def test_a_folder_is_listed_once_and_its_images_are_neither_opened_nor_looked_up_by_path(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(500):
        make(f"{number % 5}/{number}.jpg")
    calls: Counter[str] = Counter()

    def counted(name: str, real: Callable[..., Any], *given: Any, **named: Any) -> Any:
        calls[name] += 1
        return real(*given, **named)

    for module, name in ((os, "scandir"), (os, "stat"), (os, "lstat"), (os, "open"), (builtins, "open")):
        monkeypatch.setattr(module, name, partial(counted, name, getattr(module, name)))
    found = list(scan(tmp_path, ScanRules(exclude=("*.bak", "drafts/*"))))
    monkeypatch.undo()
    assert (len(found), calls.pop("scandir")) == (500, 6)
    assert calls.total() < 100  # of the folders, and of those around them


def test_saved_image_of_each_format_is_recognised_without_its_extension(tmp_path: Path) -> None:
    kinds = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "ICO", "PPM", "JPEG2000"]
    for kind in kinds:
        Image.new("RGB", (32, 32), "red").save(tmp_path / kind, kind)
    assert names(tmp_path) == sorted(kinds)


def test_what_a_drive_takes_away_while_it_is_listed_is_not_said_to_be_gone(
    tmp_path: Path, make: Make
) -> None:
    for nth in range(5):
        make(f"root/{nth}/x.jpg")
    listing = scan(tmp_path / "root", ScanRules())
    next(listing)
    (tmp_path / "root").rename(tmp_path / "unplugged")
    assert list(listing) == [Unreadable(tmp_path / "root", "gone while it was being listed")]


def test_file_whose_facts_cannot_be_had_costs_itself_only(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.jpg", "bad.jpg", "bad.dat", "c.jpg"):
        make(name)

    class Entry:
        def __init__(self, entry: os.DirEntry[str]) -> None:
            self._entry = entry

        def __getattr__(self, name: str) -> object:
            return getattr(self._entry, name)

        def stat(self) -> os.stat_result:
            if self._entry.name.startswith("bad"):
                raise OSError(errno.EIO, "Input/output error")
            return self._entry.stat()

    listing = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: contextlib.nullcontext(map(Entry, listing(path))))
    found = list(scan(tmp_path, ScanRules()))
    assert {item for item in found if not isinstance(item, FoundFile)} == {
        Unreadable(tmp_path / "bad.jpg", "input/output error"),
        OutOfReach(tmp_path, "bad.dat", "input/output error"),
    }
    assert sorted(item.relative for item in found if isinstance(item, FoundFile)) == ["a.jpg", "c.jpg"]


def test_file_that_goes_while_its_folder_is_listed_is_gone(tmp_path: Path, make: Make) -> None:
    file, asked = make("a.jpg"), Counter[str]()

    def stopped() -> bool:
        asked["before the listing" if not asked else "at the file"] += 1
        if asked["at the file"]:
            file.unlink(missing_ok=True)
        return False

    assert list(scan(tmp_path, ScanRules(), stopped=stopped)) == []


def test_link_to_what_is_not_there_is_given_apart(tmp_path: Path, make: Make) -> None:
    make("x.jpg")
    for name in ("album", "notes.txt"):
        (tmp_path / name).symlink_to(tmp_path / "away" / name)
    found = {item.path for item in scan(tmp_path, ScanRules()) if isinstance(item, OutOfReach)}
    assert found == {tmp_path / "album", tmp_path / "notes.txt"}


def test_folders_apart_are_not_entered(tmp_path: Path, make: Make) -> None:
    for name in ("x.jpg", "apart/y.jpg", "other/z.jpg"):
        make(name)
    (tmp_path / "link").symlink_to(tmp_path / "apart")
    found = scan(tmp_path, ScanRules(), apart=[tmp_path / "apart"])
    assert sorted(item.relative for item in found if isinstance(item, FoundFile)) == ["other/z.jpg", "x.jpg"]


@pytest.mark.parametrize("pattern", ["link/a", "link/a/*", "link/[a]", "inner/away", "link/away/*", "l?nk/a"])
def test_exclude_takes_an_absolute_path_through_links(tmp_path: Path, make: Make, pattern: str) -> None:
    for name in ("real [1]/a/x.jpg", "real [1]/b.jpg", "away/y.jpg"):
        make(name)
    (tmp_path / "link").symlink_to(tmp_path / "real [1]")
    (tmp_path / "inner").symlink_to(tmp_path / "link")
    (tmp_path / "real [1]" / "away").symlink_to(tmp_path / "away")
    rules = ScanRules(exclude=(str(tmp_path / pattern),))
    found = scan(tmp_path / "real [1]", rules, typed=tmp_path / "link")
    left = sorted(item.relative for item in found if isinstance(item, FoundFile))
    assert left == (["a/x.jpg", "b.jpg"] if "away" in pattern else ["away/y.jpg", "b.jpg"])


def test_linked_folder_that_cannot_be_reached_is_reported(tmp_path: Path, make: Make) -> None:
    make("x.jpg")
    (tmp_path / "link").symlink_to("n" * 300)
    [found] = [found for found in scan(tmp_path, ScanRules()) if isinstance(found, Unreadable)]
    assert (found.path, found.reason) == (tmp_path / "link", "file name too long")


def test_linked_folder_that_is_left_out_need_not_be_reached(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("n" * 300)
    assert list(scan(tmp_path, ScanRules(exclude=("link",)))) == []
