"""What a search for duplicates keeps for the next one."""

import io
import os
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from indexer.backfill import fill_features
from indexer.pipeline import IndexSettings, index_folders
from indexer.store.files import catalog_file
from indexer.store.library import open_for_writing, open_library
from indexer.wholeness import has_lost_part
from search.duplicates import damage, finder, pair_cache
from search.duplicates.candidates import merged
from search.duplicates.finder import (
    DuplicateReport,
    Question,
    find_duplicates,
    scope_of,
)
from search.duplicates.judging import Judge
from search.duplicates.pair_cache import PairCache
from search.duplicates.proposing import find_candidates
from search.duplicates.records import Level

from ...indexer.store.making import make_card, make_file, make_library, scan
from .photos import cropped, labelled, photo
from .searching import found, from_camera

SETTINGS = IndexSettings(model="builtin", device="cpu", workers=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("coffee", "rocket", "chelsea"):
        photo(name).save(folder / f"{name}.jpg", quality=92)
    labelled(photo("coffee")).save(folder / "labelled.jpg", quality=85)
    return folder


@pytest.fixture
def library(folder: Path, tmp_path: Path) -> Path:
    index_folders(tmp_path / "library", [folder], SETTINGS)
    return tmp_path / "library"


def search(library: Path, **question) -> DuplicateReport:
    with open_library(library) as reader:
        return find_duplicates(reader, Question(**question))


def names(report: DuplicateReport) -> set[frozenset[str]]:
    return {
        frozenset([group.keep.path.name, *(member.image.path.name for member in group.members)])
        for group in report.groups
    }


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the pairs that are looked at."""
    looked: list[int] = []
    judge = Judge.judge

    def counting(self: Judge, pairs):
        looked.append(len(pairs))
        return judge(self, pairs)

    monkeypatch.setattr(Judge, "judge", counting)
    return looked


def test_a_second_search_says_the_same_without_looking_again(library: Path, judged: list[int]) -> None:
    first = search(library)
    assert judged.pop() > 0
    judged.clear()
    assert search(library) == first
    assert judged == []


def test_a_second_search_for_scenes_reads_no_picture_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    for second, quality in (("11", 85), ("13", 97)):
        exif = from_camera()
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = f"2019:05:03 14:02:{second}"
        photo("coffee").save(tmp_path / f"photos/{second}.jpg", quality=quality, exif=exif)
    index_folders(tmp_path / "library", [tmp_path / "photos"], SETTINGS)
    read: list[str] = []

    def noting(path: Path, kind: str) -> bool:
        read.append(path.name)
        return has_lost_part(path, kind)

    monkeypatch.setattr(damage, "has_lost_part", noting)
    for _ in range(2):
        damage._is_hurt.cache_clear()  # as in another process
        assert found(search(tmp_path / "library", level=Level.SIMILAR)) == {"13.jpg": {"11.jpg": "similar"}}
    assert sorted(read) == ["11.jpg", "13.jpg"]


def test_only_what_is_new_is_compared(folder: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search(library)
    cropped(photo("rocket"), 0.8).save(folder / "crop.jpg", quality=85)
    index_folders(library, [folder], SETTINGS)
    asked = []

    def noting(reader, level, *, asking=None, **others):
        asked.append(len(asking))
        return find_candidates(reader, level, asking=asking, **others)

    monkeypatch.setattr(finder, "find_candidates", noting)
    assert names(search(library)) == {
        frozenset({"coffee.jpg", "labelled.jpg"}),
        frozenset({"rocket.jpg", "crop.jpg"}),
    }
    assert asked == [1]


def test_what_was_compared_without_its_marks_is_compared_again(library: Path) -> None:
    with closing(sqlite3.connect(catalog_file(library))) as connection:
        connection.execute("DELETE FROM local_feature WHERE content_id = 1")
        connection.commit()
    search(library)
    with open_library(library) as reader:
        assert reader.compared(scope_of(reader, Question())).tolist() == [2, 3, 4]
    fill_features(library)
    search(library)
    with open_library(library) as reader:
        assert reader.compared(scope_of(reader, Question())).tolist() == [1, 2, 3, 4]


def test_what_comes_back_is_compared_with_what_came_meanwhile(
    folder: Path, library: Path, tmp_path: Path
) -> None:
    (folder / "labelled.jpg").rename(tmp_path / "away.jpg")
    index_folders(library, [folder], SETTINGS)
    assert names(search(library)) == set()
    (tmp_path / "away.jpg").rename(folder / "labelled.jpg")
    index_folders(library, [folder], SETTINGS)
    assert names(search(library)) == {frozenset({"coffee.jpg", "labelled.jpg"})}


def test_what_an_older_program_compared_is_not_kept_for_ever(library: Path) -> None:
    older = "0: copies, encoder 1"
    with open_for_writing(library, create=False) as writer:
        writer.remember_pairs(older, [], compared=[1, 2])
    search(library)
    with open_library(library) as reader:
        assert reader.compared(older).tolist() == []


def test_a_looser_level_looks_for_itself(library: Path) -> None:
    search(library)
    assert names(search(library, level=Level.SIMILAR)) >= {frozenset({"coffee.jpg", "labelled.jpg"})}


def test_a_picture_that_could_not_be_read_is_looked_at_again(folder: Path, library: Path) -> None:
    broken = folder / "labelled.jpg"
    content, times = broken.read_bytes(), broken.stat()
    broken.write_bytes(bytes(len(content)))
    os.utime(broken, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert [path.name for path, _ in search(library).unreadable] == ["labelled.jpg"]
    broken.write_bytes(content)
    os.utime(broken, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert names(search(library)) == {frozenset({"coffee.jpg", "labelled.jpg"})}


def test_a_file_that_changed_since_is_told_and_in_no_group(folder: Path, library: Path) -> None:
    search(library)
    photo("rocket").save(folder / "labelled.jpg")
    report = search(library)
    assert [(path.name, reason) for path, reason in report.unreadable] == [
        ("labelled.jpg", "changed since it was indexed; `sightline index` takes it in anew")
    ]
    assert names(report) == set()


def test_a_search_goes_without_when_somebody_writes_and_says_so(library: Path) -> None:
    with open_for_writing(library, create=False):
        report = search(library)
    assert names(report) == {frozenset({"coffee.jpg", "labelled.jpg"})}
    assert "not all that was compared is kept for the next search" in report.not_kept
    assert "is being written by" in report.not_kept


def test_what_is_new_is_kept_once_the_other_writer_is_done(library: Path) -> None:
    with open_library(library) as reader:
        memory = PairCache(reader, scope_of(reader, Question()))
        memory.recall([1, 2, 3, 4])
        memory.add(merged([]), incomplete=np.empty(0, np.int64))
        writer = open_for_writing(library, create=False)
        memory.keep()
        assert memory.not_kept
        timer = threading.Timer(0.5, writer.close)
        timer.start()
        memory.keep(patience_seconds=60)
        timer.join()
        assert (memory.not_kept, reader.compared(scope_of(reader, Question())).tolist()) == ("", [1, 2, 3, 4])


@pytest.fixture
def seen_meanwhile(library: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """Note what is in the library each time a pair is looked at: contents compared, pairs, those judged."""
    monkeypatch.setattr(pair_cache, "KEPT_EACH_SECONDS", 0.0)
    monkeypatch.setattr(pair_cache, "KEEPING_SHARE_MAX", 1e9)
    monkeypatch.setattr(finder, "PAIRS_AT_ONCE", 1)
    seen: list[tuple[int, int, int]] = []
    judge = Judge.judge

    def looking(self: Judge, pairs):
        with open_library(library) as other:
            scope = scope_of(other, Question(Level.SIMILAR))
            kept = list(other.pairs(scope))
            seen.append((len(other.compared(scope)), len(kept), sum(pair.judged for pair in kept)))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return judge(self, pairs)

    monkeypatch.setattr(Judge, "judge", looking)
    return seen


def test_what_was_compared_is_in_the_library_before_the_search_ends(
    library: Path, seen_meanwhile: list[tuple[int, int, int]]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        search(library, level=Level.SIMILAR)
    assert seen_meanwhile == [(4, 6, 0), (4, 6, 1), (4, 6, 2)]


def test_a_search_goes_on_where_another_was_broken_off(
    library: Path, seen_meanwhile: list[tuple[int, int, int]]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        search(library, level=Level.SIMILAR)
    assert names(search(library, level=Level.SIMILAR)) == {frozenset({"coffee.jpg", "labelled.jpg"})}
    assert seen_meanwhile[3:] == [(4, 6, judged) for judged in range(2, 2 + len(seen_meanwhile[3:]))]


def test_what_was_seen_until_a_search_is_stopped_is_kept(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder, "PAIRS_AT_ONCE", 1)
    judge, seen = Judge.judge, []

    def stopping(self: Judge, pairs):
        if seen:
            raise KeyboardInterrupt
        seen.extend(pairs)
        return judge(self, pairs)

    monkeypatch.setattr(Judge, "judge", stopping)
    with pytest.raises(KeyboardInterrupt):
        search(library, level=Level.SIMILAR)
    with open_library(library) as reader:
        kept = reader.pairs(scope_of(reader, Question(Level.SIMILAR)))
        assert [{pair.first, pair.second} for pair in kept if pair.judged] == [set(seen[0].key)]


def test_what_was_found_by_another_models_vectors_is_not_recalled(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    scopes = []
    with open_for_writing(library, create=False) as writer:
        scopes.append(scope_of(writer, Question()))
        other = writer.use_encoder(make_card("another"))
        files = {make_file(tmp_path, f"{i % 10}/{i}.jpg", 1000 + i): f"content {i}" for i in range(60)}
        scan(writer, other, files, tmp_path)
        writer.answers_with(other, saw_all=True)
        scopes.append(scope_of(writer, Question()))
    assert scopes[0] != scopes[1]


def test_what_the_user_set_apart_is_not_reported(folder: Path, library: Path) -> None:
    hashes = [image.content_hash for image in stored(library, "coffee.jpg", "labelled.jpg")]
    with open_for_writing(library, create=False) as writer:
        assert writer.put_apart(hashes) == 1
    assert names(search(library)) == set()


def test_of_pictures_set_apart_one_alone_may_be_asked_about(folder: Path, library: Path) -> None:
    hashes = [image.content_hash for image in stored(library, "coffee.jpg", "labelled.jpg")]
    with open_for_writing(library, create=False) as writer:
        writer.put_apart(hashes)
    report = search(library, folder=folder / "labelled.jpg")
    assert (report.files, report.groups) == (1, ())


def test_setting_apart_can_be_taken_back(library: Path) -> None:
    hashes = [image.content_hash for image in stored(library, "coffee.jpg", "labelled.jpg")]
    with open_for_writing(library, create=False) as writer:
        writer.put_apart(hashes)
        assert writer.put_apart(hashes, again=True) == 1
    assert names(search(library)) == {frozenset({"coffee.jpg", "labelled.jpg"})}


def test_setting_apart_outlives_forgetting(folder: Path, library: Path) -> None:
    hashes = [image.content_hash for image in stored(library, "coffee.jpg", "labelled.jpg")]
    with open_for_writing(library, create=False) as writer:
        writer.put_apart(hashes)
        writer.forget(folder)
    index_folders(library, [folder], SETTINGS)
    assert names(search(library)) == set()


def test_what_is_in_the_reference_already_is_listed_and_the_reference_left_alone(
    folder: Path, library: Path, tmp_path: Path
) -> None:
    new = tmp_path / "card"
    new.mkdir()
    shutil.copy(folder / "rocket.jpg", new / "IMG_1.jpg")
    photo("chelsea").resize((300, 200)).save(new / "smaller.jpg", quality=95)
    photo("coffee").resize((960, 640)).save(new / "larger.jpg", quality=95)
    photo("astronaut").save(new / "fresh.jpg")
    shutil.copy(new / "fresh.jpg", new / "fresh, and not in the reference.jpg")
    index_folders(library, [new], SETTINGS)
    report = search(library, folder=new, reference=folder)
    assert {group.keep.path.name: [m.image.path.name for m in group.members] for group in report.groups} == {
        "rocket.jpg": ["IMG_1.jpg"],
        "chelsea.jpg": ["smaller.jpg"],
    }


def stored(library: Path, *wanted: str):
    with open_library(library) as reader:
        ids, _, _ = reader.fingerprints()
        images = reader.images(ids.tolist())
    return [image for copies in images.values() for image in copies if image.path.name in wanted]


def test_a_photo_in_a_screenshot_of_something_else_is_not_given_up_for_it(tmp_path: Path) -> None:
    folder = tmp_path / "phone"
    folder.mkdir()
    photo("coffee").save(folder / "photo.jpg", quality=92)
    feed = Image.new("RGB", (600, 1400), "white")
    for place, name in enumerate(("astronaut", "coffee", "rocket")):
        feed.paste(photo(name).resize((560, 420)), (20, 20 + 460 * place))
    feed.save(folder / "screenshot.png")
    index_folders(tmp_path / "library", [folder], SETTINGS)
    assert names(search(tmp_path / "library")) == set()


def test_a_picture_in_a_frame_goes_for_the_picture(tmp_path: Path) -> None:
    folder = tmp_path / "phone"
    folder.mkdir()
    photo("coffee").save(folder / "photo.jpg", quality=92)
    frame = Image.new("RGB", (620, 460), (20, 20, 20))
    frame.paste(photo("coffee"), (70, 70))
    frame.save(folder / "framed.jpg", quality=92)
    index_folders(tmp_path / "library", [folder], SETTINGS)
    [group] = search(tmp_path / "library").groups
    assert group.keep.path.name == "photo.jpg"
    assert group.members[0].evidence.framed


def test_a_screenshot_that_shows_more_of_a_photo_than_its_thumbnail_stays(tmp_path: Path) -> None:
    folder = tmp_path / "phone"
    folder.mkdir()
    photo("coffee").resize((240, 160)).save(folder / "thumbnail.jpg", quality=92)
    frame = Image.new("RGB", (840, 640), (20, 20, 20))
    frame.paste(photo("coffee").resize((720, 480)), (60, 80))
    frame.save(folder / "framed.jpg", quality=92)
    index_folders(tmp_path / "library", [folder], SETTINGS)
    assert names(search(tmp_path / "library")) == set()


def test_a_picture_that_comes_back_is_compared_with_what_came_meanwhile(
    library: Path, folder: Path, tmp_path: Path
) -> None:
    search(library)
    shutil.move(folder / "rocket.jpg", tmp_path / "away.jpg")
    index_folders(library, [folder], SETTINGS)
    search(library)
    photo("rocket").resize((320, 214)).save(folder / "smaller.jpg", quality=80)
    index_folders(library, [folder], SETTINGS)
    search(library)
    shutil.move(tmp_path / "away.jpg", folder / "rocket.jpg")
    index_folders(library, [folder], SETTINGS)
    assert frozenset({"rocket.jpg", "smaller.jpg"}) in names(search(library))


def kept(tmp_path: Path, other: Image.Image, name: str, **options: object) -> set[str]:
    """Index a colour JPEG beside another version of it; give the names of what would stay."""
    folder = tmp_path / "photos"
    folder.mkdir()
    photo("coffee").save(folder / "photo.jpg", quality=92)
    other.save(folder / name, **options)
    index_folders(tmp_path / "library", [folder], SETTINGS)
    return {group.keep.path.name for group in search(tmp_path / "library").groups}


def test_a_photo_is_not_given_up_for_a_png_of_a_worse_copy(tmp_path: Path) -> None:
    worse = io.BytesIO()
    photo("coffee").save(worse, "JPEG", quality=25)
    assert kept(tmp_path, Image.open(worse), "worse.png") == {"photo.jpg"}


def test_a_png_is_kept_over_the_jpeg_that_was_made_of_it(tmp_path: Path) -> None:
    assert kept(tmp_path, photo("coffee"), "original.png") == {"original.png"}


def test_a_colour_photo_is_not_given_up_for_a_grey_one(tmp_path: Path) -> None:
    assert kept(tmp_path, photo("coffee").convert("L").convert("RGB"), "grey.png") == {"photo.jpg"}


@pytest.mark.parametrize(("name", "colours"), [("few.png", 64), ("few.gif", 256)])
def test_a_photo_is_not_given_up_for_one_with_a_palette(tmp_path: Path, name: str, colours: int) -> None:
    few = photo("coffee").quantize(colours)
    assert kept(tmp_path, few, name) == {"photo.jpg"}


def test_a_colour_photo_in_a_frame_is_not_given_up_for_a_grey_one_without(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    photo("coffee").convert("L").save(folder / "grey.jpg", quality=92)
    frame = Image.new("RGB", (620, 460), (20, 20, 20))
    frame.paste(photo("coffee"), (70, 70))
    frame.save(folder / "framed.jpg", quality=92)
    index_folders(tmp_path / "library", [folder], SETTINGS)
    assert names(search(tmp_path / "library")) == set()
