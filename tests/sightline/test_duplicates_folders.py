"""Folders that options of `duplicates` name are taken as people spell them, or refused."""

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from indexer.store.names import absolute

from .conftest import Done, Run


@pytest.fixture
def album(run: Run, model: Path, tmp_path: Path) -> Path:
    """Give a library in which sub/copy.jpg is a copy of photo.jpg, and a link to sub beside it."""
    album = tmp_path / "album"
    (album / "sub").mkdir(parents=True)
    for path in ("photo.jpg", "sub/copy.jpg"):
        Image.fromarray(data.coffee()).save(album / path, quality=90)
    (tmp_path / "link").symlink_to(album / "sub")
    assert run("index", album, "--model", model, cwd=album).returncode == 0
    return album


def listed(run: Run, album: Path, *options: str) -> Done:
    return run("duplicates", "--level", "exact", "--paths", *options, cwd=album)


@pytest.mark.parametrize("spelt", ["sub", "../album/sub", "sub/../sub", "../link"])
def test_protecting_works_however_the_folder_is_spelt(run: Run, album: Path, spelt: str):
    done = listed(run, album, "--protect", spelt)
    assert [Path(line).name for line in done.stdout.decode().splitlines()] == ["photo.jpg"]


@pytest.mark.parametrize("option", ["--protect", "--reference", "--in"])
def test_a_misspelt_folder_is_refused(run: Run, album: Path, option: str):
    done = listed(run, album, option, "subb")
    assert done.returncode == 2
    assert b"spelt" in done.stderr


