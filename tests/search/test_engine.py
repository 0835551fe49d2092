import shutil
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.background import measure_background
from indexer.encoders.base import PixelBatch, unit_rows
from indexer.encoders.names import BUILTIN_FOLDER
from indexer.errors import EncoderMismatch
from indexer.pipeline import IndexSettings, index_folders
from indexer.records import EncoderCard, Vectors
from indexer.store.library import open_for_writing, open_library
from indexer.store.records import Filters
from search.encoding import Encoding
from search.engine import choose_encoder, search
from search.query import EncodedQuery, make_query
from search.results import SearchAnswer

from ..indexer.encoders import small_models
from ..indexer.store.making import make_card, make_file, make_library, make_vector, scan


class MadeUpEncoder:
    """Gives a text the vector that a content of its name has, with some noise."""

    card: EncoderCard = make_card()
    batch_size = 8

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        noise = np.stack([make_vector(f"about {text}") for text in texts])
        return unit_rows(np.stack([make_vector(text) for text in texts]) + noise)

    def encode_pixels(self, pixels: PixelBatch) -> Vectors:
        return np.stack([make_vector("example")] * len(pixels))

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        raise NotImplementedError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Give the root of a library that knows what unrelated texts score in it."""
    return make_photos(tmp_path, 60)


def make_photos(tmp_path: Path, count: int) -> Path:
    library = make_library(tmp_path, count, publish=False)
    texts = np.stack([make_vector(f"unrelated {number}") for number in range(64)])
    with open_for_writing(library, create=False) as writer:
        encoder = writer.default_encoder()
        _, vectors = writer.embeddings(encoder)
        measured = measure_background(
            texts, vectors, lambda some: vectors[(some @ vectors.T).argmax(axis=1)], len(vectors)
        )
        writer.set_background(encoder, measured.as_dict())
    for number in range(10):
        (tmp_path / f"{number}").mkdir()
    return tmp_path


def answer(
    photos: Path,
    texts: Sequence[str],
    *,
    folder: str | None = None,
    like: Sequence[Path] = (),
    limit: int = 100,
    **choices: object,
) -> SearchAnswer:
    filters = Filters(folder=photos / folder) if folder else None
    with open_library(photos / ".sightline") as reader:
        return search(
            reader,
            make_query(texts, without=choices.pop("without", ()), like=like),  # type: ignore[arg-type]
            filters=filters,
            limit=limit,
            load=lambda card, query: MadeUpEncoder(),
            **choices,  # type: ignore[arg-type]
        )


def test_an_image_has_the_same_relevance_in_its_folder_as_in_the_whole_library(photos: Path) -> None:
    everywhere = {hit.path: hit.relevance for hit in answer(photos, ["content 7"])}
    for folder in ("7", "3"):
        within = {hit.path: hit.relevance for hit in answer(photos, ["content 7"], folder=folder)}
        assert within == {path: everywhere[path] for path in everywhere if path.parent == photos / folder}
        assert within


def test_a_query_that_only_takes_away_gets_no_verdict(photos: Path) -> None:
    found = answer(photos, [], without=["content 7"], min_relevance=0.5)
    assert not found.nothing_matches
    assert len(found) == 60


def test_a_query_that_only_takes_away_gets_no_verdict_where_a_filter_leaves_nothing_either(
    photos: Path,
) -> None:
    (photos / "empty").mkdir()
    found = answer(photos, [], without=["content 7"], folder="empty")
    assert (found.nothing_matches, len(found)) == (False, 0)


@pytest.mark.parametrize(
    ("count", "by_example", "verdict"), [(10, True, False), (60, True, True), (10, False, True)]
)
def test_that_nothing_is_like_an_example_is_said_in_a_crowd_alone(
    tmp_path: Path, count: int, by_example: bool, verdict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = make_photos(tmp_path / "photos", count)
    far = -unit_rows(
        np.stack([make_vector(f"content {number}") for number in range(count)]).mean(axis=0)[None]
    )
    for name in ("encode_texts", "encode_pixels"):
        monkeypatch.setattr(MadeUpEncoder, name, lambda *_: far)
    Image.new("RGB", (9, 9)).save(tmp_path / "example.png")
    found = answer(
        photos, [] if by_example else ["far"], like=[tmp_path / "example.png"] if by_example else []
    )
    assert found.hits
    assert found.nothing_matches == verdict


def test_copies_do_not_make_an_answer_longer_than_was_asked_for(tmp_path: Path) -> None:
    with open_for_writing(tmp_path / ".sightline", create=True) as writer:
        files = {make_file(tmp_path, f"{number}.jpg"): f"content {number % 3}" for number in range(12)}
        scan(writer, writer.use_encoder(make_card()), files, tmp_path)
    assert len(answer(tmp_path, ["dog"], limit=6)) == 6


def test_a_query_that_was_begun_for_another_model_is_encoded_anew(photos: Path) -> None:
    result: Future[EncodedQuery] = Future()
    result.set_exception(AssertionError("the other model's answer is used"))
    other = Encoding(replace(make_card(), weights_hash="0" * 64), result)
    assert answer(photos, ["dog"], encoding=other).hits


def test_of_two_encoders_of_one_name_the_one_that_searches_use_is_chosen(photos: Path) -> None:
    with open_for_writing(photos / ".sightline", create=False) as writer:
        used = writer.default_encoder()
        newer = writer.use_encoder(replace(used.card, weights_hash="0" * 64))
        files = {make_file(photos, f"{i % 10}/{i}.jpg", 1000 + i): f"content {i}" for i in range(60)}
        scan(writer, newer, {**files, make_file(photos, "new.jpg"): "new"}, photos)
    with open_library(photos / ".sightline") as reader:
        assert all(each.images for each in reader.encoders())
        assert choose_encoder(reader, used.card.name).id == used.id


def test_a_folder_named_by_a_link_is_searched(photos: Path) -> None:
    (photos / "link").symlink_to("3")
    assert {hit.path.parent for hit in answer(photos, ["dog"], folder="link")} == {photos / "3"}


def test_a_folder_of_the_librarys_weights_is_searched_with_under_its_own_name(tmp_path: Path) -> None:
    folder, library = tmp_path / "photos", tmp_path / "library"
    folder.mkdir()
    Image.effect_noise((80, 60), 90).save(folder / "noise.png")
    index_folders(library, [folder], IndexSettings(model="builtin", device="cpu", workers=1))
    run = shutil.copytree(BUILTIN_FOLDER, tmp_path / "run")  # where a patch head may lie beside them
    stranger = small_models.write_builtin(tmp_path / "stranger")
    with open_library(library) as reader:
        stored = choose_encoder(reader, "builtin")
        found = choose_encoder(reader, str(run))
        assert (found.id, found.card.name) == (stored.id, str(run))
        for other in (str(stranger), str(tmp_path / "nowhere"), "ViT-B-32/openai"):
            with pytest.raises(EncoderMismatch):
                choose_encoder(reader, other)
