import os
from pathlib import Path

import pytest

from indexer.encoders.cache import recall, remember, whole_folder


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


def test_remembered_value_is_recalled_and_damage_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path))
    remember("things", "key", {"value": 1})
    assert recall("things", "key") == {"value": 1}
    (note,) = (tmp_path / "things").iterdir()
    note.write_text('{"value"')
    assert recall("things", "key") is None
