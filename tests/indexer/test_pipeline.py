import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from indexer import pipeline
from indexer.decode import DecodePool
from indexer.encoders.names import resolve
from indexer.errors import FolderMissing, UsageError
from indexer.pipeline import IndexSettings, Progress, index_folders
from indexer.raw import REMEDY
from indexer.records import DecodedImage, FoundFile, IndexSummary, Skipped, Unreadable
from indexer.store.excludes import get_excludes
from indexer.store.library import open_for_writing, open_library

from ..pictures import make_picture, make_pictures
from .encoders.small_models import CLIP_TRANSFORM, VIT, write_builtin, write_model
from .store.test_disk import mounted

SETTINGS = IndexSettings(model="builtin", device="cpu", workers=1)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    make_pictures(tmp_path / "photos", 6)
    return tmp_path / "photos"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return tmp_path / "library"


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_builtin(tmp_path_factory.mktemp("models") / "other"))


def run(library: Path, folder: Path, settings: IndexSettings = SETTINGS) -> IndexSummary:
    return index_folders(library, [folder], settings)


def counts(summary: IndexSummary) -> tuple[int, int, int, int, int]:
    return summary.indexed, summary.unchanged, summary.moved, summary.removed, summary.skipped


def vectors_by_path(library: Path) -> dict[str, np.ndarray]:
    with open_library(library) as reader:
        ids, vectors = reader.embeddings(reader.default_encoder())
        files = reader.images(ids.tolist())
        return {
            image.relative: vector
            for id, vector in zip(ids.tolist(), vectors, strict=True)
            for image in files[id]
        }


@pytest.fixture
def nothing_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a picture was decoded")

    monkeypatch.setattr(pipeline, "DecodePool", fail)


def test_every_picture_gets_a_unit_vector(library: Path, photos: Path) -> None:
    assert counts(run(library, photos)) == (6, 0, 0, 0, 0)
    vectors = vectors_by_path(library)
    assert sorted(vectors) == sorted(path.name for path in photos.iterdir())
    np.testing.assert_allclose(np.linalg.norm(list(vectors.values()), axis=1), 1, atol=1e-3)


