"""Folders that options of `duplicates` name are taken as people spell them, or refused."""

from pathlib import Path

import pytest
from PIL import Image
from skimage import data

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
