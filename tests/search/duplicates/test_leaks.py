"""What leaks is found, however many pictures of its own side are nearer."""

from pathlib import Path

import pytest
from PIL import ExifTags, Image

from indexer.pipeline import IndexSettings, index_folders
from indexer.store.library import open_library
from search.duplicates import candidates
from search.duplicates.leaks import Leak, LeakReport, find_leaks, read_split
from search.duplicates.records import Evidence, Level
from search.duplicates.sides import read_side

from .photos import photo
from .searching import from_camera
from .test_records import image

NEIGHBOURS = 4


@pytest.mark.parametrize("swapped", [False, True])
def test_a_frame_that_leaks_is_found_behind_all_the_others_of_its_sequence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swapped: bool
) -> None:
    monkeypatch.setattr(candidates, "HASH_NEIGHBOURS_MAX", NEIGHBOURS)
    monkeypatch.setattr(candidates, "SMALL_NEIGHBOURS", NEIGHBOURS)
    many, one = tmp_path / "many", tmp_path / "one"
    for folder in (many, one):
        folder.mkdir()
    for number in range(3 * NEIGHBOURS):
        photo("coffee", 300).save(many / f"{number}.jpg", quality=95 - number)
    dark = photo("coffee", 300).point(lambda tone: tone * 3 // 4)
    dark.resize((200, 140)).save(one / "copy.jpg", quality=30)
    for number in range(4 * NEIGHBOURS):  # strangers, so that the sequence is the smaller side
        Image.effect_noise((100, 100), 50 + number).save(one / f"{number}.png")
    index_folders(tmp_path / "library", [many, one], IndexSettings(model="builtin", workers=1))
    train, test = map(read_side, (many, one) if swapped else (one, many))
    with open_library(tmp_path / "library") as reader:
        leaks = find_leaks(reader, read_split(reader, train, test)).leaks
    assert any(leak.evidence.hash_distance is not None for leak in leaks)


def test_another_photo_of_one_scene_is_no_leak(tmp_path: Path) -> None:
    for second, side in ((11, "train"), (13, "test")):
        (tmp_path / side).mkdir()
        exif = from_camera()
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = f"2019:05:03 14:02:{second}"
        photo("coffee", 300).save(tmp_path / f"{side}/a.jpg", quality=80 + second, exif=exif)
    train, test = (tmp_path / side for side in ("train", "test"))
    index_folders(tmp_path / "library", [train, test], IndexSettings(model="builtin", workers=1))
    with open_library(tmp_path / "library") as reader:
        assert find_leaks(reader, read_split(reader, read_side(train), read_side(test))).leaks == ()


def test_a_test_picture_that_leaks_twice_is_counted_once_at_its_strictest_level() -> None:
    test, train = image("test.jpg", 100), image("train.jpg", 100)
    leaks = tuple(Leak(test, train, level, 1.0, Evidence(), "") for level in (Level.PIXEL, Level.NEAR))
    assert LeakReport(leaks, 2, 1).counts() == {"exact": 0, "pixel": 1, "near": 0}
