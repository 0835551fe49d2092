import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.builtin.pairs import PairSet, hold_out, read_captioned, read_labelled


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def picture(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def captioned_shard(tmp_path: Path) -> Path:
    shard = tmp_path / "pairs.tar"
    with tarfile.open(shard, "w") as archive:
        for key, colour in (("b", (0, 255, 0)), ("a", (255, 0, 0))):
            add(archive, f"{key}.png", picture(colour))
            add(archive, f"{key}.json", json.dumps({"captions": [f"{key} one", f"{key} two"]}).encode())
        add(archive, "orphan.png", picture((0, 0, 255)))
    return shard


def test_captions_stay_with_their_image(captioned_shard: Path) -> None:
    pairs = read_captioned(captioned_shard, 8)
    assert pairs.texts == (("a one", "a two"), ("b one", "b two"))
    assert pairs.pixels.shape == (2, 8, 8, 3)
    assert pairs.pixels[0, 4, 4].tolist() == [255, 0, 0]


def test_an_image_without_captions_is_left_out(captioned_shard: Path) -> None:
    assert len(read_captioned(captioned_shard, 8)) == 2


def test_folders_without_a_name_are_left_out(tmp_path: Path) -> None:
    shard = tmp_path / "classes.tar"
    with tarfile.open(shard, "w") as archive:
        for folder in ("cats", "dogs", "BACKGROUND"):
            add(archive, f"{folder}/1.png", picture((9, 9, 9)))
    pairs = read_labelled(shard, {"dogs": ("dog",), "cats": ("cat", "kitten")}, 8)
    assert pairs.texts == (("cat", "kitten"), ("dog",))
    assert pairs.groups.tolist() == [0, 1]


def test_hold_out_takes_the_last_of_every_group_and_shares_nothing() -> None:
    groups = np.array([0, 1, 0, 1, 0, 1])
    pixels = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1).repeat(3, axis=3)
    kept, held = hold_out(PairSet(pixels, groups, (("a",), ("b",)), are_names=True), per_group=1)
    assert held.pixels[:, 0, 0, 0].tolist() == [4, 5]
    assert kept.pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