def test_a_second_run_neither_decodes_nor_loads_an_encoder(
    library: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    run(library, photos)
    request.getfixturevalue("nothing_is_decoded")

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("an encoder was loaded")

    monkeypatch.setattr(pipeline, "load_encoder", fail)
    monkeypatch.setattr(pipeline, "load_encoder_for", fail)
    assert counts(run(library, photos, IndexSettings())) == (0, 6, 0, 0, 0)


def test_a_renamed_file_keeps_its_vector_without_being_decoded(
    library: Path, photos: Path, request: pytest.FixtureRequest
) -> None:
    run(library, photos)
    before = vectors_by_path(library)["picture 0003.png"]
    (photos / "album").mkdir()
    (photos / "picture 0003.png").rename(photos / "album" / "ein Fest 🎉.png")
    request.getfixturevalue("nothing_is_decoded")
    assert counts(run(library, photos)) == (0, 5, 1, 0, 0)
    np.testing.assert_array_equal(vectors_by_path(library)["album/ein Fest 🎉.png"], before)


def test_a_changed_file_is_embedded_again(library: Path, photos: Path) -> None:
    run(library, photos)
    before = vectors_by_path(library)
    make_picture(photos / "picture 0002.png", seed=77)
    os.utime(photos / "picture 0002.png", (1e9, 1e9))
    assert counts(run(library, photos)) == (1, 5, 0, 0, 0)
    after = vectors_by_path(library)
    changed = {path for path in after if not np.array_equal(after[path], before[path])}
    assert changed == {"picture 0002.png"}


def test_a_file_of_which_only_the_time_changed_counts_as_unchanged(
    library: Path, photos: Path, request: pytest.FixtureRequest
) -> None:
    run(library, photos)
    os.utime(photos / "picture 0002.png", (1e9, 1e9))
    request.getfixturevalue("nothing_is_decoded")
    assert counts(run(library, photos)) == (0, 6, 0, 0, 0)
    assert counts(run(library, photos)) == (0, 6, 0, 0, 0)


def test_a_deleted_file_leaves_and_returns_without_being_decoded(
    library: Path, photos: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run(library, photos)
    shutil.move(photos / "picture 0001.png", tmp_path / "away.png")
    assert counts(run(library, photos)) == (0, 5, 0, 1, 0)
    assert "picture 0001.png" not in vectors_by_path(library)
    shutil.move(tmp_path / "away.png", photos / "picture 0001.png")
    request.getfixturevalue("nothing_is_decoded")
    assert counts(run(library, photos)) == (0, 5, 1, 0, 0)
    assert "picture 0001.png" in vectors_by_path(library)


def test_what_is_kept_longer_than_the_history_is_embedded_again(
    library: Path, photos: Path, tmp_path: Path
) -> None:
    run(library, photos)
    shutil.move(photos / "picture 0001.png", tmp_path / "away.png")
    forgetful = IndexSettings(model="builtin", device="cpu", workers=1, history_days=-1)
    run(library, photos, forgetful)
    shutil.move(tmp_path / "away.png", photos / "picture 0001.png")
    assert counts(run(library, photos)) == (1, 5, 0, 0, 0)


def test_a_copy_is_a_file_of_its_own_with_the_same_vector(library: Path, photos: Path) -> None:
    run(library, photos)
    shutil.copy(photos / "picture 0000.png", photos / "copy.png")
    assert counts(run(library, photos)) == (1, 6, 0, 0, 0)
    vectors = vectors_by_path(library)
    np.testing.assert_array_equal(vectors["copy.png"], vectors["picture 0000.png"])


def test_a_broken_file_is_skipped_with_a_reason_and_not_tried_again(
    library: Path, photos: Path, request: pytest.FixtureRequest
) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture at all")
    first = run(library, photos)
    assert counts(first) == (6, 0, 0, 0, 1)
    request.getfixturevalue("nothing_is_decoded")
    again = run(library, photos)
    assert counts(again) == (0, 6, 0, 0, 1)
    assert again.skipped_reasons == first.skipped_reasons


def test_a_skipped_file_is_tried_again_on_request(library: Path, photos: Path) -> None:
    good = make_picture(photos / "good.png", seed=50).read_bytes()
    (photos / "good.png").write_bytes(good[:20])
    run(library, photos)
    (photos / "good.png").write_bytes(good)
    status = (photos / "good.png").stat()
    again = IndexSettings(model="builtin", device="cpu", workers=1, retry_skipped=True)
    assert run(library, photos, again).skipped == 0
    assert status.st_size == len(good)


def test_a_picture_that_was_too_large_is_tried_again_when_the_limit_is_given(
    library: Path, photos: Path
) -> None:
    make_picture(photos / "large.png", seed=60, size=(1500, 1000))
    low = IndexSettings(model="builtin", device="cpu", workers=1, max_megapixels=1.0)
    assert run(library, photos, low).skipped == 1
    high = IndexSettings(model="builtin", device="cpu", workers=1, max_megapixels=2.0)
    assert counts(run(library, photos, high)) == (1, 6, 0, 0, 0)


def test_a_picture_over_a_lowered_limit_is_tried_again_without_it(library: Path, photos: Path) -> None:
    make_picture(photos / "large.png", seed=60, size=(1500, 1000))
    assert run(library, photos, replace(SETTINGS, max_megapixels=1.0)).skipped == 1
    assert counts(run(library, photos)) == (1, 6, 0, 0, 0)


def test_a_picture_over_the_usual_limit_is_not_tried_again_at_each_run(
    library: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    large = photos / "large.png"
    Image.new("1", (20_000, 10_100)).save(large)
    assert run(library, photos).skipped == 1
    request.getfixturevalue("nothing_is_decoded")
    assert run(library, photos).skipped == 1


def test_excluded_pictures_leave_the_library(library: Path, photos: Path) -> None:
    run(library, photos)
    settings = IndexSettings(model="builtin", device="cpu", workers=1, exclude=("*0001*", "*0002*"))
    assert counts(run(library, photos, settings)) == (0, 4, 0, 2, 0)


def test_what_was_excluded_stays_out_in_later_runs(library: Path, photos: Path) -> None:
    run(library, photos, replace(SETTINGS, exclude=("*0001*",)))
    notices: list[str] = []
    assert counts(index_folders(library, None, SETTINGS, on_notice=notices.append)) == (0, 5, 0, 0, 0)
    assert notices[0] == "left out as in earlier runs: --exclude '*0001*'; --no-exclude ends this"


def test_patterns_given_anew_take_the_place_of_the_former(library: Path, photos: Path) -> None:
    run(library, photos, replace(SETTINGS, exclude=("*0001*", "*0002*")))
    notices: list[str] = []
    settings = replace(SETTINGS, exclude=("*0002*",))
    summary = index_folders(library, [photos], settings, on_notice=notices.append)
    assert (summary.indexed, summary.unchanged) == (1, 4)
    assert notices[0] == "no longer left out, since this run says otherwise: --exclude '*0001*'"


def test_what_is_excluded_can_be_taken_back(library: Path, photos: Path) -> None:
    run(library, photos, replace(SETTINGS, exclude=("*0001*",)))
    run(library, photos, replace(SETTINGS, no_exclude=True))
    assert counts(run(library, photos)) == (0, 6, 0, 0, 0)


YEARS = ("2018/a.png", "2019/b.png", "2019/raw/c.png", "raw/d.png")


@pytest.fixture
def years(tmp_path: Path) -> Path:
    for seed, name in enumerate(YEARS):
        make_picture(tmp_path / "years" / name, seed)
    return tmp_path / "years"


def excludes(library: Path) -> list[tuple[str, str]]:
    with open_library(library) as reader:
        return [(each.folder.name, each.pattern) for each in get_excludes(reader)]


def test_a_run_over_a_part_leaves_out_what_the_library_leaves_out(library: Path, years: Path) -> None:
    run(library, years, replace(SETTINGS, exclude=("2019/raw/*",)))
    for folders in ([years / "2019"], [years / "2019" / "raw"], None):
        index_folders(library, folders, SETTINGS)
        assert set(vectors_by_path(library)) == {"2018/a.png", "2019/b.png", "raw/d.png"}


def test_a_run_over_a_folder_that_is_left_out_takes_in_nothing(library: Path, years: Path) -> None:
    run(library, years, replace(SETTINGS, exclude=("2019",)))
    notices: list[str] = []
    index_folders(library, [years / "2019" / "raw"], SETTINGS, on_notice=notices.append)
    assert notices == [
        f"left out as in earlier runs: --exclude 2019 in {years}; to end this, --no-exclude with that folder",
        f"{years / '2019' / 'raw'}: no picture was found there besides what is left out",
    ]
    assert set(vectors_by_path(library)) == {"2018/a.png", "raw/d.png"}


def test_a_pattern_said_of_an_inner_folder_holds_in_it_only(library: Path, years: Path) -> None:
    run(library, years)
    run(library, years / "2019", replace(SETTINGS, exclude=("raw/*",)))
    notices: list[str] = []
    index_folders(library, None, SETTINGS, on_notice=notices.append)
    assert set(vectors_by_path(library)) == set(YEARS) - {"2019/raw/c.png"}
    told = f"left out as in earlier runs: --exclude 'raw/*' in {years / '2019'}; --no-exclude ends this"
    assert notices == [told]


def test_runs_that_say_nothing_leave_the_patterns_as_they_are(library: Path, years: Path) -> None:
    run(library, years, replace(SETTINGS, exclude=("2019/raw/*", "*.gif")))
    for name in ("2018", "2019", "2018", ".", "2019"):
        run(library, years / name)
    assert excludes(library) == [("years", "2019/raw/*"), ("years", "*.gif")]


def test_patterns_given_anew_leave_those_of_other_folders(library: Path, years: Path) -> None:
    run(library, years, replace(SETTINGS, exclude=("*.gif",)))
    for name, pattern in (("2018", "x"), ("2019/raw", "y"), ("2019", "z")):
        run(library, years / name, replace(SETTINGS, exclude=(pattern,)))
    assert excludes(library) == [("years", "*.gif"), ("2018", "x"), ("2019", "z")]


def test_what_is_left_out_is_taken_back_of_the_folders_named_only(library: Path, years: Path) -> None:
    for name, pattern in ((".", "2018"), ("2019", "raw"), ("raw", "d.png")):
        run(library, years / name, replace(SETTINGS, exclude=(pattern,)))
    run(library, years / "2019", replace(SETTINGS, no_exclude=True))
    assert excludes(library) == [("years", "2018"), ("raw", "d.png")]
    index_folders(library, None, SETTINGS)
    assert set(vectors_by_path(library)) == {"2019/b.png", "2019/raw/c.png"}


def test_patterns_of_a_library_hold_in_its_folders_that_are_away(
    library: Path, photos: Path, years: Path
) -> None:
    index_folders(library, [photos, years], SETTINGS)
    years.rename(years.with_name("unplugged"))
    index_folders(library, None, replace(SETTINGS, exclude=("raw",)))
    years.with_name("unplugged").rename(years)
    index_folders(library, None, SETTINGS)
    assert {"2018/a.png", "2019/b.png"} < set(vectors_by_path(library))
    assert not {"2019/raw/c.png", "raw/d.png"} & set(vectors_by_path(library))


def test_a_library_that_has_moved_leaves_out_the_same(years: Path) -> None:
    run(years / ".sightline", years / "2019", replace(SETTINGS, exclude=("raw/*",)))
    run(years / ".sightline", years)
    moved = years.rename(years.with_name("mounted elsewhere"))
    assert counts(index_folders(moved / ".sightline", None, SETTINGS)) == (0, 3, 0, 0, 0)


def test_patterns_of_a_folder_that_is_named_with_one_inside_are_told_once(library: Path, years: Path) -> None:
    folders, notices = [years, years / "2019"], list[str]()
    index_folders(library, folders, replace(SETTINGS, exclude=("raw",)), on_notice=notices.append)
    index_folders(library, folders, SETTINGS, on_notice=notices.append)
    assert notices == ["left out as in earlier runs: --exclude raw; --no-exclude ends this"]


def test_empty_patterns_lift_nothing(library: Path, years: Path) -> None:
    run(library, years, replace(SETTINGS, exclude=("raw",)))
    run(library, years, replace(SETTINGS, exclude=("", "./")))
    assert excludes(library) == [("years", "raw")]


def test_a_pattern_said_again_of_the_folder_around_is_not_told_as_lifted(library: Path, years: Path) -> None:
    run(library, years / "2019", replace(SETTINGS, exclude=("raw",)))
    notices: list[str] = []
    index_folders(library, [years], replace(SETTINGS, exclude=("raw",)), on_notice=notices.append)
    assert (notices, excludes(library)) == ([], [("years", "raw")])


def test_an_emptied_folder_inside_a_covered_one_loses_its_pictures(library: Path, photos: Path) -> None:
    make_picture(photos / "2019" / "inner.png", 70)
    run(library, photos)
    (photos / "2019" / "inner.png").unlink()
    assert counts(run(library, photos / "2019")) == (0, 0, 0, 1, 0)


def test_a_folder_without_a_picture_is_told(library: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    notices: list[str] = []
    index_folders(library, [photos, tmp_path / "empty"], SETTINGS, on_notice=notices.append)
    assert notices == [f"{tmp_path / 'empty'}: no picture was found there"]


def test_a_file_in_place_of_a_folder_is_told_as_such(library: Path, photos: Path) -> None:
    picture = min(photos.iterdir())
    with pytest.raises(UsageError, match="is a file; give the folder it is in: "):
        run(library, picture)


def test_a_run_can_be_stopped_while_it_meets_no_picture(library: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for number in range(300):
        (tmp_path / "notes" / f"{number}").write_text("no picture")

    class Impatient(threading.Event):
        asked = 0

        def is_set(self) -> bool:
            self.asked += 1
            return self.asked > 20

    summary = index_folders(library, [tmp_path / "notes"], SETTINGS, stop=(stop := Impatient()))
    assert summary.interrupted
    assert stop.asked < 100


def test_pictures_moved_out_of_a_folder_leave_it(library: Path, photos: Path) -> None:
    archive = photos.with_name("archive")
    make_picture(archive / "old.png", 60)
    index_folders(library, [photos, archive], SETTINGS)
    for picture in list(photos.iterdir()):
        picture.rename(archive / picture.name)
    assert counts(index_folders(library, None, SETTINGS)) == (0, 1, 6, 0, 0)
    with open_library(library) as reader:
        assert reader.status().files == 7


def test_pictures_moved_out_of_a_folder_that_is_gone_leave_it(library: Path, photos: Path) -> None:
    archive = photos.with_name("archive")
    make_picture(archive / "old.png", 60)
    index_folders(library, [photos, archive], SETTINGS)
    photos.rename(archive / "from inbox")
    notices: list[str] = []
    summary = index_folders(library, None, SETTINGS, on_notice=notices.append)
    assert (counts(summary), notices) == ((0, 1, 6, 0, 0), [])
    with open_library(library) as reader:
        assert reader.status().files == 7


def test_copies_of_pictures_on_a_drive_that_is_unplugged_do_not_replace_them(
    library: Path, photos: Path
) -> None:
    drive = photos.with_name("drive")
    with mounted(drive, "-t", "tmpfs", "tmpfs"):
        make_picture(drive / "kept.png", 60)
        index_folders(library, [photos, drive], SETTINGS)
        shutil.copy(drive / "kept.png", photos / "copy.png")
    drive.rmdir()  # as desktops do
    assert counts(index_folders(library, None, SETTINGS)) == (1, 6, 0, 0, 0)


def test_the_last_picture_of_a_folder_leaves_the_library_with_its_file(library: Path, photos: Path) -> None:
    run(library, photos)
    for picture in photos.iterdir():
        picture.unlink()
    assert counts(run(library, photos)) == (0, 0, 0, 6, 0)


def test_a_picture_that_comes_back_to_an_emptied_folder_is_not_encoded_again(
    library: Path, photos: Path, request: pytest.FixtureRequest
) -> None:
    run(library, photos)
    away = photos.with_name("away")
    away.mkdir()
    for picture in list(photos.iterdir()):
        picture.rename(away / picture.name)
    run(library, photos)
    for picture in list(away.iterdir()):
        picture.rename(photos / picture.name)
    request.getfixturevalue("nothing_is_decoded")
    assert counts(run(library, photos)) == (0, 0, 6, 0, 0)


@pytest.mark.parametrize("indexed", [".", ".."], ids=["the drive", "the folder around it"])
def test_a_drive_that_is_not_mounted_keeps_its_images(library: Path, tmp_path: Path, indexed: str) -> None:
    drive = tmp_path / "media" / "drive"
    drive.parent.mkdir()
    with mounted(drive, "-t", "tmpfs", "tmpfs"):
        make_picture(drive / "kept.png", 60)
        run(library, drive / indexed)
    assert drive.is_dir()
    assert not list(drive.iterdir())
    assert run(library, drive / indexed).removed == 0
    assert [Path(name).name for name in vectors_by_path(library)] == ["kept.png"]


def test_a_missing_folder_says_so_before_anything_is_made(library: Path, tmp_path: Path) -> None:
    with pytest.raises(FolderMissing):
        run(library, tmp_path / "nowhere")
    assert not library.exists()


def test_a_folder_with_nothing_in_it_is_no_error(library: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert counts(run(library, tmp_path / "empty")) == (0, 0, 0, 0, 0)


def test_a_library_that_holds_no_image_yet_takes_its_first_ones(library: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    run(library, tmp_path / "photos")  # as after a run that was killed before its first commit
    make_pictures(tmp_path / "photos", 2)
    assert counts(run(library, tmp_path / "photos", IndexSettings(workers=1))) == (2, 0, 0, 0, 0)


def test_a_library_whose_images_were_all_forgotten_is_indexed_again(library: Path, photos: Path) -> None:
    run(library, photos)
    with open_for_writing(library, create=False) as writer:
        writer.forget(photos)
    assert counts(run(library, photos, IndexSettings(workers=1))) == (6, 0, 0, 0, 0)


def test_stopping_keeps_what_is_done_and_removes_nothing(library: Path, photos: Path) -> None:
    run(library, photos)
    (photos / "picture 0000.png").unlink()
    make_pictures(photos, 60, first_seed=100)
    stop = threading.Event()

    def stop_soon(progress: Progress) -> None:
        if progress.indexed >= 4:
            stop.set()

    settings = IndexSettings(model="builtin", device="cpu", workers=1, batch_size=4)
    summary = index_folders(library, [photos], settings, on_progress=stop_soon, stop=stop)
    assert summary.interrupted
    assert summary.removed == 0
    assert 4 <= summary.indexed < 60
    assert len(vectors_by_path(library)) == 6 + summary.indexed


def test_after_a_stop_the_next_run_does_the_rest(library: Path, photos: Path) -> None:
    stop = threading.Event()
    settings = IndexSettings(model="builtin", device="cpu", workers=1, batch_size=2)
    part = index_folders(library, [photos], settings, on_progress=lambda _: stop.set(), stop=stop)
    rest = run(library, photos)
    assert part.indexed + rest.indexed == 6


def test_progress_ends_at_the_total(library: Path, photos: Path) -> None:
    seen: list[Progress] = []
    settings = IndexSettings(model="builtin", device="cpu", workers=1, count_first=True, batch_size=1)
    index_folders(library, [photos], settings, on_progress=seen.append)
    assert seen[-1].done == 6
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)


def test_the_background_is_measured_for_the_library(library: Path, photos: Path) -> None:
    run(library, photos)
    with open_library(library) as reader:
        background = reader.default_encoder().background
    assert background is not None
    assert background["images"] == 6
    assert background["top_mean"] > 0


def test_the_background_is_measured_again_when_other_pictures_have_taken_the_place_of_all(
    library: Path, photos: Path
) -> None:
    def measured() -> dict[str, Any] | None:
        with open_library(library) as reader:
            return reader.default_encoder().background

    run(library, photos)
    before = measured()
    for number, path in enumerate(sorted(photos.iterdir())):
        Image.new("RGB", (64, 64), (40 * number, 255 - 40 * number, 90)).save(path)
    run(library, photos)
    again = measured()
    assert before and again
    assert (before["images"], before["mean"]) == (again["images"], again["mean"])
    assert before["spread"] != again["spread"]


def test_a_library_that_knows_its_network_by_a_former_hash_is_embedded_anew(
    library: Path, photos: Path, tmp_path: Path
) -> None:
    model = tmp_path / "quick"
    write_model(model, VIT, CLIP_TRANSFORM)
    run(library, photos, replace(SETTINGS, model=str(model)))
    files = resolve(str(model), print)
    with closing(sqlite3.connect(library / "catalog.sqlite")) as catalog, catalog:
        catalog.execute("UPDATE encoder SET weights_hash = ?", (files.former_hash,))
    assert counts(run(library, photos, replace(SETTINGS, model=None))) == (6, 0, 0, 0, 0)
    with open_library(library) as reader:
        assert reader.default_encoder().card.weights_hash == files.weights_hash


def test_a_file_of_another_century_is_indexed_like_any_other(library: Path, photos: Path) -> None:
    os.utime(next(photos.iterdir()), (10_500_000_000, 10_500_000_000))
    run(library, photos)
    assert counts(run(library, photos)) == (0, 6, 0, 0, 0)


def test_a_file_that_was_out_of_reach_is_tried_again(library: Path, photos: Path, tmp_path: Path) -> None:
    lost, away = photos / "picture 0003.png", tmp_path / "away.png"

    def unplug(path: Path) -> bool:  # when the folder has been listed, before anything is decoded
        if path == lost:
            path.rename(away)
        return True

    assert counts(run(library, photos, replace(SETTINGS, wanted=unplug))) == (5, 0, 0, 0, 1)
    away.rename(lost)
    assert counts(run(library, photos)) == (1, 5, 0, 0, 0)


def test_a_known_picture_that_is_out_of_reach_stays_in_the_results(
    library: Path, photos: Path, tmp_path: Path
) -> None:
    run(library, photos)
    lost = make_picture(photos / "picture 0003.png", 99)
    found = replace(SETTINGS, wanted=lambda path: path != lost or bool(path.rename(tmp_path / "away.png")))
    assert counts(run(library, photos, found)) == (0, 5, 0, 0, 1)
    assert lost.name in vectors_by_path(library)


def test_a_picture_on_which_the_decoder_was_ended_has_one_more_try(
    library: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_all(pool: DecodePool, files: Iterable[FoundFile]) -> Iterator[Skipped]:
        yield from (pool._lost(file, "killed") for file in files)

    monkeypatch.setattr(DecodePool, "decode", lose_all)
    [once] = dict(run(library, photos).skipped_reasons)
    [twice] = dict(run(library, photos).skipped_reasons)
    assert once.removesuffix("; the next `index` tries it once more") + ", twice" == twice
    monkeypatch.undo()
    assert counts(run(library, photos)) == (0, 0, 0, 0, 6)


def test_a_moved_library_is_committed_as_it_goes(
    library: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(library, photos)
    moved = photos.rename(photos.with_name("renamed"))
    monkeypatch.setattr(pipeline, "CLASSIFY_AT_ONCE", 2)
    told: list[Progress] = []
    settings = replace(SETTINGS, commit_seconds=0.0)
    index_folders(library, [moved], settings, on_progress=told.append)
    assert [progress.done for progress in told] == [2, 4, 6]


def stopped_run(library: Path, photos: Path, model: str) -> list[str]:
    """Stop a run before its first image; give what was told."""
    stopped = threading.Event()
    stopped.set()
    notices: list[str] = []
    settings = replace(SETTINGS, model=model)
    index_folders(library, [photos], settings, stop=stopped, on_notice=notices.append)
    return notices


def test_searches_keep_their_encoder_until_all_is_indexed_with_another(
    library: Path, photos: Path, other_model: str
) -> None:
    run(library, photos)
    stopped_run(library, photos, other_model)
    with open_library(library) as reader:
        assert reader.default_encoder().card.name == "builtin"
    run(library, photos, replace(SETTINGS, model=None))
    with open_library(library) as reader:
        assert reader.default_encoder().card.name == other_model


def test_a_stopped_run_with_another_encoder_says_which_one_searches_use(
    library: Path, photos: Path, other_model: str
) -> None:
    run(library, photos)
    notices = stopped_run(library, photos, other_model)
    assert "searches go on with builtin: 6 of its 6 images" in notices[-1]


def test_a_stopped_run_with_the_encoder_of_searches_says_nothing(library: Path, photos: Path) -> None:
    run(library, photos)
    notices = stopped_run(library, photos, "builtin")
    assert not any("searches go on" in notice for notice in notices)


@pytest.mark.parametrize("remedy", [REMEDY, "a RAW photo; to read these: pip install 'sightline[raw]'"])
def test_a_raw_photo_is_tried_again_once_raw_can_be_read(
    library: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, remedy: str
) -> None:
    def refuse(pool: DecodePool, files: Iterable[FoundFile]) -> Iterator[Skipped]:
        yield from (Skipped(file, remedy) for file in files)

    with monkeypatch.context() as patched:
        patched.setattr(DecodePool, "decode", refuse)
        assert counts(run(library, photos)) == (0, 0, 0, 0, 6)
    monkeypatch.setattr(pipeline, "find_spec", lambda name: object())
    assert counts(run(library, photos)) == (6, 0, 0, 0, 0)


def test_a_drive_that_is_away_is_not_hidden_by_another_encoder(
    library: Path, photos: Path, other_model: str
) -> None:
    drive = photos.with_name("drive")
    make_picture(drive / "kept.png", 60)
    make_pictures(photos, 14, first_seed=200)  # one in twenty that cannot be read would not count
    index_folders(library, [photos, drive], SETTINGS)
    drive.rename(drive.with_name("elsewhere"))
    drive.mkdir()  # where it is mounted
    notices: list[str] = []
    other = replace(SETTINGS, model=other_model)
    index_folders(library, [photos, drive], other, on_notice=notices.append)
    assert "searches go on with builtin: 1 of its 21 images" in notices[-1]
    with open_library(library) as reader:
        assert reader.default_encoder().card.name == "builtin"


def test_a_part_indexed_with_another_encoder_does_not_hide_the_rest(
    library: Path, photos: Path, other_model: str
) -> None:
    run(library, photos)
    make_picture(photos / "part" / "new.png", 50)
    notices: list[str] = []
    other = replace(SETTINGS, model=other_model)
    index_folders(library, [photos / "part"], other, on_notice=notices.append)
    assert notices[-1] == (
        f"searches go on with builtin: 6 of its 6 images have not been indexed with {other_model} yet, and 1 "
        "indexed with it only cannot be found yet; to go on with all of the library: sightline index; "
        "to stay with builtin: sightline index --model builtin"
    )
    with open_library(library) as reader:
        assert reader.default_encoder().images == 6


def twenty_with_one_unreadable(photos: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Give what makes one of twenty pictures unreadable."""
    make_pictures(photos, 14, first_seed=200)
    real = DecodePool.decode

    def decode(pool: DecodePool, files: Iterable[FoundFile]) -> Iterator[DecodedImage | Skipped]:
        first, *others = files
        yield Skipped(first, "input/output error", again=True)
        yield from real(pool, others)

    return lambda: monkeypatch.setattr(DecodePool, "decode", decode)


def test_one_image_in_twenty_that_cannot_be_read_is_hidden_and_told(
    library: Path, photos: Path, other_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail = twenty_with_one_unreadable(photos, monkeypatch)
    run(library, photos)
    fail()
    notices: list[str] = []
    index_folders(library, [photos], replace(SETTINGS, model=other_model), on_notice=notices.append)
    assert notices[-1] == (
        f"searches use {other_model} from now on and no longer find 1 of the 20 images of builtin, which "
        "could not be read; once they can be, this takes them in: sightline index"
    )
    monkeypatch.undo()
    assert counts(run(library, photos, IndexSettings(device="cpu", workers=1))) == (1, 19, 0, 0, 0)


def test_one_image_in_twenty_is_not_hidden_by_a_run_over_a_part(
    library: Path, photos: Path, other_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail = twenty_with_one_unreadable(photos, monkeypatch)
    (photos.parent / "empty").mkdir()
    index_folders(library, [photos, photos.parent / "empty"], SETTINGS)
    fail()
    run(library, photos, replace(SETTINGS, model=other_model))
    with open_library(library) as reader:
        assert reader.default_encoder().card.name == "builtin"


def test_one_image_in_twenty_is_not_hidden_by_a_run_that_is_stopped(
    library: Path, photos: Path, other_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail = twenty_with_one_unreadable(photos, monkeypatch)
    run(library, photos)
    fail()
    stop = threading.Event()
    settings = replace(SETTINGS, model=other_model)
    index_folders(
        library, [photos], settings, on_progress=lambda told: told.indexed == 19 and stop.set(), stop=stop
    )
    with open_library(library) as reader:
        assert [encoder.images for encoder in reader.encoders()] == [20, 19]
        assert reader.default_encoder().card.name == "builtin"


def test_a_folder_that_is_away_is_passed_over_when_none_is_named(library: Path, photos: Path) -> None:
    drive = photos.with_name("drive")
    make_picture(drive / "kept.png", 60)
    index_folders(library, [photos, drive], SETTINGS)
    drive.rename(drive.with_name("elsewhere"))
    make_picture(photos / "new.png", 61)
    notices: list[str] = []
    assert counts(index_folders(library, None, SETTINGS, on_notice=notices.append)) == (1, 6, 0, 0, 0)
    assert notices[-1].startswith(f"{drive}: nothing was found there any more; its images are kept")
    assert "kept.png" in vectors_by_path(library)


def test_all_folders_being_away_is_told(library: Path, photos: Path) -> None:
    run(library, photos)
    photos.rename(photos.with_name("elsewhere"))
    with pytest.raises(FolderMissing):
        index_folders(library, None, SETTINGS)


def test_a_folder_inside_another_of_the_run_is_scanned_once(library: Path, photos: Path) -> None:
    make_picture(photos / "nas" / "inner.png", 70)
    make_picture(photos / ".hidden" / "named.png", 71)
    seen: list[Progress] = []
    folders = [photos, photos / "nas", photos / ".hidden", photos / ".." / photos.name]
    settings = replace(SETTINGS, count_first=True, batch_size=1)
    assert counts(index_folders(library, folders, settings, on_progress=seen.append)) == (8, 0, 0, 0, 0)
    assert (seen[-1].done, seen[-1].total) == (8, 8)
    assert {"nas/inner.png", ".hidden/named.png"} < set(vectors_by_path(library))


def test_an_absent_folder_inside_another_of_the_run_keeps_its_images(library: Path, photos: Path) -> None:
    folders = [photos, photos / "nas"]
    with mounted(photos / "nas", "-t", "tmpfs", "tmpfs"):
        make_picture(photos / "nas" / "inner.png", 70)
        index_folders(library, folders, SETTINGS)
    notices: list[str] = []
    assert counts(index_folders(library, folders, SETTINGS, on_notice=notices.append)) == (0, 6, 0, 0, 0)
    assert notices[-1].startswith(f"{photos / 'nas'}: nothing was found there any more")
    assert "nas/inner.png" in vectors_by_path(library)


def test_pictures_behind_a_link_whose_target_is_away_are_kept(library: Path, photos: Path) -> None:
    drive = photos.with_name("drive")
    make_picture(drive / "linked.png", 80)
    (photos / "album").symlink_to(drive)
    (photos / "nothing").symlink_to(photos.with_name("never there"))
    assert run(library, photos).unreadable == ()
    drive.rename(photos.with_name("unplugged"))
    summary = run(library, photos)
    assert counts(summary) == (0, 6, 0, 0, 0)
    assert summary.unreadable == (Unreadable(photos / "album", "a link to what is not there"),)
    assert "album/linked.png" in vectors_by_path(library)


def test_exclude_goes_by_the_name_that_was_typed(library: Path, photos: Path) -> None:
    link = photos.with_name("link")
    link.symlink_to(photos)
    settings = replace(SETTINGS, exclude=(f"{link.with_name('l*k')}/picture 000[12].png",))
    assert counts(run(library, link, settings)) == (4, 0, 0, 0, 0)
