"""Where files are moved to: whether they come back at the next indexing, and whether they can go there."""

from pathlib import Path

import pytest

from indexer.actions.apply import apply
from indexer.actions.destination import destination_is_indexed
from indexer.actions.records import Action
from indexer.errors import UsageError

from .acting import Album
from .rights import immutable, write_protected


@pytest.mark.parametrize("name", [".", "moved", "moved/deep down", "moved/../other"])
def test_a_folder_in_an_indexed_one_is_indexed(tmp_path: Path, name: str):
    assert destination_is_indexed(tmp_path / "photos" / name, [tmp_path / "videos", tmp_path / "photos"])


@pytest.mark.parametrize("name", ["moved", "photos 2", "photos/..", "photos/../moved"])
def test_a_folder_beside_an_indexed_one_is_not(tmp_path: Path, name: str):
    assert not destination_is_indexed(tmp_path / name, [tmp_path / "photos"])


def test_without_roots_nothing_is_indexed(tmp_path: Path):
    assert not destination_is_indexed(tmp_path, [])


def test_a_relative_folder_is_one_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert destination_is_indexed(Path("moved"), [tmp_path])


def test_a_link_that_leads_into_an_indexed_folder_is_indexed(tmp_path: Path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to("photos")
    assert destination_is_indexed(tmp_path / "link" / "moved", [tmp_path / "photos"])


def test_a_link_out_of_an_indexed_folder_is_indexed_as_scans_follow_links(tmp_path: Path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "photos" / "link").symlink_to("../elsewhere")
    assert destination_is_indexed(tmp_path / "photos" / "link", [tmp_path / "photos"])


@pytest.mark.parametrize(
    "name", [".sightline/moved", ".Trash-1000", "$RECYCLE.BIN", "#recycle", ".hidden/moved"]
)
def test_what_scans_leave_out_is_not_indexed(tmp_path: Path, name: str):
    assert not destination_is_indexed(tmp_path / name, [tmp_path])


def test_hidden_folders_are_indexed_when_scans_include_them(tmp_path: Path):
    assert destination_is_indexed(tmp_path / ".hidden", [tmp_path], include_hidden=True)


def test_an_indexed_folder_with_a_hidden_one_around_it_is_indexed(tmp_path: Path):
    assert destination_is_indexed(tmp_path / ".home" / "moved", [tmp_path / ".home"])


@pytest.mark.parametrize("seal", [write_protected, immutable])
@pytest.mark.parametrize("name", ["moved", "moved/not there yet"])
def test_moving_to_where_nothing_can_be_written_is_refused_at_once(empty: Album, seal, name: str):
    empty.group("a.jpg", "b.jpg")
    empty.elsewhere.mkdir()
    with seal(empty.elsewhere), pytest.raises(UsageError, match="moved: cannot be written; name another"):
        apply(empty.removals, Action.MOVE, library=empty.library, destination=empty.root.parent / name)


@pytest.mark.parametrize("name", ["a.jpg", "a.jpg/moved", "dangling"])
def test_moving_to_what_is_no_folder_is_refused_at_once(empty: Album, name: str):
    empty.group("a.jpg", "b.jpg")
    (empty.root / "dangling").symlink_to("nowhere")
    with pytest.raises(UsageError, match="not a folder; name one"):
        apply(empty.removals, Action.MOVE, library=empty.library, destination=empty.root / name)
