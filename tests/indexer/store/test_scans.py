"""Scans over drives that come and go, and over folders that were emptied."""

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from indexer.paths import identity_of
from indexer.pipeline import IndexSettings, Progress, index_folders
from indexer.records import IndexSummary
from indexer.store.library import open_library

from ...pictures import make_picture, make_pictures
from .test_disk import mounted

SETTINGS = IndexSettings(model="builtin", device="cpu", workers=1, batch_size=1)
BIND, ANY_DRIVE = ("--bind",), ("-t", "tmpfs", "tmpfs")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return tmp_path / "library"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    make_picture(tmp_path / "photos" / "own.png", 60)
    return tmp_path / "photos"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Give what is on a drive that `mounted` binds to a folder: it has that folder's device number."""
    make_pictures(tmp_path / "disk", 3)
    return tmp_path / "disk"


@pytest.fixture
def later() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def run(
    library: Path, folders: Sequence[Path] | None, on_progress: Callable[[Progress], None] = lambda _: None
) -> IndexSummary:
    return index_folders(library, folders, SETTINGS, on_progress=on_progress)


def files_below(library: Path, folder: Path) -> list[str]:
    with open_library(library) as reader:
        ids, _ = reader.embeddings(reader.default_encoder())
        paths = [image.path for files in reader.images(ids.tolist()).values() for image in files]
    return sorted(path.relative_to(folder).as_posix() for path in paths if path.is_relative_to(folder))


def test_a_drive_that_is_mounted_during_a_run_keeps_its_images(
    library: Path, photos: Path, disk: Path, later: ExitStack
) -> None:
    drive = photos.with_name("drive")
    with mounted(drive, *BIND, str(disk)):
        run(library, [drive, photos])
    make_picture(photos / "new.png", 61)

    def mount_once(_: Progress) -> None:
        if not list(drive.iterdir()):
            later.enter_context(mounted(drive, *BIND, str(disk)))

    run(library, [drive, photos], mount_once)
    assert len(list(drive.iterdir())) == len(files_below(library, drive)) == 3


def test_a_drive_inside_another_root_keeps_its_images_however_often_it_is_away(
    library: Path, photos: Path
) -> None:
    drive = photos / "drive"
    with mounted(drive, *ANY_DRIVE):
        make_pictures(drive, 3)
        run(library, [photos, drive])
    run(library, [photos, drive])
    assert run(library, [photos, drive]).removed == 0


def test_a_root_of_which_a_part_was_missed_is_not_taken_for_emptied(library: Path, photos: Path) -> None:
    make_pictures(photos.with_name("linked"), 1)
    (photos / "link").symlink_to(photos.with_name("linked"))
    run(library, [photos])
    photos.with_name("linked").rename(photos.with_name("away"))
    assert run(library, [photos]).unreadable
    (photos / "link").unlink()
    (photos / "own.png").unlink()
    assert run(library, [photos]).removed == 0


def test_what_an_interrupted_run_found_on_a_drive_stays_when_it_is_away(library: Path, photos: Path) -> None:
    drive = photos / "drive"
    run(library, [photos])
    with mounted(drive, *ANY_DRIVE):
        make_pictures(drive, 6)
        stop = threading.Event()
        index_folders(
            library, [drive], SETTINGS, on_progress=lambda told: told.indexed >= 2 and stop.set(), stop=stop
        )
    taken_in = files_below(library, drive)
    assert taken_in
    run(library, [drive])
    assert files_below(library, drive) == taken_in


@pytest.mark.parametrize("indexed", [".", "2020"])
def test_an_empty_drive_at_the_mount_point_of_another_removes_nothing(
    library: Path, tmp_path: Path, indexed: str
) -> None:
    folder = tmp_path / "drive" / indexed
    with mounted(tmp_path / "drive", *ANY_DRIVE):
        make_pictures(folder, 3)
        run(library, [folder])
        numbers = identity_of(folder)
    with mounted(tmp_path / "drive", *ANY_DRIVE):
        folder.mkdir(exist_ok=True)
        if identity_of(folder) != numbers:
            pytest.skip("the other drive has other numbers")
        assert run(library, [folder]).removed == 0


def test_an_empty_drive_that_is_mounted_over_a_folder_removes_nothing(library: Path, photos: Path) -> None:
    make_pictures(photos / "2020", 2)
    run(library, [photos])
    with mounted(photos / "2020", *ANY_DRIVE):
        assert run(library, [photos / "2020"]).removed == 0


def test_an_emptied_drive_that_holds_the_library_loses_its_images(tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    with mounted(drive, *ANY_DRIVE):
        make_pictures(drive, 3)
        run(drive / ".sightline", [drive])
        for picture in drive.glob("*.png"):
            picture.unlink()
        assert run(drive / ".sightline", [drive]).removed == 3


def test_copies_of_pictures_on_a_drive_with_a_lasting_mount_point_do_not_replace_them(
    library: Path, photos: Path, disk: Path
) -> None:
    drive = photos.with_name("drive")
    with mounted(drive, *BIND, str(disk)):
        run(library, [drive, photos])
    shutil.copytree(disk, photos, dirs_exist_ok=True)
    run(library, [drive, photos])
    assert len(files_below(library, drive)) == 3


def test_copies_of_pictures_on_a_drive_do_not_replace_them_while_another_is_there(
    library: Path, photos: Path
) -> None:
    drive = photos.with_name("drive")
    with mounted(drive, *ANY_DRIVE):
        make_pictures(drive / "2020", 3)
        run(library, [drive / "2020", photos])
        shutil.copytree(drive / "2020", photos, dirs_exist_ok=True)
    with mounted(drive, *ANY_DRIVE):
        run(library, None)
    assert len(files_below(library, drive)) == 3


@pytest.mark.parametrize("way", ["bind", "link"])
def test_two_roots_that_have_become_one_folder_become_one(
    library: Path, disk: Path, later: ExitStack, way: str
) -> None:
    """So an older program left them, which told folders apart by their names only."""
    other = disk.with_name("other")
    shutil.copytree(disk, other)
    run(library, [disk, other])
    shutil.rmtree(other)
    if way == "bind":
        later.enter_context(mounted(other, *BIND, str(disk)))
    else:
        other.symlink_to(disk)
    min(disk.iterdir()).unlink()
    run(library, None)
    assert (len(files_below(library, disk)), files_below(library, other)) == (2, [])
