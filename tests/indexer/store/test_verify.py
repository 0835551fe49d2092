import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import CatalogDamaged, LibraryBusy
from indexer.records import FoundFile
from indexer.store.files import catalog_file
from indexer.store.library import open_for_writing, open_library
from indexer.store.verify import verify, verify_and_repair

from .making import by_numpy, make_card, make_file, make_query, scan


@pytest.fixture
def library(photos: Path) -> Path:
    """A library of 20 files that are really there; a file's content is its name."""
    files = {}
    for i in range(20):
        path = photos / f"{i}.jpg"
        path.write_text(f"content {i}")
        told = path.stat()
        files[FoundFile(photos, path.name, told.st_size, told.st_mtime_ns)] = f"content {i}"
    with open_for_writing(photos / ".sightline", create=True) as writer:
        encoder = writer.use_encoder(make_card())
        scan(writer, encoder, files, photos)
        writer.publish(encoder)
    return photos / ".sightline"


def change(library: Path, statement: str, *parameters: object) -> None:
    with closing(sqlite3.connect(catalog_file(library))) as connection, connection:
        connection.execute(statement, parameters)


def findings(library: Path, **choices: bool) -> list[str]:
    return verify(library, **choices).lines()[1:]


def check(library: Path, images: int) -> None:
    assert findings(library) == ["everything agrees"]
    for faiss_from in (0, 10_000):
        with open_library(library, faiss_from=faiss_from) as reader:
            encoder = reader.default_encoder()
            query = make_query()
            near = reader.nearest(encoder, query, k=50)[0]
            assert near == by_numpy(reader, encoder, query[0], 50)
            assert len(near) == images
            assert reader.warnings == ()


def test_a_sound_library_is_told_so(library: Path) -> None:
    report = verify(library, deep=True)
    assert report.sound
    assert report.lines() == [f"{library}: 20 images in 20 files, 20 vectors", "everything agrees"]


def test_changes_that_are_not_published_yet_are_no_fault(library: Path, photos: Path) -> None:
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        writer.forget(photos / "1.jpg")
        scan(writer, encoder, {make_file(photos, "new.jpg", 3): "new"})
    (photos / "1.jpg").unlink()
    assert findings(library) == ["note: 1 file has gone since the last `index`"]


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda path: path.unlink(), "it is missing"),
        (lambda path: os.truncate(path, 77), "it has 77 bytes instead of"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\xff"), "its bytes have changed"),
    ],
    ids=["deleted", "torn", "flipped"],
)
def test_a_bad_vectors_file_is_told_and_written_anew(library: Path, harm, told: str) -> None:
    [path] = (library / "vectors").iterdir()
    good = path.read_bytes()
    harm(path)
    [line] = findings(library)
    assert line.startswith(f"problem: 1-1.faiss: {told}")
    assert not verify(library).sound
    [line] = findings(library, repair=True)
    assert line.startswith(f"repaired: 1-1.faiss: {told}")
    assert path.read_bytes() == good
    check(library, 20)


def test_bytes_that_rotted_without_a_trace_are_found(library: Path) -> None:
    [path] = (library / "vectors").iterdir()
    told, raw = path.stat(), bytearray(path.read_bytes())
    raw[200] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))
    assert findings(library) == ["problem: 1-1.faiss: its bytes have changed since it was written"]


@pytest.mark.parametrize(
    "blob",
    [b"", b"\0" * 63, b"\0" * 64, np.full(32, np.nan, "<f2").tobytes(), np.full(32, 9, "<f2").tobytes()],
    ids=["empty", "short", "zero", "not a number", "too long"],
)
def test_a_vector_that_cannot_be_right_is_removed_and_made_again(library: Path, photos: Path, blob) -> None:
    change(library, "UPDATE embedding SET vector = ? WHERE content_id = 7", blob)
    assert findings(library)[0].startswith("problem: made-up: 1 vectors are no unit vectors of 32 numbers")
    [line] = findings(library, repair=True)
    assert line.startswith("repaired: made-up: 1 vectors")
    check(library, 19)
    files = {}
    for i in range(20):
        told = (photos / f"{i}.jpg").stat()
        files[make_file(photos, f"{i}.jpg", told.st_size, told.st_mtime_ns)] = f"content {i}"
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        known, _ = scan(writer, encoder, files)
        assert [item.state for item in known].count("new") == 1
        writer.publish(encoder)
    check(library, 20)


def test_a_vector_that_cannot_even_be_compared_is_repaired(library: Path) -> None:
    change(library, "UPDATE embedding SET vector = ? WHERE content_id = 7", b"short")
    assert verify_and_repair(library).sound
    check(library, 19)


@pytest.mark.parametrize(
    ("statement", "left"),
    [
        ("UPDATE embedding SET vector = (SELECT vector FROM embedding WHERE content_id = 8)", 20),
        ("DELETE FROM embedding WHERE content_id = 20", 19),
    ],
    ids=["others", "fewer"],
)
def test_a_catalog_with_other_vectors_than_the_file_is_told(library: Path, statement: str, left: int) -> None:
    change(library, statement)
    assert findings(library) == ["problem: 1-1.faiss: its vectors are not those of the catalog"]
    findings(library, repair=True)
    check(library, left)


