import os
import shutil
from pathlib import Path

import faiss
import numpy as np
import pytest

from indexer.store.library import open_for_writing, open_library
from indexer.store.vectors import index_name, read_through_python, remove_superseded, write_index

from .making import DIMENSION, by_numpy, encode, make_card, make_file, make_library, make_query
from .test_disk import mounted


def index_file(library: Path) -> Path:
    [path] = (library / "vectors").iterdir()
    return path


def check_against_numpy(library: Path) -> tuple[str, ...]:
    """Search through FAISS only, compare, and give the reader's warnings."""
    with open_library(library, faiss_from=0) as reader:
        encoder = reader.default_encoder()
        for seed in range(3):
            query = make_query(seed)
            assert reader.nearest(encoder, query, k=15)[0] == by_numpy(reader, encoder, query[0], 15)
        return reader.warnings


@pytest.mark.parametrize("images", [0, 1, 1000])
def test_our_file_is_byte_for_byte_what_faiss_writes(tmp_path: Path, images: int) -> None:
    vectors = np.random.default_rng(0).standard_normal((images, 24)).astype(np.float16)
    ids = np.arange(images, dtype=np.int64) * 7 + 3
    halves = [slice(0, images // 3), slice(images // 3, images)]
    rows = [(ids[half], vectors[half].tobytes()) for half in halves]
    write_index(tmp_path / "ours", dimension=24, images=images, generation=1, rows=rows)
    index = faiss.IndexIDMap2(
        faiss.IndexScalarQuantizer(24, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    )
    index.train(vectors.astype(np.float32))
    index.add_with_ids(vectors.astype(np.float32), ids)
    faiss.write_index(index, str(tmp_path / "theirs"))
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_the_published_file_is_used_and_agrees(library: Path) -> None:
    assert index_file(library).name == index_name(1, 1)
    assert check_against_numpy(library) == ()


def test_a_file_that_faiss_cannot_open_by_its_name_is_read_by_python(library: Path) -> None:
    path = index_file(library)
    ours, theirs = read_through_python(path), faiss.read_index(str(path))
    assert faiss.serialize_index(ours).tobytes() == faiss.serialize_index(theirs).tobytes()


@pytest.mark.parametrize("length", [0, 50, 1000])
def test_a_torn_file_that_python_reads_is_refused_as_by_faiss(library: Path, length: int) -> None:
    os.truncate(index_file(library), length)
    with pytest.raises(RuntimeError):
        read_through_python(index_file(library))


@pytest.mark.parametrize("length", [0, 3, 50, 126, 1000, -1])
def test_a_torn_file_is_not_believed(library: Path, length: int) -> None:
    path = index_file(library)
    os.truncate(path, length if length >= 0 else path.stat().st_size - 1)
    [warning] = check_against_numpy(library)
    assert "bytes instead of" in warning
    assert "`sightline verify`" in warning


@pytest.mark.parametrize("place", ["header", "middle", "ids"])
def test_flipped_bytes_are_not_believed(library: Path, place: str) -> None:
    path = index_file(library)
    raw = bytearray(path.read_bytes())
    at = {"header": 8, "middle": len(raw) // 2, "ids": len(raw) - 16}[place]
    raw[at : at + 8] = bytes(255 - byte for byte in raw[at : at + 8])
    path.write_bytes(raw)
    [warning] = check_against_numpy(library)
    assert "have changed since" in warning


def test_a_deleted_file_is_done_without(library: Path) -> None:
    index_file(library).unlink()
    [warning] = check_against_numpy(library)
    assert "is missing" in warning


def test_an_older_file_under_the_recorded_name_is_not_believed(library: Path, photos: Path) -> None:
    shutil.copy(index_file(library), photos / "old")
    with open_for_writing(library, create=False) as writer:
        writer.forget(photos / "3")
    shutil.copy(photos / "old", index_file(library))
    [warning] = check_against_numpy(library)
    assert "bytes instead of" in warning


def test_a_copied_library_is_believed_after_its_digest(library: Path, photos: Path) -> None:
    copy = photos.parent / "copy" / ".sightline"
    shutil.copytree(library, copy, copy_function=shutil.copyfile)
    os.utime(index_file(copy), (1, 1))
    assert check_against_numpy(copy) == ()


def test_a_library_that_was_never_published_is_searched(photos: Path) -> None:
    library = make_library(photos, 100, publish=False)
    assert not (library / "vectors").exists()
    assert check_against_numpy(library) == ()


@pytest.mark.parametrize("harm", ["delete", "tear"])
def test_publishing_mends_a_file_even_when_nothing_changed(library: Path, harm: str) -> None:
    path = index_file(library)
    good = path.read_bytes()
    if harm == "delete":
        path.unlink()
    else:
        path.write_bytes(good[:100])
    with open_for_writing(library, create=False) as writer:
        writer.publish(writer.default_encoder())
    assert index_file(library).read_bytes() == good
    assert check_against_numpy(library) == ()


def test_publishing_leaves_a_good_file_alone(library: Path) -> None:
    before = index_file(library).stat()
    with open_for_writing(library, create=False) as writer:
        writer.publish(writer.default_encoder())
    assert index_file(library).stat() == before


def test_a_large_file_is_written_anew_only_after_one_percent(
    library: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """400 images count as large here: four changes are let be, the fifth is not."""
    monkeypatch.setattr("indexer.store.writer._PUBLISH_EACH_TIME_BELOW", 60)
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        many = [encode(make_file(photos, f"more/{i}.jpg")) for i in range(340)]
        writer.commit(encoder, [], many, [])
        writer.publish(encoder)
        before = index_file(library)
        for i in range(5):
            assert index_file(library) == before
            check_against_numpy(library)
            writer.commit(encoder, [], [encode(make_file(photos, f"new{i}.jpg"))], [])
            writer.publish(encoder)
    assert index_file(library) != before
    assert check_against_numpy(library) == ()


def test_the_file_of_a_very_large_library_is_written_anew_before_searches_do_without_it(
    library: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """400 images count as so large here that 1 % is more than the bar: two changes are let be."""
    monkeypatch.setattr("indexer.store.writer._PUBLISH_EACH_TIME_BELOW", 60)
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        writer.commit(encoder, [], [encode(make_file(photos, f"more/{i}.jpg")) for i in range(340)], [])
        writer.publish(encoder)
        monkeypatch.setattr("indexer.store.writer._PUBLISH_AFTER", 2)
        before = index_file(library)
        writer.commit(encoder, [], [encode(make_file(photos, f"new{i}.jpg")) for i in range(2)], [])
        writer.publish(encoder)
        assert index_file(library) == before
        writer.commit(encoder, [], [encode(make_file(photos, "third.jpg"))], [])
        writer.publish(encoder)
    assert index_file(library) != before


def test_a_long_run_publishes_as_it_goes_and_writes_a_few_times_its_last_file(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.store.writer._PUBLISH_AFTER", 10)
    written: dict[str, int] = {}
    with open_for_writing(photos / ".sightline", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        for batch in range(100):
            files = [make_file(photos, f"{batch}/{i}.jpg") for i in range(5)]
            writer.commit(encoder, [], [encode(file) for file in files], [])
            files_now = (photos / ".sightline" / "vectors").glob("*.faiss")
            written |= {path.name: path.stat().st_size for path in files_now}
    assert len(written) > 5
    assert sum(written.values()) < 6 * max(written.values())
    assert check_against_numpy(photos / ".sightline") == ()


def test_a_long_run_goes_on_although_there_is_no_room_for_the_file(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.store.writer._PUBLISH_AFTER", 10)
    library = photos / ".sightline"
    with (
        open_for_writing(library, create=True) as writer,
        mounted(library / "vectors", "-t", "tmpfs", "-o", "size=4k", "tmpfs"),
    ):
        encoder = writer.use_encoder(make_card())
        writer.commit(encoder, [], [encode(make_file(photos, f"{i}.jpg")) for i in range(200)], [])
        assert writer.status().images == 200


def test_publishing_replaces_the_superseded_file(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        writer.commit(encoder, [], [encode(make_file(photos, "new.jpg"))], [])
        writer.publish(encoder)
    assert index_file(library).name == index_name(1, 2)
    assert check_against_numpy(library) == ()


def test_the_tenth_encoder_keeps_its_file_when_that_of_the_first_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "vectors").mkdir()
    for name in ("1-1.faiss", "1-2.faiss", "10-1.faiss"):
        (tmp_path / "vectors" / name).touch()
    remove_superseded(tmp_path, 1, "1-2.faiss")
    assert {path.name for path in (tmp_path / "vectors").iterdir()} == {"1-2.faiss", "10-1.faiss"}


def test_the_file_has_the_size_the_formats_page_tells(library: Path) -> None:
    assert index_file(library).stat().st_size == 126 + 60 * (DIMENSION * 2 + 8)
