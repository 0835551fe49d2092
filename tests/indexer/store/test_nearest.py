import os
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from indexer.encoders.base import unit_rows
from indexer.records import EncodedImage
from indexer.store.library import open_for_writing, open_library
from indexer.store.records import Filters

from .making import (
    DIMENSION,
    by_numpy,
    encode,
    make_card,
    make_facts,
    make_file,
    make_library,
    make_query,
    make_vector,
    scan,
    sha_of,
)

BY_MATRIX, BY_FAISS = 10_000, 0  # from how many images on FAISS is used
both = pytest.mark.parametrize("faiss_from", [BY_MATRIX, BY_FAISS], ids=["matrix", "faiss"])


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6,000 images, so that a wide filter leaves more than are compared one by one."""
    return make_library(tmp_path_factory.mktemp("large"), 6_000)


@both
@pytest.mark.parametrize("k", [1, 20, 5_999, 6_000, 10_000])
def test_the_answer_is_that_of_numpy(large: Path, faiss_from: int, k: int) -> None:
    with open_library(large, faiss_from=faiss_from) as reader:
        encoder = reader.default_encoder()
        for seed in range(3):
            query = make_query(seed)
            assert reader.nearest(encoder, query, k=k)[0] == by_numpy(reader, encoder, query[0], k)


@both
def test_several_queries_are_answered_each_by_itself(large: Path, faiss_from: int) -> None:
    queries = np.concatenate([make_query(seed) for seed in range(5)])
    with open_library(large, faiss_from=faiss_from) as reader:
        encoder = reader.default_encoder()
        together = reader.nearest(encoder, queries, k=7)
        assert together == [by_numpy(reader, encoder, query, 7) for query in queries]


@both
@pytest.mark.parametrize("folders", [1, 9])
def test_a_filter_acts_before_the_cut(large: Path, faiss_from: int, folders: int) -> None:
    """One folder is compared one by one, nine of ten go through the index."""
    photos = large.parent
    with open_library(large, faiss_from=faiss_from) as reader:
        encoder = reader.default_encoder()
        excluded = (
            frozenset(sha_of(f"content {i}") for i in range(0, 6_000, 10)) if folders == 9 else frozenset()
        )
        filters = Filters(folder=photos / "3" if folders == 1 else photos, exclude_contents=excluded)
        images = reader.images(reader.embeddings(encoder)[0].tolist())
        in_folder = {id: found[0].relative[0] for id, found in images.items()}
        allowed = {id for id, name in in_folder.items() if (name == "3" if folders == 1 else name != "0")}
        query = make_query(5)
        expected = by_numpy(reader, encoder, query[0], 25, allowed)
        assert reader.nearest(encoder, query, k=25, filters=filters)[0] == expected


@both
def test_a_filter_that_leaves_few_gives_those_few(large: Path, faiss_from: int) -> None:
    with open_library(large, faiss_from=faiss_from) as reader:
        encoder = reader.default_encoder()
        filters = Filters(folder=large.parent / "3" / "13.jpg")
        [near] = reader.nearest(encoder, make_query(), k=20, filters=filters)
        assert [item.content_id for item in near] == [reader.content_by_hash(sha_of("content 13"))]
        assert reader.nearest(encoder, make_query(), k=20, filters=Filters(after=date(2999, 1, 1))) == [[]]


@both
def test_equal_scores_come_by_id(photos: Path, faiss_from: int) -> None:
    """100 contents share one vector, more than are asked for, among 200 others."""
    same = make_vector("same")
    names = [f"{i}.jpg" for i in range(300)]
    vectors = [same if i % 3 == 0 else make_vector(name) for i, name in enumerate(names)]
    images = [
        EncodedImage(make_file(photos, name), make_facts(name), vector)
        for name, vector in zip(names, vectors, strict=True)
    ]
    with open_for_writing(photos / ".sightline", create=True, faiss_from=faiss_from) as writer:
        encoder = writer.use_encoder(make_card())
        writer.use_root(photos)
        writer.commit(encoder, [], images, [])
        writer.publish(encoder)
        for k in (5, 50, 150):
            [near] = writer.nearest(encoder, same[None], k=k)
            assert near == by_numpy(writer, encoder, same, k)


@both
def test_an_empty_library_answers_with_nothing(photos: Path, faiss_from: int) -> None:
    with open_for_writing(photos / ".sightline", create=True, faiss_from=faiss_from) as writer:
        encoder = writer.use_encoder(make_card())
        assert writer.nearest(encoder, make_query(), k=5) == [[]]
        writer.publish(encoder)
        assert writer.nearest(encoder, make_query(), k=5) == [[]]


def test_no_neighbours_asked_for_is_none_given(library: Path) -> None:
    with open_library(library) as reader:
        assert reader.nearest(reader.default_encoder(), make_query(), k=0) == [[]]


def test_a_query_that_is_not_finite_is_refused(library: Path) -> None:
    with open_library(library) as reader, pytest.raises(ValueError, match="not finite"):
        reader.nearest(reader.default_encoder(), np.full((1, DIMENSION), np.nan, np.float32), k=5)


@both
def test_what_came_and_went_since_the_file_is_caught_up(photos: Path, faiss_from: int) -> None:
    """Removed, returned, new and changed files, none of them published, read by one that stays open."""
    library = make_library(photos, 200)
    with open_library(library, faiss_from=faiss_from) as reader:
        encoder = reader.default_encoder()
        query = make_query(3)
        assert reader.nearest(encoder, query, k=300)[0] == by_numpy(reader, encoder, query[0], 300)
        rounds = [
            {make_file(photos, f"{i % 10}/{i}.jpg", 1000 + i): f"content {i}" for i in range(50, 200)},
            {make_file(photos, f"{i % 10}/{i}.jpg", 1000 + i): f"content {i}" for i in range(25, 250)},
            {make_file(photos, f"{i % 10}/{i}.jpg", 5000 + i): f"content {i + 1}" for i in range(25, 250)},
        ]
        for files in rounds:
            with open_for_writing(library, create=False) as writer:
                scan(writer, encoder, files)
            expected = by_numpy(reader, encoder, query[0], 300)
            assert len(expected) == len(files)
            assert reader.nearest(encoder, query, k=300)[0] == expected
            with open_library(library, faiss_from=faiss_from) as another:
                assert another.nearest(encoder, query, k=300)[0] == expected
        with open_for_writing(library, create=False) as writer:
            writer.publish(encoder)
        assert reader.nearest(encoder, query, k=300)[0] == expected
        assert reader.warnings == ()


@both
@pytest.mark.parametrize("exact_up_to", [2, 4096])
@pytest.mark.parametrize("folder", ["", "3"])
@pytest.mark.parametrize("excluded", [[], ["content 3", "3/new0.jpg", "4/new0.jpg"]])
def test_a_filter_acts_on_what_came_since_the_file_as_well(
    library: Path,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    faiss_from: int,
    exact_up_to: int,
    folder: str,
    excluded: list[str],
) -> None:
    monkeypatch.setattr("indexer.store.nearest._EXACT_UP_TO", exact_up_to)
    fresh = [encode(make_file(photos, f"{i % 10}/new{i // 10}.jpg")) for i in range(60)]
    hashes = frozenset(map(sha_of, excluded))
    filters = Filters(folder=photos / folder if folder else None, exclude_contents=hashes)
    with open_library(library, faiss_from=faiss_from) as reader:
        encoder = reader.default_encoder()
        reader.nearest(encoder, make_query(), k=1)  # opens the file, which knows nothing of what comes now
        with open_for_writing(library, create=False) as writer:
            writer.commit(encoder, [], fresh, [])
        images = reader.images(reader.embeddings(encoder)[0].tolist())
        barred = {reader.content_by_hash(each) for each in hashes}
        allowed = {id for id, [image] in images.items() if image.relative.startswith(folder)} - barred
        for query in map(make_vector, ("3/new0.jpg", "4/new0.jpg", "content 3")):
            expected = by_numpy(reader, encoder, query, 8, allowed)
            assert len(expected) == 8
            assert reader.nearest(encoder, query[None], k=8, filters=filters)[0] == expected


def test_more_than_can_be_caught_up_on_is_not_read_twice(
    library: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.store.nearest.CATCH_UP_MAX", 5)
    asked: list[str] = []
    with open_library(library, faiss_from=BY_FAISS) as reader:
        encoder = reader.default_encoder()
        with open_for_writing(library, create=False) as writer:
            writer.commit(encoder, [], [encode(make_file(photos, f"new{i}.jpg")) for i in range(6)], [])
        with reader.snapshot(), reader.reading() as connection:
            connection.set_trace_callback(asked.append)
            near = reader.nearest(encoder, make_query(), k=100)[0]
            connection.set_trace_callback(None)
        assert near == by_numpy(reader, encoder, make_query()[0], 100)
    assert sum("SELECT content_id, vector" in question and "ORDER BY" in question for question in asked) == 1


@both
def test_two_encoders_keep_apart(photos: Path, faiss_from: int) -> None:
    library = make_library(photos, 50)
    with open_for_writing(library, create=False, faiss_from=faiss_from) as writer:
        first = writer.default_encoder()
        wide = writer.use_encoder(make_card("wide", 48))
        images = [
            EncodedImage(
                make_file(photos, f"{i % 10}/{i}.jpg", 1000 + i),
                make_facts(f"content {i}"),
                make_vector(f"wide {i}", 48),
            )
            for i in range(30)
        ]
        writer.commit(wide, [], images, [])
        writer.publish(wide)
        for encoder, dimension, count in ((first, DIMENSION, 50), (wide, 48, 30)):
            query = make_query(1, dimension)
            near = writer.nearest(encoder, query, k=100)[0]
            assert near == by_numpy(writer, encoder, query[0], 100)
            assert len(near) == count


def test_a_vector_that_one_encoder_lost_answers_with_the_other(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False, faiss_from=0) as writer:
        first, other = writer.default_encoder(), writer.use_encoder(make_card("other"))
        writer.use_root(photos)
        writer.commit(other, [], [encode(make_file(photos, "3/3.jpg", 1003), "content 3")], [])
        writer.remove_vectors(other, [writer.content_by_hash(sha_of("content 3"))])
        assert len(writer.nearest(first, make_query(), k=100)[0]) == 60


def test_one_snapshot_sees_one_commit(library: Path, photos: Path) -> None:
    with open_library(library) as reader:
        encoder = reader.default_encoder()
        with reader.snapshot():
            before = reader.nearest(encoder, make_query(), k=100)
            with open_for_writing(library, create=False) as writer:
                writer.forget(photos / "3")
            assert reader.nearest(encoder, make_query(), k=100) == before
            assert len(reader.images([item.content_id for item in before[0]])) == 60
        assert len(reader.nearest(encoder, make_query(), k=100)[0]) == 54


@both
def test_what_left_before_a_later_file_was_written_answers_no_more(photos: Path, faiss_from: int) -> None:
    library = make_library(photos, 60)
    with open_library(library, faiss_from=faiss_from) as reader:
        encoder = reader.default_encoder()
        assert len(reader.nearest(encoder, make_query(), k=100)[0]) == 60
        with open_for_writing(library, create=False) as writer:
            scan(writer, encoder, {make_file(photos, "1/1.jpg", 1001): "content 1"})
            writer.publish(encoder)
        assert len(reader.nearest(encoder, make_query(), k=100)[0]) == 1


@both
def test_a_snapshot_stays_as_of_its_commit_when_another_thread_sees_a_later_one(
    photos: Path, faiss_from: int
) -> None:
    library = make_library(photos, 60)
    with open_library(library, faiss_from=faiss_from) as reader, reader.snapshot():
        encoder = reader.default_encoder()
        with open_for_writing(library, create=False) as writer:
            scan(writer, encoder, {make_file(photos, "1/1.jpg", 1001): "content 1"})
        with ThreadPoolExecutor(1) as threads:
            later = threads.submit(reader.nearest, encoder, make_query(), k=100).result()[0]
        assert len(later) == 1
        assert len(reader.nearest(encoder, make_query(), k=100)[0]) == 60


def test_a_snapshot_outlasts_one_within_it(library: Path, photos: Path) -> None:
    with open_library(library) as reader, reader.snapshot():
        encoder = reader.default_encoder()
        with reader.snapshot():
            assert reader.count_files() == 60
        with open_for_writing(library, create=False) as writer:
            writer.use_root(photos)
            writer.commit(encoder, [], [encode(make_file(photos, "new.jpg"))], [])
        assert reader.count_files() == 60


@both
def test_a_snapshot_stays_as_of_its_commit_when_another_thread_caught_up(
    photos: Path, faiss_from: int
) -> None:
    library = make_library(photos, 60)

    def count() -> int:
        return len(reader.nearest(encoder, make_query(), k=100)[0])

    with open_library(library, faiss_from=faiss_from) as reader, ThreadPoolExecutor(1) as threads:
        encoder = reader.default_encoder()
        assert count() == 60
        with open_for_writing(library, create=False) as writer:
            writer.use_root(photos)
            writer.commit(encoder, [], [encode(make_file(photos, "new.jpg"))], [])
        with reader.snapshot():
            assert count() == 61
            with open_for_writing(library, create=False) as writer:
                scan(writer, encoder, {make_file(photos, "1/1.jpg", 1001): "content 1"})
            assert threads.submit(count).result() == 1
            assert count() == 61


def test_a_snapshot_outlives_the_file_it_was_to_read(library: Path, photos: Path) -> None:
    """The file is replaced after the snapshot was taken and before it was looked at."""
    with open_library(library, faiss_from=0) as reader:
        encoder = reader.default_encoder()
        query = make_query(4)
        expected = by_numpy(reader, encoder, query[0], 100)
        with reader.snapshot():
            assert reader.default_encoder().images == 60
            with open_for_writing(library, create=False) as writer:
                writer.forget(photos / "3")
            assert reader.nearest(encoder, query, k=100)[0] == expected
        assert reader.nearest(encoder, query, k=100)[0] == by_numpy(reader, encoder, query[0], 100)
        assert reader.warnings == ()


@both
def test_a_reader_outlives_many_published_files(photos: Path, faiss_from: int) -> None:
    library = make_library(photos, 20)
    with open_library(library, faiss_from=faiss_from) as reader:
        encoder = reader.default_encoder()
        for i in range(5):
            with open_for_writing(library, create=False) as writer:
                writer.commit(encoder, [], [encode(make_file(photos, f"new{i}.jpg"), f"new {i}")], [])
                writer.publish(encoder)
            assert len(list((library / "vectors").iterdir())) == 1
            near = reader.nearest(encoder, make_vector(f"new {i}")[None], k=1)[0]
            assert near[0].content_id == reader.content_by_hash(sha_of(f"new {i}"))


def test_a_query_need_not_be_of_length_one(library: Path) -> None:
    with open_library(library, faiss_from=0) as reader:
        encoder = reader.default_encoder()
        query = unit_rows(make_query(2)) * np.float32(1000)
        assert reader.nearest(encoder, query, k=5)[0] == by_numpy(reader, encoder, query[0], 5)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are Unicode there")
def test_a_library_below_a_name_that_is_no_text_answers_without_faiss(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    with open_library(make_library(folder, 60), faiss_from=BY_FAISS) as reader:
        encoder = reader.default_encoder()
        query = make_query(1)
        assert reader.nearest(encoder, query, k=5)[0] == by_numpy(reader, encoder, query[0], 5)
