"""What holds for all tests: nothing of the user's is read or written."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep exported towers of the whole session in a folder of their own, for subprocesses too."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_CACHE", os.fspath(folder))
        patch.delenv("SIGHTLINE_LIBRARY", raising=False)
        yield folder
