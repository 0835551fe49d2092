"""Folders and trashes for the tests of actions."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .acting import Album, make_album


@pytest.fixture
def trash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the trash of a home of our own to the real send2trash, which reads these when it is imported."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    for module in [name for name in sys.modules if name.partition(".")[0] == "send2trash"]:
        monkeypatch.delitem(sys.modules, module)
    return home / "data" / "Trash"


@pytest.fixture
def album(tmp_path: Path, trash: Path) -> Album:
    """Give two groups with sidecars and odd names, three files to go."""
    return make_album(tmp_path)


@pytest.fixture
def empty(tmp_path: Path, trash: Path) -> Album:
    return Album(tmp_path / "photos")


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on another file system."""
    shared_memory = Path("/dev/shm")
    if not shared_memory.is_dir() or shared_memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    with tempfile.TemporaryDirectory(dir=shared_memory) as folder:
        yield Path(folder)
