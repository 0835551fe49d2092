import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.encoders.cache import CACHE_VARIABLE, kept_vectors, put, recall, remember, whole_folder

from ..store.making import make_card


def test_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "towers" / "a"
    with whole_folder(target) as beside:
        (beside / "file").write_text("content")
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["a"]
    assert (target / "file").read_text() == "content"


def test_first_of_two_writers_wins(tmp_path: Path) -> None:
    target = tmp_path / "a"
    with whole_folder(target) as slow:
        (slow / "file").write_text("slow")
        with whole_folder(target) as quick:
            (quick / "file").write_text("quick")
    assert (target / "file").read_text() == "quick"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_failed_writer_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "a") as beside:
        (beside / "file").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_leavings_of_a_killed_writer_are_swept(tmp_path: Path) -> None:
    left = tmp_path / ".a.0badcafe"
    left.mkdir()
    os.utime(left, (0, 0))
    with whole_folder(tmp_path / "a"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("name", [".note.json.0badcafe", ".0badcafe.note.json"])
def test_half_written_files_of_a_killed_writer_are_swept(tmp_path: Path, name: str) -> None:
    left = tmp_path / name
    left.touch()
    os.utime(left, (0, 0))
    put(tmp_path / "note.json", lambda file: file.write_text("whole"))
    assert [path.name for path in tmp_path.iterdir()] == ["note.json"]


def test_a_file_that_fails_half_way_leaves_the_former_one(tmp_path: Path) -> None:
    def fail(file: Path) -> None:
        file.write_text("half")
        raise RuntimeError

    put(tmp_path / "note.json", lambda file: file.write_text("whole"))
    with pytest.raises(RuntimeError):
        put(tmp_path / "note.json", fail)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]


def test_remembered_value_is_recalled_and_damage_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path))
    remember("things", "key", {"value": 1})
    assert recall("things", "key") == {"value": 1}
    (note,) = (tmp_path / "things").iterdir()
    note.write_text('{"value"')
    assert recall("things", "key") is None


@pytest.mark.parametrize("damaged", [b"", b"no array", "rows"])
def test_kept_vectors_that_are_damaged_are_worked_out_again(
    damaged: bytes | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    vectors = np.eye(2, make_card().dimension, dtype=np.float32)
    kept_vectors(make_card(), "texts", ("a", "b"), lambda: vectors)
    [file] = tmp_path.rglob("*.npy")
    if isinstance(damaged, bytes):
        file.write_bytes(damaged)
    else:
        np.save(file, vectors[:1])
    assert (kept_vectors(make_card(), "texts", ("a", "b"), lambda: 2 * vectors) == 2 * vectors).all()
    assert (kept_vectors(make_card(), "texts", ("a", "b"), lambda: 3 * vectors) == 2 * vectors).all()


def test_kept_vectors_are_worked_out_again_when_the_tokenizer_was_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    (tmp_path / "tokenizer.json").write_text("wrong")
    card = replace(make_card(), name=str(tmp_path))
    vectors = np.eye(2, card.dimension, dtype=np.float32)
    kept_vectors(card, "texts", ("a", "b"), lambda: vectors)
    (tmp_path / "tokenizer.json").write_text("corrected")
    assert (kept_vectors(card, "texts", ("a", "b"), lambda: 2 * vectors) == 2 * vectors).all()


def test_vectors_are_given_where_the_cache_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    vectors = np.eye(2, make_card().dimension, dtype=np.float32)
    assert (kept_vectors(make_card(), "texts", ("a", "b"), lambda: vectors) == vectors).all()
