"""Parts of pictures put the nearest in another order."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from indexer.errors import EncoderError, QueryInvalid
from indexer.pipeline import IndexSettings, index_folders
from indexer.store.library import open_library
from search.engine import search
from search.parts import by_parts, images_ahead, ordered
from search.query import make_query
from search.results import SearchAnswer
from tests.sightline.answers import make_hit


def answer_of(scores: list[float], query: str = "dog") -> SearchAnswer:
    hits = []
    for number, score in enumerate(scores):
        hit = make_hit(Path(f"{number}.jpg"), number)
        hits.append(replace(hit, score=score, content_hash=f"{number:064x}"))
    return SearchAnswer(make_query([query]), tuple(hits), False, len(hits), len(hits), "builtin", "w", 0.1)


def key(number: int) -> bytes:
    return bytes.fromhex(f"{number:064x}")


def grid(*cells: list[float]) -> np.ndarray:
    vectors = np.array(cells, np.float32)[None]
    return vectors / np.linalg.norm(vectors, axis=2, keepdims=True)


TEXT = np.array([[1.0, 0.0]], np.float32)


def names(answer: SearchAnswer) -> list[str]:
    return [hit.path.name for hit in answer]


def test_a_picture_with_one_fitting_part_comes_before_one_with_none() -> None:
    grids = {key(0): grid([0, 1], [0, 1]), key(1): grid([0, 1], [1, 0])}
    found = ordered(answer_of([0.30, 0.28]), grids, TEXT, [1.0], 0.1, limit=2)
    assert names(found) == ["1.jpg", "0.jpg"]
    assert found[0].parts > found[1].parts


def test_cosines_decide_where_parts_do_not() -> None:
    grids = {key(number): grid([1, 1]) for number in range(3)}
    assert names(ordered(answer_of([0.2, 0.3, 0.1]), grids, TEXT, [1.0], 0.1, limit=3)) == [
        "1.jpg",
        "0.jpg",
        "2.jpg",
    ]


def test_what_the_query_is_without_counts_against() -> None:
    grids = {key(0): grid([0, 1]), key(1): grid([1, 0])}
    texts = np.array([[1, 1], [1, 0]], np.float32) / np.array([[2**0.5], [1]], np.float32)
    assert names(ordered(answer_of([0.3, 0.3]), grids, texts, [1.0, -1.0], 0.1, limit=2))[0] == "0.jpg"


def test_a_picture_that_could_not_be_read_counts_as_the_usual_one() -> None:
    grids = {key(0): grid([1, 0]), key(2): grid([0, 1])}
    found = ordered(answer_of([0.3, 0.3, 0.3]), grids, TEXT, [1.0], 0.1, limit=3)
    assert names(found) == ["0.jpg", "1.jpg", "2.jpg"]
    assert found[1].parts is None


def test_only_as_many_as_are_wanted_are_left() -> None:
    assert len(ordered(answer_of([0.3] * 9), {}, TEXT, [1.0], 0.1, limit=4)) == 4
    assert images_ahead(3) == 50
    assert images_ahead(30) == 150


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number, colour in enumerate(["red", "green", "blue"]):
        image = Image.new("RGB", (160, 100), "grey")
        ImageDraw.Draw(image).ellipse((20 + 20 * number, 20, 90, 80), fill=colour)
        image.save(folder / f"{colour}.png")
    place = tmp_path_factory.mktemp("library") / "photos.library"
    index_folders(place, [folder], IndexSettings(model="builtin", device="cpu", workers=1))
    return place


def test_a_librarys_answer_is_ordered_with_patches_that_stay_in_it(library: Path) -> None:
    with open_library(library) as reader:
        answer = search(reader, make_query(["a red ball"]), limit=50)
    found = by_parts(answer, library, limit=2, device="cpu")
    assert len(found) == 2
    totals = [hit.score + hit.parts for hit in found]
    assert totals == sorted(totals, reverse=True)
    with open_library(library) as reader:
        assert reader.status().patches[0] == 3


def test_an_answer_of_other_weights_is_refused(library: Path) -> None:
    with open_library(library) as reader:
        answer = search(reader, make_query(["a red ball"]))
    with pytest.raises(EncoderError, match="other weights now"):
        by_parts(replace(answer, weights_hash="0" * 64), library, limit=2, device="cpu")


def test_a_query_without_words_is_refused(library: Path, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "x.png")
    example = replace(answer_of([0.3]), query=make_query([], like=[tmp_path / "x.png"]))
    with pytest.raises(QueryInvalid, match="words"):
        by_parts(example, library, limit=2)
