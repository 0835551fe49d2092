import ast
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import sightline
from indexer import errors
from indexer.encoders import models
from indexer.encoders.dense_loading import load_patch_encoder
from indexer.errors import (
    EncoderUnknown,
    FolderMissing,
    LibraryEmpty,
    LibraryMissing,
    NoPatchVectors,
    QueryInvalid,
    SightlineError,
    UsageError,
)
from search.query import make_query
from sightline import api
from tests.indexer.rights import ordinary_user

from .conftest import paint

pytestmark = pytest.mark.usefixtures("as_commands_run")


def test_public_names_are_there():
    for name in sightline.__all__:
        assert getattr(sightline, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        sightline.nonsense  # type: ignore[attr-defined]


def test_what_public_functions_return_and_raise_is_public():
    public = [getattr(sightline, name) for name in ("open", "load_encoder", "highlight")]
    public += [method for name, method in vars(sightline.Library).items() if not name.startswith("_")]
    raised = {name for method in public for name in _raised(method.__doc__ or "")}
    assert {"LibraryBusy", "QueryInvalid", "WeightsUnavailable"} <= raised
    assert raised | {"StoredImage", "LibraryStatus", "VerifyReport"} <= set(sightline.__all__)


def test_every_error_is_public():
    assert {kind.__name__ for kind in _family(SightlineError)} <= set(sightline.__all__)


def _family(kind: type[Exception]) -> set[type[Exception]]:
    """Give the errors of indexer/errors.py below one, and it."""
    below = {each for child in kind.__subclasses__() for each in _family(child)}
    return {each for each in below | {kind} if each.__module__ == "indexer.errors"}


def _raised(docstring: str) -> list[str]:
    """Give the errors that a docstring names."""
    kinds = [name for name, kind in vars(errors).items() if isinstance(kind, type)]
    return [name for name in re.findall(r"\w+", docstring) if name in kinds]


def test_index_then_search(model: Path, tmp_path: Path):
    paint(tmp_path, ["one.jpg", "two.png", "three.jpg"])
    with sightline.open(tmp_path) as library:
        summary = library.index(model=str(model), workers=1)
        hits = library.search("a dog on the beach", limit=2)
    assert summary.indexed == 3
    assert [hit.path.parent for hit in hits] == [tmp_path, tmp_path]
    assert hits[0].score >= hits[1].score


def test_a_library_that_keeps_regions_gives_its_summary_though_the_model_has_none(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(name: str, **_choices: object) -> object:
        raise NoPatchVectors(name, "it pools by attention")

    paint(tmp_path, ["one.jpg"])
    with sightline.open(tmp_path) as library:
        library.index(model=str(model), workers=1, regions=True)
        paint(tmp_path, ["two.jpg"])
        monkeypatch.setattr("sightline.regions_indexing.load_patch_encoder", refuse)
        told: list[str] = []
        assert library.index(workers=1, on_notice=told.append).indexed == 1
    assert told[-1].endswith("`--no-regions` ends this")


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


@pytest.mark.parametrize("texts", [None, 1, b"dog", b"", ["dog", None]])
@pytest.mark.parametrize("name", ["query", "without"])
def test_queries_that_are_no_texts_are_said(indexed: Path, name: str, texts: object):
    with sightline.open(indexed) as library, pytest.raises(QueryInvalid, match="a str or a list of str"):
        library.search(**{"query": "dog", name: texts})  # type: ignore[arg-type]


@pytest.mark.parametrize("files", [None, 1, b"blue.png", b"", [None]])
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


def test_a_library_passes_over_a_folder_that_is_away(pictures: Path, tmp_path: Path):
    paint(tmp_path / "drive", ["kept.jpg"])
    with sightline.open(pictures / ".sightline") as library:
        library.index(tmp_path / "drive")
        (tmp_path / "drive").rename(tmp_path / "away")
        heard: list[str] = []
        assert library.index(on_notice=heard.append).unchanged == 25
        assert heard[0].startswith(f"{tmp_path / 'drive'}: nothing was found there any more")
        assert library.status().files == 26


def test_what_is_kept_of_removed_images_can_be_forgotten(pictures: Path):
    with sightline.open(pictures) as library:
        (pictures / "blue.png").unlink()
        library.index()
        assert (library.forget_removed(), library.status().kept) == (1, 0)


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


def test_a_run_that_is_stopped_among_the_regions_is_interrupted(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
):
    stop = threading.Event()

    def stop_once_loaded(*asked: Any, **choices: Any) -> object:
        stop.set()
        return load_patch_encoder(*asked, **choices)

    monkeypatch.setattr("sightline.regions_indexing.load_patch_encoder", stop_once_loaded)
    with sightline.open(pictures) as library:
        assert library.index(regions=True, stop=stop).interrupted


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


@pytest.mark.parametrize(
    "asked",
    [
        {"min_score": "0.1"},
        {"min_relevance": float("nan")},
        {"model": 5},
        {"after": 2024},
        {"before": date.min},
        {"camera": 3},
        {"min_width": 2**64},
        {"min_score": 10**400},
        {"min_score": 10**5000},
        {"min_width": -(10**5000)},
        {"like": ""},
        {"folder": ""},
        {"folder": 5},
    ],
)
def test_what_no_choice_of_a_search_can_be_is_said_in_one_line(indexed: Path, asked: dict[str, object]):
    with sightline.open(indexed) as library, pytest.raises(QueryInvalid, match=next(iter(asked))) as raised:
        library.search("dog", **asked)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("ask", ["index", "search", "embeddings", "highlight"])
def test_a_model_that_no_file_can_be_is_said_to_be_unknown(pictures: Path, ask: str):
    with sightline.open(pictures) as library, pytest.raises(EncoderUnknown, match="zero byte"):
        asks: dict[str, Callable[..., object]] = {
            "index": library.index,
            "search": partial(library.search, "dog"),
            "embeddings": library.embeddings,
            "highlight": partial(sightline.highlight, pictures / "blue.png", "dog"),
        }
        asks[ask](model="ViT-B-32@a\0b.pt")


def test_ids_that_no_image_can_have_are_left_out(indexed: Path):
    with sightline.open(indexed) as library:
        assert list(library.images([2**64, 1, -(2**63) - 1])) == [1]


@pytest.mark.parametrize("ids", [5, None, ["1"]])
def test_what_are_no_ids_is_said(indexed: Path, ids: Any):
    with sightline.open(indexed) as library, pytest.raises(UsageError, match="whole number"):
        library.images(ids)


@pytest.mark.parametrize(
    "asked",
    [
        {"workers": 0},
        {"workers": -3},
        {"batch_size": 0},
        {"max_megapixels": float("nan")},
        {"model": 5},
        {"device": None},
        {"device": "gpu"},
        {"stop": 3},
        {"on_progress": None},
        {"on_notice": "print"},
        {"exclude": b"*.gif"},
        {"exclude": "*.gif", "no_exclude": True},
    ],
)
def test_what_no_choice_of_a_run_can_be_is_said_before_anything_is_made(
    tmp_path: Path, asked: dict[str, object]
):
    with sightline.open(tmp_path) as library, pytest.raises(UsageError, match=next(iter(asked))):
        library.index(**asked)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("asked", [{"name": 5}, {"batch_size": 0}, {"device": 1}, {"device": ""}])
def test_what_no_encoder_can_be_is_said(asked: dict[str, object]):
    with pytest.raises(UsageError, match=next(iter(asked))):
        sightline.load_encoder(**{"name": "builtin", **asked})  # type: ignore[arg-type]


def test_a_path_with_a_zero_byte_is_said(indexed: Path):
    with pytest.raises(QueryInvalid, match="zero byte"):
        sightline.highlight("a\0b", "dog")
    with pytest.raises(UsageError, match="zero byte"):
        sightline.open("a\0b")
    with sightline.open(indexed) as library, pytest.raises(UsageError, match="zero byte"):
        library.forget("a\0b")


def test_an_empty_path_is_not_the_current_folder(indexed: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(indexed)
    with sightline.open(".") as library:
        for ask in (library.forget, library.index, sightline.open):
            with pytest.raises(UsageError, match="an empty path"):
                ask("")
        assert library.status().files > 0


@pytest.mark.parametrize("ask", ["open", "index", "search in", "search like", "forget", "highlight"])
def test_a_path_that_the_system_refuses_ends_in_an_error_of_ours(indexed: Path, ask: str):
    refused = indexed / ("x" * 300 + ".png")  # longer than any name may be
    with sightline.open(indexed) as library, pytest.raises(SightlineError, match="too long"):
        asks: dict[str, Callable[[], object]] = {
            "open": lambda: sightline.open(refused),
            "index": lambda: library.index(refused),
            "search in": lambda: library.search("dog", folder=refused),
            "search like": lambda: library.search(like=refused),
            "forget": lambda: library.forget(refused),
            "highlight": lambda: sightline.highlight(refused, "dog"),
        }
        asks[ask]()


@pytest.mark.parametrize(
    "error", [TimeoutError("too long"), BrokenPipeError(32, "Broken pipe"), TimeoutError()]
)
def test_what_a_caller_raises_comes_back_as_it_was(
    indexed: Path, error: OSError, monkeypatch: pytest.MonkeyPatch
):
    def load(*_: object) -> object:
        raise error

    monkeypatch.setattr(api, "load_for_query", load)
    with sightline.open(indexed) as library, pytest.raises(type(error)) as raised:
        library.search("dog")
    assert raised.value is error


def test_a_folder_that_is_closed_to_us_is_no_bug(indexed: Path, tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    with ordinary_user(), sightline.open(indexed) as library:
        with pytest.raises(SightlineError, match="permission denied"):
            sightline.open(closed / "photos")
        with pytest.raises(QueryInvalid, match="permission denied"):
            library.search(like=closed / "cat.jpg")


def test_an_encoder_is_kept_for_those_who_prepare_images_as_it_does(
    model: Path, monkeypatch: pytest.MonkeyPatch
):
    card = sightline.load_encoder(str(model)).card
    other = replace(card, preprocessing=replace(card.preprocessing, mean=(0.1, 0.1, 0.1)))
    monkeypatch.setattr(api, "load_for_query", lambda card, query: card)
    library, query = sightline.open("."), make_query(["a dog"])
    loaded = [library._encoder_for(each, query) for each in (card, other, card)]
    assert loaded == [card, other, card]


def test_misspelt_names_are_seen_by_type_checkers_and_completion():
    assert set(sightline.__all__) == set(dir(sightline))
    assert "__getattr__" not in _names_for_checkers()


def _names_for_checkers() -> set[str]:
    """Give what a type checker takes for defined at the top of the module."""
    tree = ast.parse(Path(sightline.__file__).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_one_pattern_to_leave_out_may_be_given_as_it_is(model: Path, tmp_path: Path):
    paint(tmp_path, ["one.jpg", "two.png"])
    with sightline.open(tmp_path) as library:
        assert library.index(model=str(model), workers=1, exclude="*.png").indexed == 1


def test_a_folder_named_by_a_link_is_forgotten(pictures: Path):
    (pictures / "link").symlink_to("many")
    with sightline.open(pictures) as library:
        assert library.forget(pictures / "link") == 20


def test_dots_after_a_link_name_the_folder_that_is_forgotten(pictures: Path):
    paint(pictures, ["2023/many/one.jpg"])
    (pictures / "link").symlink_to("2023/deep")
    with sightline.open(pictures) as library:
        library.index()
        assert library.forget(pictures / "link" / ".." / "many") == 1


def test_dots_after_a_link_name_the_folder_that_is_opened(indexed: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(indexed / "many")
    assert sightline.open(tmp_path / "link" / "..").folder == indexed


def test_an_open_library_answers_from_the_one_that_was_made_anew(model: Path, tmp_path: Path):
    names = [f"{number}.jpg" for number in range(80)]  # more than a search looks at once more
    paint(tmp_path, names)
    with sightline.open(tmp_path) as library, sightline.open(tmp_path) as other:
        library.index(model=str(model), workers=1)
        library.search("dog")
        shutil.rmtree(tmp_path / ".sightline")
        with pytest.raises(LibraryMissing):
            library.search("dog")
        paint(tmp_path, names[::-1])
        other.index(model=str(model), workers=1)
        assert library.search("dog", limit=20).hits == other.search("dog", limit=20).hits


def test_auto_chooses_for_the_device_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gpu_choice = models.RECOMMENDED[models.GPU_CHOICE].repository
    repository = tmp_path / ("models--" + gpu_choice.replace("/", "--"))
    for name in ("open_clip_model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        file = repository / "snapshots" / "abc" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(models, "choose_device", lambda wanted: "cuda:0" if wanted == "auto" else wanted)
    assert sightline.load_encoder("auto", device="cpu").card.name == "builtin"


def test_an_encoder_that_no_file_can_be_is_unknown():
    with pytest.raises(EncoderUnknown, match="zero byte"):
        sightline.load_encoder("ViT-B-32@a\0b.pt")
