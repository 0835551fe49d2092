"""Which contents are compared to find what leaks."""

from pathlib import Path

import pytest

from indexer.pipeline import IndexSettings, index_folders
from indexer.store.library import open_library
from search.duplicates import finder, leaks
from search.duplicates.leaks import find_leaks, read_split
from search.duplicates.proposing import find_candidates
from search.duplicates.sides import read_side

from .photos import NAMES, photo


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """Make a training folder of five pictures, and a test folder of one of them and another one."""
    train, test = tmp_path / "train", tmp_path / "test"
    for folder, names in ((train, NAMES[:5]), (test, (NAMES[0], NAMES[5]))):
        folder.mkdir()
        for name in names:
            photo(name, 400 if folder == train else 300).save(folder / f"{name}.png")
    index_folders(tmp_path / "library", [train, test], IndexSettings(model="builtin", workers=1))
    return train, test


@pytest.mark.parametrize("swapped", [False, True])
def test_in_large_sets_the_smaller_side_alone_asks_and_finds_the_same(
    sides: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swapped: bool
) -> None:
    asked: list[int | None] = []

    def noting(*arguments, asking, **others):
        asked.append(None if asking is None else len(asking))
        return find_candidates(*arguments, asking=asking, **others)

    monkeypatch.setattr(finder, "find_candidates", noting)
    train, test = map(read_side, reversed(sides) if swapped else sides)
    found = []
    for limit in (leaks.ASKING_FROM, 0):
        monkeypatch.setattr(leaks, "ASKING_FROM", limit)
        with open_library(tmp_path / "library") as reader:
            found.append(find_leaks(reader, read_split(reader, train, test)))
    assert asked == [None, 2]
    assert found[0] == found[1]
    assert [leak.test.path.name for leak in found[1].leaks] == [f"{NAMES[0]}.png"]
