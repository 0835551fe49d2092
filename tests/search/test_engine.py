import shutil
from collections.abc import Sequence
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
from search.engine import choose_encoder, search
from search.query import make_query
from search.results import SearchAnswer

from ..indexer.encoders import small_models
from ..indexer.store.making import make_card, make_library, make_vector


class MadeUpEncoder:
    """Gives a text the vector that a content of its name has, with some noise."""

    card: EncoderCard = make_card()
    batch_size = 8

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        noise = np.stack([make_vector(f"about {text}") for text in texts])
        return unit_rows(np.stack([make_vector(text) for text in texts]) + noise)

    def encode_pixels(self, pixels: PixelBatch) -> Vectors:
        raise NotImplementedError

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        raise NotImplementedError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Give the root of a library that knows what unrelated texts score in it."""
    library = make_library(tmp_path, publish=False)
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
    photos: Path, texts: Sequence[str], *, folder: str | None = None, **choices: object
) -> SearchAnswer:
    filters = Filters(folder=photos / folder) if folder else None
    with open_library(photos / ".sightline") as reader:
        return search(
            reader,
            make_query(texts, without=choices.pop("without", ())),  # type: ignore[arg-type]
            filters=filters,
            limit=100,
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
