import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from indexer.errors import CatalogDamaged, LibraryBusy, LibraryError, LibraryMissing
from indexer.store.library import open_for_writing
from indexer.store.lookup import files_named, glance_at_model, roots_of

from .making import make_card, make_file, scan
from .test_disk import mount, mounted


def make_named(folder: Path, *relative: str) -> Path:
    library = folder / ".sightline"
    with open_for_writing(library, create=True) as writer:
        scan(writer, writer.use_encoder(make_card()), {make_file(folder, name): name for name in relative})
    return library


def test_the_folders_of_a_library_are_told_as_they_stand(tmp_path: Path) -> None:
    library = make_named(tmp_path / "photos", "a.jpg")
    with open_for_writing(library, create=False) as writer:
        writer.use_root(tmp_path / "phone")
    assert set(roots_of(library)) == {tmp_path / "photos", tmp_path / "phone"}


def test_a_file_is_found_by_its_name_in_any_folder_and_with_any_capitals(tmp_path: Path) -> None:
    library = make_named(tmp_path, "phone/2019/img_1.JPG", "IMG_1.jpg", "imgX1.jpg", "myimg_1.jpg")
    assert files_named(library, "img_1.jpg") == [tmp_path / "IMG_1.jpg", tmp_path / "phone/2019/img_1.JPG"]


def test_of_many_files_of_one_name_those_nearest_to_the_root_are_given(tmp_path: Path) -> None:
    library = make_named(tmp_path, "a/deep/x.jpg", "b/x.jpg", "x.jpg")
    assert files_named(library, "x.jpg", limit=2) == [tmp_path / "x.jpg", tmp_path / "b/x.jpg"]


@pytest.mark.parametrize("name", ["100%.jpg", "a\\b.jpg", "caf\udce9.jpg"])
def test_signs_of_a_name_stand_for_themselves(tmp_path: Path, name: str) -> None:
    library = make_named(tmp_path, f"sub/{name}", "other.jpg", "100 more.jpg")
    assert files_named(library, name) == [tmp_path / "sub" / name]


def test_what_no_name_can_be_is_not_looked_for(tmp_path: Path) -> None:
    assert files_named(make_named(tmp_path, "a.jpg"), "x" * 60_000) == []


def test_a_library_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(LibraryMissing):
        roots_of(tmp_path / ".sightline")


def test_a_glance_tells_the_model_that_searches_use(tmp_path: Path) -> None:
    assert glance_at_model(make_named(tmp_path, "a.jpg")) == make_card().name


def test_a_glance_at_a_catalog_without_tables_tells_no_model(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").touch()
    assert glance_at_model(tmp_path) is None


def test_a_glance_waits_a_second_for_a_lock(tmp_path: Path) -> None:
    library = make_named(tmp_path, "a.jpg")
    with closing(sqlite3.connect(library / "catalog.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        with pytest.raises(LibraryBusy):
            glance_at_model(library)
    assert time.monotonic() - began < 5


def test_a_glance_at_a_damaged_catalog_is_told(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(b"no catalog, but of some length" * 100)
    with pytest.raises(CatalogDamaged):
        glance_at_model(tmp_path)


def test_a_glance_reads_a_library_at_rest_on_a_read_only_disk(tmp_path: Path) -> None:
    make_named(tmp_path / "photos", "a.jpg")
    for leftover in (tmp_path / "photos" / ".sightline").glob("catalog.sqlite-*"):
        leftover.unlink()
    with mounted(tmp_path / "disk", "--bind", str(tmp_path / "photos")) as disk:
        mount("-o", "remount,bind,ro", str(disk))
        assert glance_at_model(disk / ".sightline") == make_card().name


def test_a_glance_copies_no_catalog(tmp_path: Path) -> None:
    library = make_named(tmp_path / "photos", "a.jpg")
    with open_for_writing(library, create=False) as writer:
        writer.use_root(tmp_path / "phone")  # which stands in the WAL alone, as after a crash
        shutil.copytree(library, tmp_path / "crashed")
    (tmp_path / "crashed" / "catalog.sqlite-shm").unlink()
    with mounted(tmp_path / "disk", "--bind", str(tmp_path / "crashed")) as disk:
        mount("-o", "remount,bind,ro", str(disk))
        with pytest.raises(LibraryError, match="only from a copy"):
            glance_at_model(disk)
