import threading
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sightline
from indexer.errors import FolderMissing, LibraryEmpty, LibraryMissing, QueryInvalid

from .conftest import paint

pytestmark = pytest.mark.usefixtures("as_commands_run")


def test_public_names_are_there():
    for name in sightline.__all__:
        assert getattr(sightline, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        sightline.nonsense  # type: ignore[attr-defined]


def test_index_then_search(model: Path, tmp_path: Path):
    paint(tmp_path, ["one.jpg", "two.png", "three.jpg"])
    with sightline.open(tmp_path) as library:
        summary = library.index(model=str(model), workers=1)
        hits = library.search("a dog on the beach", limit=2)
    assert summary.indexed == 3
    assert [hit.path.parent for hit in hits] == [tmp_path, tmp_path]
    assert hits[0].score >= hits[1].score


def test_a_strings_path_and_home_are_understood(indexed: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(indexed.parent))
    with sightline.open(f"~/{indexed.name}") as library:
        assert len(library.search("dog")) == 10


def test_searching_before_indexing_tells_the_remedy_and_makes_nothing(tmp_path: Path):
    with sightline.open(tmp_path) as library, pytest.raises(LibraryMissing, match="sightline index"):
        library.search("dog")
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_gives_an_empty_library(model: Path, tmp_path: Path):
    with sightline.open(tmp_path) as library:
        assert library.index(model=str(model)).indexed == 0
        with pytest.raises(LibraryEmpty):
            library.search("dog")


def test_a_missing_folder_is_told(tmp_path: Path):
    with pytest.raises(FolderMissing):
        sightline.open(tmp_path / "nowhere")


def test_texts_are_never_files(indexed: Path):
    with sightline.open(indexed) as library:
        assert library.search(str(indexed / "blue.png")).query.parts[0].text == str(indexed / "blue.png")


def test_examples_words_negatives_and_filters_go_together(indexed: Path):
    with sightline.open(indexed) as library:
        hits = library.search(
            ["2:sunset", "sea"],
            like=indexed / "blue.png",
            without="people",
            folder=indexed / "many",
            after="2000",
            before=date(2100, 1, 1),
            min_width=10,
            limit=100,
        )
    assert len(hits) == 20
    assert {hit.path.parent.name for hit in hits} == {"many"}


def test_a_query_needs_something(indexed: Path):
    with sightline.open(indexed) as library, pytest.raises(QueryInvalid):
        library.search()


@pytest.mark.parametrize("texts", [None, 1, b"dog", ["dog", None]])
@pytest.mark.parametrize("name", ["query", "without"])
def test_queries_that_are_no_texts_are_said(indexed: Path, name: str, texts: object):
    with sightline.open(indexed) as library, pytest.raises(QueryInvalid, match="a str or a list of str"):
        library.search(**{"query": "dog", name: texts})  # type: ignore[arg-type]


@pytest.mark.parametrize("files", [None, 1, b"blue.png", [None]])
def test_examples_that_are_no_paths_are_said(indexed: Path, files: object):
    with sightline.open(indexed) as library, pytest.raises(QueryInvalid, match="a path or a list of paths"):
        library.search(like=files)  # type: ignore[arg-type]


@pytest.mark.parametrize("by_parts", [False, True])
@pytest.mark.parametrize("limit", [0, -1, 1.5, "3", None])
def test_limits_that_are_no_counts_are_said(indexed: Path, limit: object, by_parts: bool):
    with sightline.open(indexed) as library, pytest.raises(QueryInvalid, match="limit is"):
        library.search("dog", limit=limit, by_parts=by_parts)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [np.int64(3), 2**70])
def test_any_count_of_images_may_be_asked_for(indexed: Path, limit: int):
    with sightline.open(indexed) as library:
        assert len(library.search("dog", limit=limit)) == min(limit, 25)


def test_embeddings_are_unit_rows_with_the_files_of_their_ids(indexed: Path):
    with sightline.open(indexed) as library:
        ids, vectors = library.embeddings()
        files = library.images(ids[:3])
    assert ids.shape == (25,)
    assert vectors.shape == (25, 32)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert all(files[int(number)][0].path.is_file() for number in ids[:3])


def test_library_by_its_own_folder_and_elsewhere(indexed: Path, tmp_path: Path, model: Path):
    with sightline.open(indexed / ".sightline") as library:
        assert library.status().images == 25
    paint(tmp_path / "photos", ["a.jpg"])
    with sightline.open(tmp_path / "photos", library=tmp_path / "lib") as library:
        library.index(model=str(model), workers=1)
        assert len(library.search("dog")) == 1
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["a.jpg"]


def test_changes_are_seen_by_an_open_library(pictures: Path):
    with sightline.open(pictures) as library:
        assert len(library.search("dog", limit=100)) == 25
        (pictures / "blue.png").unlink()
        library.index()
        assert len(library.search("dog", limit=100)) == 24
        assert library.forget(pictures / "many") == 20
        assert len(library.search("dog", limit=100)) == 4
        assert library.verify().sound


def test_stopping_keeps_what_is_done(model: Path, tmp_path: Path):
    paint(tmp_path, [f"{number:03}.jpg" for number in range(120)])
    stop = threading.Event()
    heard = []

    def on_progress(progress: sightline.Progress) -> None:
        heard.append(progress.done)
        if progress.indexed >= 8:
            stop.set()

    with sightline.open(tmp_path) as library:
        first = library.index(model=str(model), batch_size=8, on_progress=on_progress, stop=stop)
        found = library.search("dog", limit=1000)
        second = library.index()
    assert first.interrupted
    assert 8 <= first.indexed < 120
    assert len(found) == first.indexed
    assert (second.unchanged, second.indexed) == (first.indexed, 120 - first.indexed)
    assert heard == sorted(heard)


def test_an_encoder_by_itself(model: Path):
    encoder = sightline.load_encoder(str(model))
    images = encoder.encode_images([Image.new("RGB", (300, 200), "red"), Image.new("L", (9, 9))])
    texts = encoder.encode_texts(["a dog", "", "🐶" * 100])
    assert images.shape == (2, 32)
    assert texts.shape == (3, 32)
    assert np.allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-3)


@pytest.mark.parametrize("texts", [None, [1], b"dog", ["dog", None]])
def test_texts_that_are_no_texts_are_said(model: Path, texts: object):
    with pytest.raises(QueryInvalid, match="a str or a list of str"):
        sightline.highlight(Image.new("RGB", (20, 20)), texts, model=str(model))  # type: ignore[arg-type]


@pytest.mark.parametrize("image", [np.zeros((20, 20, 3), np.uint8), None, Image.new("RGB", (0, 5))])
def test_images_that_are_no_images_are_said(model: Path, image: object):
    with pytest.raises(QueryInvalid, match="image"):
        sightline.highlight(image, "dog", model=str(model))  # type: ignore[arg-type]
