"""What is proposed of a real library."""

from pathlib import Path

import pytest

from indexer.pipeline import IndexSettings, index_folders
from indexer.store.library import open_library
from search.duplicates.proposing import find_candidates
from search.duplicates.records import Level

from .photos import NAMES, labelled, photo


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a library of a few photos, where each is among the nearest of each, and a labelled copy."""
    place = tmp_path_factory.mktemp("proposing")
    (place / "photos").mkdir()
    for name in NAMES:
        photo(name).save(place / f"photos/{name}.jpg", quality=92)
    labelled(photo("coffee")).save(place / "photos/labelled.jpg", quality=85)
    index_folders(
        place / "library", [place / "photos"], IndexSettings(model="builtin", device="cpu", workers=1)
    )
    return place / "library"


def proposed(library: Path, level: Level, *, doubtful: bool = False) -> set[frozenset[str]]:
    with open_library(library) as reader:
        found = find_candidates(reader, level, doubtful=doubtful)
        ids, _, _ = reader.fingerprints()
        name_of = {content: copies[0].path.stem for content, copies in reader.images(ids.tolist()).items()}
    pairs = zip(found.first.tolist(), found.second.tolist(), strict=True)
    return {frozenset((name_of[a], name_of[b])) for a, b in pairs}


def test_near_vectors_alone_propose_no_copy_without_common_marks(library: Path) -> None:
    copies = proposed(library, Level.NEAR)
    assert frozenset(("coffee", "labelled")) in copies
    assert frozenset(("coffee", "rocket")) not in copies


def test_who_wants_the_doubtful_ones_gets_them(library: Path) -> None:
    assert frozenset(("coffee", "rocket")) in proposed(library, Level.NEAR, doubtful=True)


def test_scenes_need_no_common_marks(library: Path) -> None:
    assert frozenset(("coffee", "rocket")) in proposed(library, Level.SIMILAR)


def test_marks_of_some_contents_are_those_among_all(library: Path) -> None:
    with open_library(library) as reader:
        ids, counts, marks = reader.local_features()
        asked = [int(ids[3]), int(ids[1]), 10_000]
        found = reader.features_of(asked)
    assert found.keys() == {int(ids[3]), int(ids[1])}
    start = int(counts[:3].sum())
    assert (found[int(ids[3])] == marks[start : start + int(counts[3])]).all()
