"""A kill at any moment costs nothing that was committed, and the next run goes on."""

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from indexer.pipeline import IndexSettings, index_folders
from indexer.store.library import open_library
from indexer.store.verify import verify

from ..pictures import make_pictures

LIVES = 20
PICTURES_PER_LIFE = 30

# Says when it has begun to work; commits after every few pictures, so that kills hit commits as well. Each
# batch takes a word from us, and so does the end: it cannot be over before it is killed.
INDEXER = """
import sys
from pathlib import Path
from indexer.pipeline import IndexSettings, index_folders
settings = IndexSettings(model="builtin", device="cpu", workers=1, batch_size=3, commit_seconds=0.0)
def tell(progress):
    print(progress.indexed, flush=True)
    sys.stdin.readline()
print("begun", flush=True)
index_folders(Path(sys.argv[1]), [Path(sys.argv[2])], settings, on_progress=tell)
sys.stdin.read()
"""


def live_and_die(library: Path, photos: Path, chance: random.Random) -> None:
    """Start an indexer and kill it at a random moment of its work."""
    process = subprocess.Popen(
        [sys.executable, "-c", INDEXER, str(library), str(photos)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    words = chance.randint(1, 11)  # a word when begun, then one after each batch of three
    process.stdin.write(b"\n" * words)
    process.stdin.flush()
    assert all(process.stdout.readline() for _ in range(words))
    time.sleep(chance.random() * 0.03)  # up to a batch further, so that the kill falls anywhere within it
    process.kill()
    process.communicate()
    assert process.returncode != 0


def vectors_of_files(library: Path) -> dict[str, np.ndarray]:
    """Each file's vector, as search finds it; fails on a file that is there twice."""
    found: dict[str, np.ndarray] = {}
    with open_library(library) as reader:
        encoder = reader.default_encoder()
        ids, vectors = reader.embeddings(encoder)
        for id, vector in zip(ids.tolist(), vectors, strict=True):
            for image in reader.images([id])[id]:
                assert image.relative not in found
                found[image.relative] = vector
            (nearest,) = reader.nearest(encoder, vector[None], k=1)
            assert nearest[0].score == pytest.approx(1, abs=2e-3)
    return found


@pytest.mark.timeout(600)
def test_no_image_is_lost_or_doubled_by_twenty_kills(tmp_path: Path) -> None:
    photos, library = tmp_path / "photos", tmp_path / "library"
    chance = random.Random(20)
    for life in range(LIVES):
        make_pictures(photos, PICTURES_PER_LIFE, first_seed=life * PICTURES_PER_LIFE)
        live_and_die(library, photos, chance)
        if library.exists() and (library / "catalog.sqlite").exists():
            assert verify(library, repair=False).sound

    settings = IndexSettings(model="builtin", device="cpu", workers=1)
    index_folders(library, [photos], settings)
    index_folders(tmp_path / "undisturbed", [photos], settings)
    survived, undisturbed = vectors_of_files(library), vectors_of_files(tmp_path / "undisturbed")
    assert survived.keys() == undisturbed.keys()
    assert len(survived) == LIVES * PICTURES_PER_LIFE
    for path, vector in survived.items():
        # The batches were cut elsewhere, so the last bit of a float16 may differ.
        np.testing.assert_allclose(vector, undisturbed[path], atol=1e-3)