def test_protecting_what_is_not_in_the_library_is_refused(run: Run, album: Path, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    done = listed(run, album, "--protect", str(tmp_path / "elsewhere"))
    assert done.returncode == 2
    assert b"is not in the library" in done.stderr


def test_a_folder_is_protected_by_any_name_that_the_file_system_takes(
    run: Run, album: Path, monkeypatch: pytest.MonkeyPatch
):
    for module in ("indexer.store.names", "search.duplicates.keeping", "search.places"):
        monkeypatch.setattr(f"{module}.real", absolute)  # now nothing in the text tells that the two are one
    done = listed(run, album, "--protect", "../link")
    assert [Path(line).name for line in done.stdout.decode().splitlines()] == ["photo.jpg"]


@pytest.mark.parametrize("option", ["--protect", "--reference"])
def test_a_folder_without_a_picture_of_the_library_is_refused(run: Run, album: Path, option: str):
    (album / "empty").mkdir()
    done = listed(run, album, option, "empty")
    assert done.returncode == 2
    [line] = done.stderr.decode().splitlines()
    assert "empty: the library has no picture there" in line


def test_a_folder_of_that_name_elsewhere_does_not_count(run: Run, album: Path, tmp_path: Path):
    (tmp_path / "sub").mkdir()
    done = run("duplicates", "--library", album, "--protect", "sub", cwd=tmp_path)
    assert done.returncode == 2


def test_a_misspelt_folder_is_refused_beside_a_reference(run: Run, album: Path):
    done = listed(run, album, "--in", "suub", "--reference", "sub")
    assert done.returncode == 2
    assert b"--in suub" in done.stderr


def test_what_is_in_the_reference_goes_although_an_older_copy_is_protected(run: Run, album: Path):
    (album / "keep").mkdir()
    copy = shutil.copy2(album / "sub/copy.jpg", album / "keep/copy.jpg")
    os.utime(copy, (1_000_000_000, 1_000_000_000))
    assert run("index", album, cwd=album).returncode == 0
    done = listed(run, album, "--reference", "sub", "--protect", "keep")
    assert done.stdout.decode().splitlines() == [str(album / "photo.jpg")]


def test_a_reference_counts_beside_the_folder_asked_about(run: Run, album: Path):
    (album / "new").mkdir()
    shutil.copy2(album / "photo.jpg", album / "new/again.jpg")
    assert run("index", album, cwd=album).returncode == 0
    done = listed(run, album, "--reference", "sub", "--in", "new")
    assert done.stdout.decode().splitlines() == [str(album / "new/again.jpg")]


@pytest.fixture
def linked(run: Run, album: Path) -> Path:
    """Give a link within the library to its folder sub, in which two files are the same."""
    shutil.copy2(album / "sub/copy.jpg", album / "sub/again.jpg")
    (album / "fav").symlink_to("sub")
    assert run("index", album, cwd=album).returncode == 0
    return album / "fav"


def test_a_link_to_a_folder_of_the_library_limits_what_is_looked_at(run: Run, album: Path, linked: Path):
    done = listed(run, album, "--in", "fav")
    assert [Path(line).parent.name for line in done.stdout.decode().splitlines()] == ["sub"]


def test_a_list_of_what_to_keep_is_made_of_a_linked_folder(run: Run, album: Path, linked: Path):
    done = run("dedup-list", "--level", "exact", "--in", "fav", cwd=album)
    assert [Path(line).parent.name for line in done.stdout.decode().splitlines()] == ["sub"]


def test_a_search_in_a_linked_folder_finds_its_files(run: Run, album: Path, linked: Path):
    done = run("search", "coffee", "--in", "fav", "--paths", cwd=album)
    assert {Path(line).parent.name for line in done.stdout.decode().splitlines()} == {"sub"}


def test_a_search_finds_what_only_a_link_leads_to(run: Run, album: Path, tmp_path: Path):
    (tmp_path / "outside").mkdir()
    shutil.copy2(album / "photo.jpg", tmp_path / "outside/far.jpg")
    (album / "far").symlink_to(tmp_path / "outside")
    assert run("index", album, cwd=album).returncode == 0
    done = run("search", "coffee", "--in", "far", "--paths", cwd=album)
    assert done.stdout.decode().splitlines() == [str(album / "far/far.jpg")]


def test_a_reference_may_be_named_through_a_link(run: Run, album: Path):
    done = listed(run, album, "--reference", "../link")
    assert [Path(line).name for line in done.stdout.decode().splitlines()] == ["photo.jpg"]


def test_scenes_are_not_deleted_for_good(run: Run, album: Path):
    done = run("duplicates", "--level", "similar", "--apply", "delete", "--yes", cwd=album)
    assert done.returncode == 2
    assert b"--apply trash" in done.stderr


def test_hard_links_are_told_take_no_room_and_are_not_found_again(run: Run, album: Path):
    assert run("duplicates", "--apply", "hardlink", cwd=album).returncode == 0
    assert run("index", album, cwd=album).returncode == 0
    done = run("duplicates", cwd=album)
    assert done.returncode == 0
    assert b"the same file by another name" in done.stdout
    assert b"they take 0 B" in done.stderr


@pytest.fixture(params=["disk", "a disk of a long name"])  # its paths are the shorter, or the longer ones
def twice(request: pytest.FixtureRequest, run: Run, model: Path, tmp_path: Path) -> Path:
    """Give a library that reaches one picture's only file by two paths."""
    disk, root = tmp_path / request.param, tmp_path / "root"
    for folder in (disk, root):
        folder.mkdir()
    Image.fromarray(data.coffee()).save(disk / "a.jpg")
    (root / "y2023").symlink_to(disk)
    place = root / ".sightline"
    assert run("index", root, disk, "--library", place, "--model", model).returncode == 0
    return root


def test_the_only_file_of_a_picture_is_not_listed_to_go(run: Run, twice: Path):
    assert run("duplicates", "--paths", cwd=twice).stdout == b""


def test_a_copy_that_goes_is_not_listed_to_keep_by_its_other_path(run: Run, twice: Path):
    (twice / "y2023").joinpath("b.jpg").write_bytes((twice / "y2023/a.jpg").read_bytes())
    assert run("index", twice, (twice / "y2023").resolve(), cwd=twice).returncode == 0
    kept, dropped = (run("dedup-list", *options, cwd=twice).stdout for options in ((), ("--drop",)))
    assert [len(listed.splitlines()) for listed in (kept, dropped)] == [1, 1]
    assert Path(os.fsdecode(kept.strip())).name != Path(os.fsdecode(dropped.strip())).name


def test_the_only_file_of_a_picture_is_listed_to_keep_once(run: Run, twice: Path):
    done = run("dedup-list", cwd=twice)
    assert len(done.stdout.splitlines()) == 1
    assert b"left out: 1 further path to files that are listed" in done.stderr