def test_rows_that_refer_to_nothing_are_told(library: Path) -> None:
    change(library, "DELETE FROM content WHERE id = 7")
    assert findings(library)[0].startswith("problem: catalog: ")
    assert "refer to nothing" in findings(library)[0]


def test_contents_that_lost_their_file_are_hidden(library: Path) -> None:
    change(library, "DELETE FROM file WHERE path = '3.jpg'")
    change(library, "UPDATE content SET orphaned_at = 5 WHERE id = 9")
    assert {line.split(": ", 1)[1] for line in findings(library)} >= {
        "catalog: 1 contents without a file were shown",
        "catalog: 1 contents with a file were hidden",
    }
    findings(library, repair=True)
    check(library, 19)


def test_what_a_crash_left_is_removed(library: Path) -> None:
    (library / "vectors" / "1-2.faiss.part").write_bytes(b"half")
    (library / "vectors" / "1-0.faiss").write_bytes(b"superseded")
    assert len(findings(library)) == 2
    assert verify(library).sound
    assert verify(library).lines()[1].startswith("note: 1-2.faiss.part")
    assert all(line.startswith("repaired: ") for line in findings(library, repair=True))
    check(library, 20)


def test_files_that_are_gone_or_changed_are_for_the_next_index(library: Path, photos: Path) -> None:
    (photos / "1.jpg").unlink()
    (photos / "2.jpg").write_text("something else")
    report = verify(library)
    assert report.sound
    assert report.lines()[1:] == [
        "note: 1 file has gone since the last `index`",
        "note: 1 file has changed since the last `index`",
    ]


def test_bytes_that_rotted_in_an_image_are_found_by_reading_it(library: Path, photos: Path) -> None:
    told = (photos / "1.jpg").stat()
    (photos / "1.jpg").write_text("c0ntent 1")
    os.utime(photos / "1.jpg", ns=(told.st_atime_ns, told.st_mtime_ns))
    assert findings(library) == ["everything agrees"]
    [line] = findings(library, deep=True)
    assert line.startswith(f"problem: {photos / '1.jpg'}: has other bytes")


def rot(path: Path) -> None:
    """Change a byte of a file and nothing else about it."""
    told, raw = path.stat(), path.read_bytes()
    path.write_bytes(raw[:1] + b"0" + raw[2:])
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))


def test_an_image_that_rotted_is_no_reason_to_open_the_library_for_repair(
    library: Path, photos: Path
) -> None:
    rot(photos / "1.jpg")
    with open_for_writing(library, create=False):
        report = verify_and_repair(library, deep=True)
    assert not report.sound


def test_what_a_run_at_work_is_writing_is_no_reason_to_open_the_library_for_repair(library: Path) -> None:
    with open_for_writing(library, create=False):
        (library / "vectors" / "1-2.faiss.part").write_bytes(b"half")
        assert verify_and_repair(library).sound


def test_images_are_read_once_although_something_is_repaired(library: Path, photos: Path) -> None:
    rot(photos / "1.jpg")
    (library / "vectors" / "1-1.faiss").unlink()
    heard: list[tuple[int, int]] = []
    report = verify_and_repair(library, deep=True, progress=lambda done, of: heard.append((done, of)))
    assert heard == [(20, 20)]
    assert [line.split(":")[0] for line in report.lines()[1:]] == ["repaired", "problem"]


def test_a_writer_may_come_while_images_are_read(library: Path) -> None:
    def write(done: int, of: int) -> None:
        with open_for_writing(library, create=False) as writer:
            writer.record_run({"files": done})

    (library / "vectors" / "1-1.faiss").unlink()
    assert verify_and_repair(library, deep=True, progress=write).sound


def test_a_drive_that_is_away_is_told_once(library: Path, photos: Path, tmp_path: Path) -> None:
    away = tmp_path / "library"
    with open_for_writing(away, create=True) as writer:
        scan(writer, writer.use_encoder(make_card()), {make_file(tmp_path / "drive", "a.jpg"): "A"})
        writer.publish(writer.default_encoder())
    assert findings(away) == [f"note: {tmp_path / 'drive'}: is not there; is its drive mounted?"]


def test_a_damaged_index_of_the_catalog_is_told(library: Path) -> None:
    with closing(sqlite3.connect(catalog_file(library))) as connection:
        page = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ix_content_byte_size'"
        ).fetchone()[0]
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw = bytearray(catalog_file(library).read_bytes())
    raw[page * 8192 - 3] ^= 0xFF
    catalog_file(library).write_bytes(raw)
    report = verify(library)
    assert not report.sound
    assert "catalog: " in report.lines()[1]


def test_a_catalog_that_is_none_is_told(library: Path) -> None:
    catalog_file(library).write_bytes(os.urandom(9000))
    with pytest.raises(CatalogDamaged):
        verify(library)


def test_repairing_waits_for_no_writer(library: Path) -> None:
    with open_for_writing(library, create=False):
        assert findings(library) == ["everything agrees"]
        with pytest.raises(LibraryBusy):
            verify(library, repair=True)
