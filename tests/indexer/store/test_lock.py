import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.errors import LibraryBusy
from indexer.store.library import open_for_writing, open_library
from indexer.store.lock import WriterLock

from .making import encode, make_file
from .test_disk import fill, small_disk

__all__ = ["small_disk"]

HOLD = """
import sys
from pathlib import Path
from indexer.store.library import open_for_writing
with open_for_writing(Path(sys.argv[1]), create=False):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(library: Path):
    """Another process that writes the library."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(library)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_writer_is_told_who_holds_the_library(library: Path, holder) -> None:
    with pytest.raises(LibraryBusy) as caught:
        open_for_writing(library, create=False)
    assert f"process {holder.pid} on {os.uname().nodename} since 20" in str(caught.value)
    assert caught.value.exit_code == 4


def test_readers_are_not_kept_out(library: Path, holder) -> None:
    with open_library(library) as reader:
        assert reader.default_encoder().images == 60


def test_the_lock_ends_with_a_killed_process(library: Path, holder) -> None:
    holder.kill()
    holder.wait()
    assert json.loads((library / "lock.json").read_text())["pid"] == holder.pid  # out of date, and no matter
    open_for_writing(library, create=False).close()
    assert not (library / "lock.json").exists()


def test_two_writers_in_one_process_are_two(library: Path) -> None:
    with open_for_writing(library, create=False), pytest.raises(LibraryBusy, match=f"process {os.getpid()} "):
        open_for_writing(library, create=False)
    open_for_writing(library, create=False).close()


def test_an_unreadable_note_of_the_holder_does_no_harm(library: Path, holder) -> None:
    for text in ("", "{", "[1]", '{"pid": 1}'):
        (library / "lock.json").write_text(text)
        with pytest.raises(LibraryBusy, match="another process"):
            open_for_writing(library, create=False)


def test_a_full_disk_keeps_no_writer_out(small_disk: Path) -> None:
    (small_disk / "lock").touch()
    fill(small_disk / "ballast")
    lock = WriterLock(small_disk)
    lock.acquire()
    lock.release()


def test_a_failure_within_gives_the_lock_back(library: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_for_writing(library, create=False):
        1 / 0
    open_for_writing(library, create=False).close()


def test_a_reader_never_sees_half_a_batch(library: Path, photos: Path) -> None:
    """A writer in another process commits batches of 20 while this one counts."""
    script = """
import sys
from pathlib import Path
from indexer.store.library import open_for_writing
from tests.indexer.store.making import encode, make_file
photos = Path(sys.argv[2])
with open_for_writing(Path(sys.argv[1]), create=False) as writer:
    encoder = writer.default_encoder()
    for batch in range(20):
        files = [make_file(photos, f"batch{batch}/{i}.jpg") for i in range(20)]
        writer.commit(encoder, [], [encode(file) for file in files], [])
        if batch % 10 == 5:
            writer.publish(encoder)
"""
    process = subprocess.Popen([sys.executable, "-c", script, str(library), str(photos)])
    seen = set()
    with open_library(library, faiss_from=0) as reader:
        encoder = reader.default_encoder()
        query = encode(make_file(photos, "x")).vector[None]
        while process.poll() is None:
            with reader.snapshot():
                near = reader.nearest(encoder, query, k=2000)[0]
                images = reader.images([item.content_id for item in near])
                assert len(images) == len(near) == reader.encoders()[0].images
            seen.add(len(near))
        assert reader.warnings == ()
    assert process.returncode == 0
    assert len(seen) > 2
    assert {count % 20 for count in seen} == {0}
