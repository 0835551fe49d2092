"""Disks that are full or cannot be written."""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from indexer.errors import CatalogDamaged, DiskFull, LibraryReadOnly
from indexer.records import FoundFile
from indexer.store.library import open_for_writing, open_library
from indexer.store.opening import connect_to_read, connect_to_write
from indexer.store.peek import peek_card
from indexer.store.writer import LibraryWriter

from ..rights import ordinary_user, write_protected
from .making import by_numpy, encode, make_card, make_file, make_library, make_query, scan


def mount(*arguments: str) -> None:
    """Mount, or skip where this process may not."""
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("mounting needs root")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")


@contextmanager
def mounted(folder: Path, *arguments: str) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    mount(*arguments, str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB."""
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=3m", "tmpfs") as disk:
        yield disk


@pytest.fixture
def size_limit() -> Iterator[int]:
    """A limit on the size of any file, which any user may set: the other way to run out of room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = 600_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill(ballast: Path) -> None:
    """Write until the disk is full to the last page."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


def files_of(photos: Path, count: int) -> dict[FoundFile, str]:
    return {make_file(photos, f"{i % 10}/{i}.jpg", 1000 + i): f"content {i}" for i in range(count)}


def commit_until_full(writer: LibraryWriter, photos: Path, batch: int = 100) -> int:
    """Commit batches until there is no room; give the number of images committed."""
    encoder = writer.use_encoder(make_card())
    files = list(files_of(photos, 50_000).items())
    for start in range(0, len(files), batch):
        images = [encode(file, content) for file, content in files[start : start + batch]]
        try:
            writer.commit(encoder, [], images, [])
        except DiskFull as problem:
            assert problem.exit_code == 6
            return start
    raise AssertionError("never full")


def check(library: Path, images: int) -> None:
    for faiss_from in (0, 10_000):
        with open_library(library, faiss_from=faiss_from) as reader:
            encoder = reader.default_encoder()
            assert encoder.images == images
            query = make_query()
            assert reader.nearest(encoder, query, k=9)[0] == by_numpy(reader, encoder, query[0], 9)


def test_a_full_disk_keeps_what_was_committed_and_goes_on_after(small_disk: Path, photos: Path) -> None:
    library = small_disk / "library"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_500_000))
    with open_for_writing(library, create=True) as writer:
        committed = commit_until_full(writer, photos)
        assert committed >= 100
        commit_until_full(writer, photos)  # a second failure in the same process does no harm
        assert writer.default_encoder().images == committed
    check(library, committed)
    ballast.unlink()
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        known, _ = scan(writer, encoder, files_of(photos, committed + 300), photos)
        writer.publish(encoder)
    assert [item.state for item in known].count("unchanged") == committed
    check(library, committed + 300)


def test_a_full_disk_never_costs_the_older_vectors_file(small_disk: Path, photos: Path) -> None:
    library = small_disk / "library"
    ballast = small_disk / "ballast"
    with open_for_writing(library, create=True) as writer:
        encoder = writer.use_encoder(make_card())
        scan(writer, encoder, files_of(photos, 1000), photos)
        writer.publish(encoder)
        [older] = (library / "vectors").iterdir()
        before = older.read_bytes()
        writer.commit(encoder, [], [encode(make_file(photos, "new.jpg"))], [])
        fill(ballast)
        os.truncate(ballast, ballast.stat().st_size - 20_000)
        with pytest.raises(DiskFull):
            writer.publish(encoder)
        assert older.read_bytes() == before
        assert list((library / "vectors").iterdir()) == [older]
        check(library, 1001)
        ballast.unlink()
        writer.publish(encoder)
    check(library, 1001)


def test_a_disk_full_at_the_start_is_told(small_disk: Path, photos: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(3 * 1024 * 1024 - 20_000))
    with pytest.raises(DiskFull):
        open_for_writing(small_disk / "library", create=True)
    (small_disk / "ballast").unlink()
    with open_for_writing(small_disk / "library", create=True) as writer:
        scan(writer, writer.use_encoder(make_card()), files_of(photos, 50), photos)
    check(small_disk / "library", 50)


def test_a_full_disk_can_be_read(small_disk: Path, photos: Path) -> None:
    library = make_library(small_disk, 100)
    (library / "catalog.sqlite-shm").unlink(missing_ok=True)
    (library / "catalog.sqlite-wal").unlink(missing_ok=True)
    fill(small_disk / "ballast")
    check(library, 100)


def test_a_limit_on_file_sizes_is_a_full_disk_too(tmp_path: Path, photos: Path, size_limit: int) -> None:
    library = tmp_path / "library"
    with open_for_writing(library, create=True) as writer:
        committed = commit_until_full(writer, photos)
        assert committed >= 100
    check(library, committed)


def test_a_limit_on_file_sizes_leaves_the_older_vectors_file(tmp_path: Path, photos: Path) -> None:
    library = make_library(photos, 2000)
    [older] = (library / "vectors").iterdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_for_writing(library, create=False) as writer:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            with pytest.raises(DiskFull):
                writer.publish(writer.default_encoder(), always=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((library / "vectors").iterdir()) == [older]
    check(library, 2000)


# Read-only


def check_readable(library: Path) -> None:
    assert peek_card(library) == make_card()
    for faiss_from in (0, 10_000):
        with open_library(library, faiss_from=faiss_from) as reader:
            encoder = reader.default_encoder()
            query = make_query()
            assert reader.nearest(encoder, query, k=9)[0] == by_numpy(reader, encoder, query[0], 9)
            assert reader.status().images == 60
            assert reader.warnings == ()
    with pytest.raises(LibraryReadOnly, match="SIGHTLINE_LIBRARY"):
        open_for_writing(library, create=False)


@contextmanager
def read_only(photos: Path, tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "ro", "--bind", str(photos)) as folder:
        mount("-o", "remount,ro,bind", str(folder))
        yield folder / ".sightline"


def test_a_library_at_rest_is_searched_on_a_read_only_disk(
    library: Path, photos: Path, tmp_path: Path
) -> None:
    for leftover in library.glob("catalog.sqlite-*"):
        leftover.unlink()
    with read_only(photos, tmp_path) as mounted_library:
        check_readable(mounted_library)


def test_a_commit_is_on_the_disk_before_it_is_told(library: Path) -> None:
    with closing(connect_to_write(library)) as connection:
        full = 2
        assert connection.execute("PRAGMA synchronous").fetchone() == (full,)


@pytest.mark.parametrize("with_shared_memory", [True, False])
def test_a_crashed_library_is_searched_on_a_read_only_disk(
    photos: Path, tmp_path: Path, with_shared_memory: bool
) -> None:
    """The last commits are only in the WAL, where the crash left them."""
    made = make_library(tmp_path / "made", 0)
    with open_for_writing(made, create=False) as writer:
        encoder = writer.use_encoder(make_card())
        scan(writer, encoder, {make_file(photos, f"{i}.jpg", i): str(i) for i in range(60)}, photos)
        shutil.copytree(made, photos / ".sightline")
    assert (photos / ".sightline" / "catalog.sqlite-wal").stat().st_size > 0
    if not with_shared_memory:
        (photos / ".sightline" / "catalog.sqlite-shm").unlink()
    with read_only(photos, tmp_path) as mounted_library:
        check_readable(mounted_library)


def test_a_library_cannot_be_made_on_a_read_only_disk(photos: Path, tmp_path: Path) -> None:
    with read_only(photos, tmp_path) as library, pytest.raises(LibraryReadOnly):
        open_for_writing(library, create=True)


@pytest.mark.parametrize("lock_exists", [True, False])
def test_a_folder_without_write_permission_is_read_only(library: Path, lock_exists: bool) -> None:
    for leftover in library.glob("catalog.sqlite-*"):
        leftover.unlink()
    if not lock_exists:
        (library / "lock").unlink()
    with write_protected(library):
        check_readable(library)


def test_a_catalog_without_read_permission_is_told(library: Path) -> None:
    (library / "catalog.sqlite").chmod(0)
    with ordinary_user(), pytest.raises(CatalogDamaged, match="denied"):
        connect_to_read(library)
