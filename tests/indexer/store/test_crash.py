"""Kill at random moments: what was committed is there, whole and once."""

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from indexer.store.library import open_for_writing, open_library
from indexer.store.verify import verify

from .making import DIMENSION, by_numpy, make_card, make_file, make_library, make_query, make_vector, scan

IMAGES, BATCH = 1500, 15
WORK = """
import sys
from pathlib import Path
from indexer.store.library import open_for_writing
from tests.indexer.store.making import encode, make_card, make_file
library, photos, images, batch = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
with open_for_writing(library, create=True) as writer:
    encoder = writer.use_encoder(make_card())
    handle = writer.use_root(photos)
    writer.begin_scan([handle])
    print("ready", flush=True)
    files = [make_file(photos, f"{i % 10}/{i}.jpg", 1000 + i) for i in range(images)]
    for start in range(0, images, batch):
        known = writer.classify(handle, files[start : start + batch], encoder)
        new = [item.file for item in known if item.state != "unchanged"]
        if not new:
            continue
        writer.commit(encoder, [], [encode(file, "content " + file.relative[2:-4]) for file in new], [])
        print(start + batch, flush=True)
        if start % (5 * batch) == 0:
            writer.publish(encoder)
        sys.stdin.readline()
    writer.finish_scan([])
    writer.publish(encoder)
"""


def run_and_kill(library: Path, photos: Path, batches: int, seconds: float = 0.0) -> int:
    """Index, and kill within about a batch after so many; give how many images were told as committed."""
    arguments = [sys.executable, "-c", WORK, str(library), str(photos), str(IMAGES), str(BATCH)]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n" * batches)  # when one more is done it waits, so it cannot end before the kill
    process.stdin.flush()
    assert process.stdout.readline() == "ready\n"
    told = [process.stdout.readline() for _ in range(batches)]
    time.sleep(seconds)
    process.kill()
    told += process.stdout.readlines()
    process.communicate()
    return int(told[-1])


def check(library: Path, committed: int) -> int:
    """Compare what is there with what must be, without and with FAISS; give how many images."""
    for faiss_from in (0, 10_000):
        with open_library(library, faiss_from=faiss_from) as reader:
            [encoder] = reader.encoders()
            ids, vectors = reader.embeddings(encoder)
            images = reader.images(ids.tolist())
            paths = [image.relative for found in images.values() for image in found]
            assert len(paths) == len(set(paths)) == len(ids) >= committed
            assert len(ids) % BATCH == 0  # no half batch
            for id, vector in zip(ids.tolist(), vectors, strict=True):
                name = f"content {images[id][0].relative[2:-4]}"
                assert (vector == make_vector(name).astype(np.float16)).all()
            query = make_query()
            assert reader.nearest(encoder, query, k=20)[0] == by_numpy(reader, encoder, query[0], 20)
            assert reader.warnings == ()
    return len(ids)


def test_nothing_committed_is_lost_or_doubled_by_kills(tmp_path: Path) -> None:
    photos, library = tmp_path / "photos", tmp_path / "library"
    randomly = random.Random(7)
    counts = []
    for _ in range(6):
        committed = run_and_kill(library, photos, randomly.randint(1, 14), randomly.uniform(0.0, 0.02))
        counts.append(check(library, committed))
    assert counts == sorted(set(counts))  # each life committed something
    assert 0 < counts[0] < counts[-1] < IMAGES
    files = {make_file(photos, f"{i % 10}/{i}.jpg", 1000 + i): f"content {i}" for i in range(IMAGES)}
    with open_for_writing(library, create=False) as writer:
        encoder = writer.use_encoder(make_card())
        known, outcome = scan(writer, encoder, files, photos)
        assert outcome.removed == 0
        writer.publish(encoder)
    assert check(library, IMAGES) == IMAGES
    assert [item.state for item in known].count("unchanged") == counts[-1]
    assert verify(library).lines()[1:] == [f"note: {photos}: is not there; is its drive mounted?"]


def test_an_uninterrupted_run_gives_the_same_vectors(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    run_and_kill(tmp_path / "killed", photos, batches=5)
    files = {make_file(photos, f"{i % 10}/{i}.jpg", 1000 + i): f"content {i}" for i in range(IMAGES)}
    found = []
    for library in ("killed", "whole"):
        with open_for_writing(tmp_path / library, create=True) as writer:
            encoder = writer.use_encoder(make_card())
            scan(writer, encoder, files, photos)
            ids, vectors = writer.embeddings(encoder)
            assert vectors.shape == (IMAGES, DIMENSION)
            images = writer.images(ids.tolist())
            order = np.argsort([images[id][0].relative for id in ids.tolist()])
            found.append(vectors[order])
    assert (found[0] == found[1]).all()


@pytest.mark.parametrize("left", ["vectors/1-9.faiss.part", "backups/catalog-0001.sqlite.part"])
def test_a_file_left_half_written_is_swept_away(photos: Path, left: str) -> None:
    library = make_library(photos, 5)
    (library / "backups").mkdir()
    (library / left).write_bytes(b"half")
    open_for_writing(library, create=False).close()
    assert not (library / left).exists()
