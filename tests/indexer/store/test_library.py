import os
import sqlite3
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import CatalogDamaged, LibraryEmpty, LibraryMissing
from indexer.records import EncodedImage, Skipped
from indexer.store import engines
from indexer.store.library import find_library, open_for_writing, open_library
from indexer.store.migrate import back_up
from indexer.store.opening import connect_to_write
from indexer.store.peek import peek_card
from indexer.store.records import Changeover, Filters, ScanOutcome
from indexer.store.writer import LibraryWriter

from ..rights import ordinary_user
from .making import (
    DIMENSION,
    encode,
    make_card,
    make_facts,
    make_file,
    make_library,
    make_query,
    make_vector,
    sha_of,
)
from .making import scan as run_scan


def paths_of(reader, encoder, filters=None) -> set[str]:
    """The files that a search for everything finds."""
    near = reader.nearest(encoder, make_query(), k=10_000, filters=filters)[0]
    images = reader.images([item.content_id for item in near], filters)
    assert set(images) == {item.content_id for item in near}
    return {image.relative for found in images.values() for image in found}


def test_what_is_committed_can_be_read_back_whole(photos: Path) -> None:
    taken = datetime(2020, 5, 17, 12, 30)
    facts = make_facts("c", width=300, height=200, taken_at=taken, camera="Canon EOS R")
    file = make_file(photos, "a.jpg", size=77, mtime_ns=1_700_000_000_123_456_789)
    with open_for_writing(photos / ".sightline", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        writer.use_root(photos)
        writer.commit(encoder, [], [encode(file, "c", facts)], [])
    with open_library(photos / ".sightline") as reader:
        id = reader.content_by_hash(sha_of("c"))
        [image] = reader.images([id])[id]
        vector = reader.vectors_of(encoder, [id])[0]
    assert (image.path, image.relative, image.content_hash) == (photos / "a.jpg", "a.jpg", sha_of("c"))
    assert (image.width, image.height, image.format) == (300, 200, "JPEG")
    assert (image.taken_at, image.camera) == (taken, "Canon EOS R")
    assert (image.latitude, image.longitude) == (47.5, -8.25)
    assert (image.size, image.mtime_ns) == (77, 1_700_000_000_123_456_789)
    assert (vector == make_vector("c").astype(np.float16)).all()


def test_a_card_comes_back_as_it_was_given(photos: Path) -> None:
    library = make_library(photos, 3)
    with open_library(library) as reader:
        assert reader.default_encoder().card == make_card()
        assert reader.default_encoder().images == 3
    assert peek_card(library) == make_card()


def test_an_encoder_goes_by_the_name_that_its_weights_were_given_last(photos: Path) -> None:
    library = make_library(photos, 2)
    with open_for_writing(library, create=False) as writer:
        renamed = writer.use_encoder(replace(make_card(), name="/runs/pacl"))
        assert writer.encoders() == (renamed,)
    assert peek_card(library) == replace(make_card(), name="/runs/pacl")


def test_searches_keep_an_encoder_until_another_has_as_many_images(photos: Path) -> None:
    library = make_library(photos, 2)
    with open_for_writing(library, create=False) as writer:
        other = writer.use_encoder(make_card("other"))
        former = writer.default_encoder()
        for nth in range(2):
            assert writer.answers_with(other) == Changeover(former, False, lacking=2 - nth, only_new=0)
            assert writer.default_encoder().card == make_card()
            image = encode(make_file(photos, f"{nth}/{nth}.jpg", 1000 + nth), f"content {nth}")
            writer.commit(other, [], [image], [])
        assert writer.answers_with(other) == Changeover(former, True, lacking=0, only_new=0)
        assert writer.default_encoder().card.name == "other"
        assert writer.answers_with(other) is None
        assert peek_card(library) == make_card("other")


def test_searches_of_a_library_without_an_image_change_to_another_encoder_at_once(photos: Path) -> None:
    with open_for_writing(photos / ".sightline", create=True) as writer:
        writer.use_encoder(make_card())
        writer.use_encoder(make_card("other"))
    assert peek_card(photos / ".sightline") == make_card("other")


def test_a_library_of_an_older_program_is_indexed_with_the_encoder_of_its_searches(library: Path) -> None:
    with closing(sqlite3.connect(library / "catalog.sqlite")) as connection, connection:
        connection.execute("DELETE FROM setting WHERE key = 'indexing_encoder'")
    with open_for_writing(library, create=False) as writer:
        assert writer.indexing_encoder() == writer.default_encoder()


def test_new_images_of_another_encoder_do_not_make_up_for_those_it_lacks(photos: Path) -> None:
    library = make_library(photos, 2)
    with open_for_writing(library, create=False) as writer:
        other = writer.use_encoder(make_card("other"))
        new = [encode(make_file(photos, f"new/{nth}.jpg", 1000), f"new {nth}") for nth in range(3)]
        writer.commit(other, [], new, [])
        assert writer.indexing_encoder() == writer.encoders()[1]
        change = Changeover(writer.default_encoder(), False, lacking=2, only_new=3)
        assert writer.answers_with(other, saw_all=True) == change
        assert writer.default_encoder().card == make_card()


def test_one_image_in_twenty_does_not_hold_up_another_encoder_once_all_was_seen(photos: Path) -> None:
    library = make_library(photos, 20)
    with open_for_writing(library, create=False) as writer:
        other = writer.use_encoder(make_card("other"))
        found = [(make_file(photos, f"{nth}/{nth}.jpg", 1000 + nth), f"content {nth}") for nth in range(19)]
        writer.commit(other, [], [encode(file, content) for file, content in found[:18]], [])
        former = writer.default_encoder()
        assert writer.answers_with(other, saw_all=True) == Changeover(former, False, lacking=2, only_new=0)
        writer.commit(other, [], [encode(*found[18])], [])
        assert writer.answers_with(other) == Changeover(former, False, lacking=1, only_new=0)
        assert writer.answers_with(other, saw_all=True) == Changeover(former, True, lacking=1, only_new=0)
        assert writer.default_encoder().card.name == "other"
        assert writer.use_encoder(make_card()).id == writer.encoders()[0].id
        assert writer.answers_with(writer.encoders()[0]).changed
        assert writer.default_encoder().card == make_card()


def test_an_image_that_was_removed_does_not_hold_up_another_encoder(photos: Path) -> None:
    library = make_library(photos, 3)
    with open_for_writing(library, create=False) as writer:
        other = writer.use_encoder(make_card("other"))
        run_scan(writer, other, {make_file(photos, f"{i}/{i}.jpg", 1000 + i): f"content {i}" for i in (1, 2)})
        assert writer.status().kept == 1
        assert writer.answers_with(other) == Changeover(writer.encoders()[0], True, lacking=0, only_new=0)


def test_a_library_without_images_says_so(photos: Path) -> None:
    open_for_writing(photos / ".sightline", create=True).close()
    assert peek_card(photos / ".sightline") is None
    with open_library(photos / ".sightline") as reader, pytest.raises(LibraryEmpty):
        reader.default_encoder()


def test_a_path_with_two_slashes_in_front_as_shares_have_it_is_opened(library: Path) -> None:
    with open_library(Path(f"/{library}")) as reader:
        assert reader.path.as_posix().startswith("//")
        assert reader.status().images == 60


@pytest.mark.parametrize("name", ["50%25 off", "which?mode=memory", "no#1", "caf\udce9"])
def test_signs_in_the_name_of_its_folder_stand_for_themselves(tmp_path: Path, name: str) -> None:
    library = make_library(tmp_path / name, 1)
    assert (library / "catalog.sqlite").is_file()


def test_a_library_is_found_from_a_folder_below_it(library: Path, photos: Path) -> None:
    (photos / "3" / "deep").mkdir(parents=True)
    assert find_library(photos / "3" / "deep") == library
    assert find_library(photos.parent) is None


def test_a_library_that_may_not_be_entered_does_not_hide_the_one_above(library: Path, photos: Path) -> None:
    (photos / "3" / ".sightline").mkdir(mode=0, parents=True)
    with ordinary_user():
        assert find_library(photos / "3") == library


@pytest.mark.parametrize("opening", [open_library, lambda path: open_for_writing(path, create=False)])
def test_a_missing_library_is_told_and_not_made(photos: Path, opening) -> None:
    with pytest.raises(LibraryMissing, match="sightline index"):
        opening(photos / ".sightline")
    assert list(photos.iterdir()) == []


def test_a_catalog_of_random_bytes_is_told_as_damaged(library: Path) -> None:
    (library / "catalog.sqlite").write_bytes(np.random.default_rng(0).bytes(50_000))
    with pytest.raises(CatalogDamaged, match="backups"):
        open_library(library)
    with pytest.raises(CatalogDamaged):
        open_for_writing(library, create=False)


def test_a_catalog_with_a_broken_page_is_told_as_damaged(library: Path) -> None:
    raw = bytearray((library / "catalog.sqlite").read_bytes())
    raw[8192:] = os.urandom(len(raw) - 8192)
    (library / "catalog.sqlite").write_bytes(raw)
    with pytest.raises(CatalogDamaged), open_library(library) as reader:
        reader.embeddings(reader.default_encoder())


def test_a_database_of_another_program_is_told_as_damaged(photos: Path) -> None:
    (photos / ".sightline").mkdir()
    connection = sqlite3.connect(photos / ".sightline" / "catalog.sqlite")
    connection.execute("CREATE TABLE recipes (id INTEGER)")
    connection.close()
    with pytest.raises(CatalogDamaged, match="no catalog of sightline"):
        open_library(photos / ".sightline")
    with pytest.raises(CatalogDamaged, match="no catalog of sightline"):
        open_for_writing(photos / ".sightline", create=True)


# What a scan finds


def test_an_unchanged_file_is_known_and_a_touched_one_is_hashed_first(library: Path, photos: Path) -> None:
    files = [
        make_file(photos, "1/1.jpg", 1001),
        make_file(photos, "2/2.jpg", 1002, mtime_ns=9),
        make_file(photos, "new.jpg", 1003),
        make_file(photos, "other.jpg", 5),
    ]
    with open_for_writing(library, create=False) as writer:
        handle = writer.use_root(photos)
        writer.begin_scan([handle])
        known = writer.classify(handle, files, writer.default_encoder())
    assert [item.file for item in known] == files
    assert [item.state for item in known] == ["unchanged", "hash-first", "hash-first", "new"]


def test_another_encoder_finds_every_file_new(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False) as writer:
        encoder = writer.use_encoder(make_card("other"))
        handle = writer.use_root(photos)
        known = writer.classify(handle, [make_file(photos, "1/1.jpg", 1001)], encoder)
    assert [item.state for item in known] == ["new"]


def test_a_bad_file_is_known_with_its_reason_until_it_changes(library: Path, photos: Path) -> None:
    bad = make_file(photos, "bad.jpg", 13)
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        handle = writer.use_root(photos)
        writer.commit(encoder, [], [], [Skipped(bad, "not an image")])
        [known] = writer.classify(handle, [bad], encoder)
        [changed] = writer.classify(handle, [make_file(photos, "bad.jpg", 13, mtime_ns=2)], encoder)
        assert writer.status().skipped == (("not an image", 1),)
    assert (known.state, known.reason) == ("skipped", "not an image")
    assert changed.state == "new"


def test_a_file_that_became_bad_leaves_the_results(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        writer.use_root(photos)
        writer.commit(encoder, [], [], [Skipped(make_file(photos, "1/1.jpg", 9), "cut off")])
        assert "1/1.jpg" not in paths_of(writer, encoder)
        assert len(paths_of(writer, encoder)) == 59


def test_renamed_file_keeps_its_vector(library: Path, photos: Path) -> None:
    files = {make_file(photos, f"{i % 10}/{i}.jpg", 1000 + i): f"content {i}" for i in range(1, 60)}
    files[make_file(photos, "moved.jpg", 1000)] = "content 0"
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        before = writer.content_by_hash(sha_of("content 0"))
        known, outcome = run_scan(writer, encoder, files)
        assert [item.state for item in known].count("hash-first") == 1
        assert outcome == ScanOutcome(removed=1, moved=1)
        assert writer.content_by_hash(sha_of("content 0")) == before
        assert "moved.jpg" in paths_of(writer, encoder)
        assert "0/0.jpg" not in paths_of(writer, encoder)


def test_a_copy_is_no_move(library: Path, photos: Path) -> None:
    files = {make_file(photos, f"{i % 10}/{i}.jpg", 1000 + i): f"content {i}" for i in range(60)}
    files[make_file(photos, "copy.jpg", 1000)] = "content 0"
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        _, outcome = run_scan(writer, encoder, files)
        assert outcome == ScanOutcome(removed=0, moved=0)
        id = writer.content_by_hash(sha_of("content 0"))
        assert [image.relative for image in writer.images([id])[id]] == ["0/0.jpg", "copy.jpg"]
        assert writer.default_encoder().images == 60


def test_two_copies_in_one_batch_are_one_content(photos: Path) -> None:
    with open_for_writing(photos / ".sightline", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        run_scan(writer, encoder, {make_file(photos, "a"): "A", make_file(photos, "b"): "A"})
        assert paths_of(writer, encoder) == {"a", "b"}
        assert writer.default_encoder().images == 1
        assert len(writer.embeddings(encoder)[0]) == 1


def test_two_files_that_change_places_both_have_moved(photos: Path) -> None:
    with open_for_writing(photos / ".sightline", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        run_scan(writer, encoder, {make_file(photos, "a"): "A", make_file(photos, "b"): "B"})
        swapped = {make_file(photos, "a", mtime_ns=2): "B", make_file(photos, "b", mtime_ns=2): "A"}
        _, outcome = run_scan(writer, encoder, swapped)
        assert outcome == ScanOutcome(removed=0, moved=2)
        assert paths_of(writer, encoder) == {"a", "b"}


def test_a_touched_file_is_no_move_when_a_copy_leaves(photos: Path) -> None:
    with open_for_writing(photos / ".sightline", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        run_scan(writer, encoder, {make_file(photos, "a"): "A", make_file(photos, "b"): "A"})
        _, outcome = run_scan(writer, encoder, {make_file(photos, "a", mtime_ns=2): "A"})
        assert outcome == ScanOutcome(removed=1, moved=0)


def test_a_deleted_file_leaves_and_returns_without_a_new_vector(library: Path, photos: Path) -> None:
    fewer = {make_file(photos, f"{i % 10}/{i}.jpg", 1000 + i): f"content {i}" for i in range(1, 60)}
    all_files = {make_file(photos, "0/0.jpg", 1000): "content 0", **fewer}
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        _, outcome = run_scan(writer, encoder, fewer)
        assert outcome == ScanOutcome(removed=1, moved=0)
        assert "0/0.jpg" not in paths_of(writer, encoder)
        assert (writer.status().images, writer.status().kept) == (59, 1)
        assert writer.embedded_hashes(encoder, [sha_of("content 0")]) == {sha_of("content 0")}
        known, outcome = run_scan(writer, encoder, all_files)
        assert outcome == ScanOutcome(removed=0, moved=0)
        assert known[0].state == "hash-first"
        assert "0/0.jpg" in paths_of(writer, encoder)
        assert (writer.status().images, writer.status().kept) == (60, 0)


def test_history_expires(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        run_scan(writer, encoder, {make_file(photos, "1/1.jpg", 1001): "content 1"})
        assert writer.expire_history(90) == 0
        assert writer.expire_history(-1) == 59
        assert writer.embedded_hashes(encoder, [sha_of("content 0")]) == set()
        writer.publish(encoder)
        assert paths_of(writer, encoder) == {"1/1.jpg"}


def test_files_below_an_unreadable_folder_stay(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        handle = writer.use_root(photos)
        writer.begin_scan([handle])
        writer.classify(handle, [make_file(photos, "1/1.jpg", 1001)], encoder)
        outcome = writer.finish_scan([photos / "3"])
        assert outcome.removed == 60 - 1 - 6
        assert paths_of(writer, encoder) == {"1/1.jpg", *(f"3/{i}.jpg" for i in range(3, 60, 10))}


def test_a_folder_where_nothing_is_found_any_more_is_kept(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        writer.begin_scan([writer.use_root(photos)])
        assert writer.finish_scan([]) == ScanOutcome(removed=0, moved=0, absent=(photos,))
        assert len(paths_of(writer, encoder)) == 60


def test_an_absent_folder_inside_one_that_is_there_keeps_its_files(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        handle, inner = writer.use_root(photos), writer.use_root(photos / "3")
        writer.begin_scan([handle, inner])
        writer.classify(handle, [make_file(photos, "1/1.jpg", 1001)], encoder)
        assert writer.finish_scan([]) == ScanOutcome(removed=60 - 1 - 6, moved=0, absent=(photos / "3",))
        assert paths_of(writer, encoder) == {"1/1.jpg", *(f"3/{i}.jpg" for i in range(3, 60, 10))}


def test_a_folder_is_there_when_only_one_inside_it_has_images(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        inner = writer.use_root(photos / "3")
        writer.begin_scan([writer.use_root(photos), inner])
        writer.classify(inner, [make_file(photos / "3", "3.jpg", 1003)], encoder)
        assert writer.finish_scan([]) == ScanOutcome(removed=59, moved=0)


def test_what_is_known_at_or_below_a_path_is_told(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False) as writer:
        handle = writer.use_root(photos / "3")
        known = [writer.knows(handle, path) for path in ("", "3.jpg", "3", "4.jpg")]
        assert known == [True, True, False, False]
        assert writer.knows(writer.use_root(photos), "3")


def test_a_scan_of_a_subfolder_leaves_the_rest_alone(library: Path, photos: Path) -> None:
    inner = photos / "3"
    files = {make_file(inner, "3.jpg", 1003): "content 3", make_file(inner, "n.jpg", 7): "new"}
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        known, outcome = run_scan(writer, encoder, files)
        assert [item.state for item in known] == ["unchanged", "new"]
        assert outcome == ScanOutcome(removed=5, moved=0)
        assert {path for path in paths_of(writer, encoder) if path[0] == "3"} == {"3/3.jpg", "3/n.jpg"}
        assert len(paths_of(writer, encoder)) == 60 - 5 + 1
        assert writer.roots() == (photos,)


def test_a_folder_around_known_roots_takes_them_in(tmp_path: Path) -> None:
    outer, inner = tmp_path / "photos", tmp_path / "photos" / "2020"
    inner.mkdir(parents=True)
    with open_for_writing(tmp_path / "lib", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        run_scan(writer, encoder, {make_file(inner, "a.jpg"): "A"})
        assert writer.roots() == (inner,)
        files = {make_file(outer, "2020/a.jpg"): "A", make_file(outer, "b.jpg"): "B"}
        known, outcome = run_scan(writer, encoder, files)
        assert [item.state for item in known] == ["unchanged", "hash-first"]
        assert outcome == ScanOutcome(removed=0, moved=0)
        assert writer.roots() == (outer,)
        assert paths_of(writer, encoder) == {"2020/a.jpg", "b.jpg"}


def test_a_link_to_a_root_is_that_root(photos: Path, library: Path) -> None:
    link = photos.parent / "link"
    link.symlink_to(photos)
    with open_for_writing(library, create=False) as writer:
        handle = writer.use_root(link)
        [known] = writer.classify(handle, [make_file(link, "1/1.jpg", 1001)], writer.default_encoder())
        assert known.state == "unchanged"
        assert writer.roots() == (photos,)


def test_a_moved_library_keeps_its_index(library: Path, photos: Path) -> None:
    moved = photos.rename(photos.parent / "elsewhere")
    with open_for_writing(moved / ".sightline", create=False) as writer:
        assert writer.roots() == (moved,)
        handle = writer.use_root(moved)
        [known] = writer.classify(handle, [make_file(moved, "1/1.jpg", 1001)], writer.default_encoder())
        assert known.state == "unchanged"


def test_names_of_any_bytes_come_back_intact(photos: Path) -> None:
    names = [os.fsdecode(b"caf\xe9/\xff\xfe.jpg"), "100%_/ü 🏔.jpg", "\ufffd.jpg", "a'b\"c\\d\n.jpg"]
    with open_for_writing(photos / ".sightline", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        files = {make_file(photos, name): name for name in names}
        run_scan(writer, encoder, files)
        assert paths_of(writer, encoder) == set(names)
        known, outcome = run_scan(writer, encoder, files)
        assert {item.state for item in known} == {"unchanged"}
        assert outcome.removed == 0


def test_a_million_would_be_streamed_thousands_at_a_time(photos: Path) -> None:
    with open_for_writing(photos / ".sightline", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        handle = writer.use_root(photos)
        files = [make_file(photos, f"{i}.jpg", i) for i in range(2500)]
        assert [item.file for item in writer.classify(handle, files, encoder)] == files


# Filters


def filled(photos: Path) -> Path:
    images: list[EncodedImage] = []
    for name, facts in {
        "a/x.jpg": make_facts("1", taken_at=datetime(2020, 5, 1, 0, 0), camera="Canon EOS R", width=100),
        "a/y.jpg": make_facts("2", taken_at=datetime(2020, 5, 2, 23, 59, 59), camera="NIKON Z6", height=50),
        "a-b/x.jpg": make_facts("3", taken_at=datetime(2021, 1, 1), camera="Gerät ÄÖ"),
        "a%/x.jpg": make_facts("4"),
        "A/x.jpg": make_facts("5"),
        "a0.jpg": make_facts("6"),
        "a/deep/z.jpg": make_facts("7"),
    }.items():
        noon = int(datetime(2019, 3, 4, 12).timestamp()) * 10**9
        images.append(EncodedImage(make_file(photos, name, mtime_ns=noon), facts, make_vector(name)))
    with open_for_writing(photos / ".sightline", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        writer.use_root(photos)
        writer.commit(encoder, [], images, [])
    return photos / ".sightline"


IN_A = {"a/x.jpg", "a/y.jpg", "a/deep/z.jpg"}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(folder=Path("a")), IN_A),
        (Filters(folder=Path("a/")), IN_A),
        (Filters(folder=Path("a%")), {"a%/x.jpg"}),
        (Filters(folder=Path("_")), set()),
        (Filters(folder=Path("nowhere")), set()),
        (Filters(folder=Path("a/x.jpg")), {"a/x.jpg"}),
        (Filters(after=date(2020, 5, 2)), {"a/y.jpg", "a-b/x.jpg"}),
        (Filters(after=date(2020, 5, 1), before=date(2020, 5, 1)), {"a/x.jpg"}),
        (Filters(before=date(2019, 3, 4)), {"a%/x.jpg", "A/x.jpg", "a0.jpg", "a/deep/z.jpg"}),
        (Filters(before=date(2019, 3, 3)), set()),
        (Filters(after=date.min, before=date.max, camera="canon"), {"a/x.jpg"}),
        (Filters(after=date(2999, 1, 1)), set()),
        (Filters(before=date.min), set()),
        (Filters(camera="canon"), {"a/x.jpg"}),
        (Filters(camera="gerät äö"), {"a-b/x.jpg"}),
        (Filters(camera="%"), set()),
        (Filters(min_width=640, folder=Path("a")), {"a/y.jpg", "a/deep/z.jpg"}),
        (Filters(min_height=480, camera="N"), {"a/x.jpg"}),
        (Filters(exclude_contents=frozenset({sha_of("1")}), camera="N"), {"a/y.jpg"}),
    ],
)
def test_a_filter_leaves_exactly_what_it_says(photos: Path, filters: Filters, expected: set[str]) -> None:
    with open_library(filled(photos)) as reader:
        assert paths_of(reader, reader.default_encoder(), filters) == expected


def test_files_of_excluded_contents_are_not_given_either(library: Path) -> None:
    with open_library(library) as reader:
        ids = [reader.content_by_hash(sha_of(f"content {i}")) for i in (3, 4)]
        assert list(reader.images(ids, Filters(exclude_contents=frozenset({sha_of("content 3")})))) == ids[1:]


def test_the_last_nanoseconds_of_a_day_are_of_it(photos: Path) -> None:
    night = int(datetime(2019, 3, 5).timestamp()) * 10**9
    with open_for_writing(photos / ".sightline", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        run_scan(writer, encoder, {make_file(photos, "a", mtime_ns=night - 1): "A"})
        assert paths_of(writer, encoder, Filters(before=date(2019, 3, 4))) == {"a"}


def test_a_folder_may_be_absolute_or_above_the_roots(photos: Path) -> None:
    with open_library(filled(photos)) as reader:
        encoder = reader.default_encoder()
        assert paths_of(reader, encoder, Filters(folder=photos / "a")) == IN_A
        assert len(paths_of(reader, encoder, Filters(folder=photos.parent))) == 7
        assert paths_of(reader, encoder, Filters(folder=photos.parent / "photos2")) == set()


@pytest.fixture
def nothing_but_skipped(photos: Path) -> Iterator[LibraryWriter]:
    """A library of two roots, in which no file could be read."""
    with open_for_writing(photos / ".sightline", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        for name in ("one", "two"):
            writer.use_root(photos / name)
            writer.commit(encoder, [], [], [Skipped(make_file(photos / name, "bad/a.jpg"), "cut off")])
        yield writer


def test_a_folder_of_skipped_files_has_no_images(nothing_but_skipped: LibraryWriter, photos: Path) -> None:
    assert not nothing_but_skipped.has_images(photos)


def test_a_folder_of_skipped_files_is_none_that_images_lie_in(nothing_but_skipped: LibraryWriter) -> None:
    assert nothing_but_skipped.folders() == set()


def test_of_two_copies_only_the_one_in_the_folder_is_shown(photos: Path) -> None:
    with open_for_writing(photos / ".sightline", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        run_scan(writer, encoder, {make_file(photos, "a/1"): "A", make_file(photos, "b/1"): "A"})
        assert paths_of(writer, encoder, Filters(folder=photos / "b")) == {"b/1"}


# Reading


def test_vectors_come_in_the_order_asked(library: Path) -> None:
    with open_library(library) as reader:
        encoder = reader.default_encoder()
        ids, vectors = reader.embeddings(encoder)
        assert (np.diff(ids) > 0).all()
        assert vectors.shape == (60, DIMENSION)
        assert vectors.dtype == np.float32
        order = [int(ids[7]), int(ids[3]), int(ids[7])]
        assert (reader.vectors_of(encoder, order) == vectors[[7, 3, 7]]).all()
        with pytest.raises(KeyError):
            reader.vectors_of(encoder, [12345])


def test_all_vectors_are_held_once_while_they_are_read(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.store.catalog.ROWS_AT_ONCE", 50)
    with open_library(make_library(photos, 2000, publish=False)) as reader:
        encoder = reader.default_encoder()
        tracemalloc.start()
        ids, vectors = reader.embeddings(encoder)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 1.3 * (ids.nbytes + vectors.nbytes)


def test_a_sample_is_the_same_for_the_same_seed(library: Path) -> None:
    with open_library(library) as reader:
        encoder = reader.default_encoder()
        first, again = (reader.sample_vectors(encoder, 10, seed=1) for _ in range(2))
        assert first.shape == (10, DIMENSION)
        assert (first == again).all()
        assert not (reader.sample_vectors(encoder, 10, seed=2) == first).all()
        assert reader.sample_vectors(encoder, 1000, seed=1).shape == (60, DIMENSION)


def test_the_status_counts_everything(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False) as writer:
        writer.use_root(photos)
        bad = [Skipped(make_file(photos, f"bad{i}"), "cut off" if i else "empty") for i in range(3)]
        writer.commit(writer.default_encoder(), [], [], bad)
        writer.set_background(writer.default_encoder(), {"mean": 0.25})
        writer.record_run({"indexed": 60, "seconds": 1.5})
        status = writer.status()
    assert (status.images, status.files, status.kept) == (60, 60, 0)
    assert status.skipped == (("cut off", 2), ("empty", 1))
    assert status.roots == (photos,)
    assert status.encoders[0].background == {"mean": 0.25, "generation": 2}
    assert status.last_run == {"indexed": 60, "seconds": 1.5}
    assert status.vectors_bytes == sum(path.stat().st_size for path in (library / "vectors").iterdir())
    assert status.catalog_bytes > 60 * DIMENSION * 2


def test_images_are_new_that_came_since_the_background_was_measured(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False) as writer:
        writer.use_root(photos)
        writer.set_background(writer.default_encoder(), {"mean": 0.25})
        assert writer.count_new(writer.default_encoder()) == 0
        writer.commit(writer.default_encoder(), [], [encode(make_file(photos, "new.jpg"))], [])
        assert writer.count_new(writer.default_encoder()) == 1


def test_of_a_background_that_an_older_program_measured_no_image_is_new(library: Path) -> None:
    with closing(sqlite3.connect(library / "catalog.sqlite")) as connection, connection:
        connection.execute("""UPDATE encoder SET background = '{"mean": 0.25}'""")
    with open_for_writing(library, create=False) as writer:
        assert writer.count_new(writer.default_encoder()) == 0


def test_a_pixel_hash_outlives_an_encoder_for_which_the_picture_came_reduced(photos: Path) -> None:
    file, whole = make_file(photos, "a.jpg"), replace(make_facts("A"), pixel_hash=sha_of("pixels"))
    with open_for_writing(photos / ".sightline", create=True) as writer:
        writer.use_root(photos)
        writer.commit(writer.use_encoder(make_card()), [], [encode(file, "A", whole)], [])
        writer.commit(writer.use_encoder(make_card("other")), [], [encode(file, "A")], [])
        assert writer.pixel_hashes()[1].tobytes() == sha_of("pixels")


@pytest.fixture
def one_removed(photos: Path) -> Iterator[LibraryWriter]:
    """A library of one image beside one that is kept without a file."""
    with open_for_writing(photos / ".sightline", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        writer.begin_scan([writer.use_root(photos)])
        facts = [replace(make_facts(name), pixel_hash=sha_of(f"pixels {name}")) for name in ("A", "B")]
        writer.commit(encoder, [], [encode(make_file(photos, "a"), "A", facts[0])], [])
        writer.commit(encoder, [], [encode(make_file(photos, "a", 9), "B", facts[1])], [])
        yield writer


def test_a_removed_image_has_no_fingerprint_to_compare(one_removed: LibraryWriter) -> None:
    assert one_removed.fingerprints()[0].tolist() == [one_removed.content_by_hash(sha_of("B"))]


def test_a_removed_image_has_no_pixel_hash_to_compare(one_removed: LibraryWriter) -> None:
    assert one_removed.pixel_hashes()[0].tolist() == [one_removed.content_by_hash(sha_of("B"))]


# Forgetting


def test_forgotten_files_leave_no_byte_behind(library: Path, photos: Path) -> None:
    codes = make_vector("content 3").astype("<f2").tobytes()
    held = [path for path in library.rglob("*") if path.is_file() and codes in path.read_bytes()]
    assert len(held) == 2  # the catalog and the FAISS file
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        assert writer.forget(photos / "3") == 6
        assert not any(path.startswith("3/") for path in paths_of(writer, encoder))
        assert writer.content_by_hash(sha_of("content 3")) is None
    for path in library.rglob("*"):
        assert path.is_dir() or codes not in path.read_bytes()
        assert path.is_dir() or b"3/13.jpg" not in path.read_bytes()


def test_forgotten_files_are_in_no_backup_either(library: Path, photos: Path) -> None:
    back_up(library, "0005")
    with open_for_writing(library, create=False) as writer:
        writer.forget(photos / "3")
    assert list(library.glob("backups/*")) == []


def test_forgotten_files_are_overwritten_where_sqlite_does_not_by_itself(
    library: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(path: Path) -> sqlite3.Connection:
        connection = connect_to_write(path)
        connection.execute("PRAGMA secure_delete = OFF")
        return connection

    monkeypatch.setattr(engines, "connect_to_write", connect)
    with open_for_writing(library, create=False) as writer:
        writer.forget(photos / "3")
    assert b"3/13.jpg" not in (library / "catalog.sqlite").read_bytes()


def test_forgotten_files_are_in_no_vectors_file_of_another_encoder(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False) as writer:
        other = writer.use_encoder(make_card("other"))
        writer.use_root(photos)
        image = EncodedImage(
            make_file(photos, "3/3.jpg", 1003), make_facts("content 3"), make_vector("other 3")
        )
        writer.commit(other, [], [image], [])
        writer.publish(other)
        writer.forget(photos / "3")
    codes = make_vector("other 3").astype("<f2").tobytes()
    assert not any(codes in path.read_bytes() for path in (library / "vectors").iterdir())


def test_of_many_forgotten_paths_the_vectors_file_is_written_once(library: Path, photos: Path) -> None:
    [before] = (library / "vectors").iterdir()
    with open_for_writing(library, create=False) as writer:
        with writer.forgetting():
            assert [writer.forget(photos / name) for name in ("3", "4", "nowhere")] == [6, 6, 0]
            assert list((library / "vectors").iterdir()) == [before]
        assert list((library / "vectors").iterdir()) != [before]


def test_what_was_forgotten_before_a_failure_leaves_no_byte_behind(library: Path, photos: Path) -> None:
    codes = make_vector("content 3").astype("<f2").tobytes()
    with (
        open_for_writing(library, create=False) as writer,
        pytest.raises(KeyboardInterrupt),
        writer.forgetting(),
    ):
        writer.forget(photos / "3")
        raise KeyboardInterrupt
    assert not any(codes in path.read_bytes() for path in library.rglob("*") if path.is_file())


def test_forgetting_a_copy_keeps_the_other(photos: Path) -> None:
    with open_for_writing(photos / ".sightline", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        run_scan(writer, encoder, {make_file(photos, "a/1"): "A", make_file(photos, "b/1"): "A"})
        assert writer.forget(photos / "a") == 1
        assert paths_of(writer, encoder) == {"b/1"}


def test_forgetting_nothing_is_told(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False) as writer:
        assert writer.forget(photos / "nowhere") == 0


def test_what_is_kept_of_removed_files_can_be_forgotten_at_once(library: Path, photos: Path) -> None:
    codes = make_vector("content 3").astype("<f2").tobytes()
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        run_scan(writer, encoder, {make_file(photos, "1/1.jpg", 1001): "content 1"})
        assert writer.status().kept == 59
        assert writer.forget_removed() == 59
        assert writer.forget_removed() == 0
        assert (writer.status().kept, paths_of(writer, encoder)) == (0, {"1/1.jpg"})
    assert not any(codes in path.read_bytes() for path in library.rglob("*") if path.is_file())


def test_a_forgotten_root_is_no_root_any_more(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False) as writer:
        assert writer.forget(photos) == 60
        assert writer.roots() == ()


def test_a_root_inside_a_forgotten_folder_is_no_root_any_more(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False) as writer:
        assert writer.forget(photos.parent) == 60
        assert writer.roots() == ()
