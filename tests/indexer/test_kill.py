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

# Says when it has begun to work; commits after every few pictures, so that kills hit commits as well.
INDEXER = """
import sys
from pathlib import Path
from indexer.pipeline import IndexSettings, index_folders
settings = IndexSettings(model="builtin", device="cpu", workers=1, batch_size=3, commit_seconds=0.0)
print("begun", flush=True)
index_folders(
    Path(sys.argv[1]), [Path(sys.argv[2])], settings, on_progress=lambda p: print(p.indexed, flush=True)
)
"""


def begin(library: Path, photos: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", INDEXER, str(library), str(photos)], stdout=subprocess.PIPE
    )


def live_and_die(library: Path, photos: Path, chance: random.Random) -> bool:
    """Start an indexer, kill it at a random moment of its work, and tell whether it was still at work."""
    process = begin(library, photos)
    assert process.stdout is not None
    for _ in range(chance.randint(1, 11)):  # a word when begun, then one after each batch of three
        process.stdout.readline()
    time.sleep(chance.random() * 0.03)  # up to a batch further, so that the kill falls anywhere within it
    process.kill()
    at_work = process.wait() != 0
    process.stdout.close()
    return at_work


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
    died_at_work = 0
    for life in range(LIVES):
        make_pictures(photos, PICTURES_PER_LIFE, first_seed=life * PICTURES_PER_LIFE)
        died_at_work += live_and_die(library, photos, chance)
        if library.exists() and (library / "catalog.sqlite").exists():
            assert verify(library, repair=False).sound
    assert died_at_work == LIVES

    settings = IndexSettings(model="builtin", device="cpu", workers=1)
    index_folders(library, [photos], settings)
    index_folders(tmp_path / "undisturbed", [photos], settings)
    survived, undisturbed = vectors_of_files(library), vectors_of_files(tmp_path / "undisturbed")
    assert survived.keys() == undisturbed.keys()
    assert len(survived) == LIVES * PICTURES_PER_LIFE
    for path, vector in survived.items():
        # The batches were cut elsewhere, so the last bit of a float16 may differ.
        np.testing.assert_allclose(vector, undisturbed[path], atol=1e-3)
