"""Folders and libraries the tests of the store share."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .making import make_library


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def made_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published library of 60 images, to be copied."""
    return make_library(tmp_path_factory.mktemp("made"))


@pytest.fixture
def library(made_library: Path, photos: Path) -> Path:
    """A published library of 60 images, whose root is `photos`."""
    return shutil.copytree(made_library, photos / ".sightline")


@pytest.fixture(params=["UTC", "America/Los_Angeles", "Pacific/Auckland"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
