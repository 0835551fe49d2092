"""Options of commands: what a person sets is what reaches the library, or is seen in what comes of it."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from indexer import pipeline
from indexer.patch_filling import PatchesFilled
from indexer.pipeline import IndexSettings
from sightline import regions_indexing
from trainer.examples import Example, ImagePlace
from trainer.tuning import running
from trainer.tuning.running import Request
from trainer.tuning.settings import Method

from ..pictures import make_pictures
from .conftest import Run


def write_pairs(file: Path, first_seed: int, columns: tuple[str, str]) -> tuple[Example, ...]:
    """Write a table of three pictures; of the usual names a column that is not named holds nothing of use."""
    pictures = make_pictures(file.with_suffix(""), 3, first_seed)
    rows = [f"gone.png,words,{picture},about {picture.stem}" for picture in pictures]
    head = ",".join((*(f"no {name}" if name in columns else name for name in ("image", "caption")), *columns))
    file.write_text("\n".join([head, *rows]))
    return tuple(Example(ImagePlace(picture), (f"about {picture.stem}",)) for picture in pictures)


def test_all_that_is_asked_of_a_training_reaches_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[Request] = []
    monkeypatch.setattr(running, "tune", lambda request, **_: requests.append(request))
    tables = [tmp_path / name for name in ("train.csv", "val.csv", "general.csv")]
    own, usual = ("second image", "second caption"), ("image", "caption")
    train, validation, general = map(write_pairs, tables, (0, 10, 20), (own, own, usual))
    done = run(
        *("train", tables[0], "--val", tables[1], "--general", tables[2], "--out", tmp_path / "run"),
        *("--image-column", "second image", "--caption-column", "second caption"),
        *("--method", "lora", "--epochs", "2", "--batch", "8", "--micro-batch", "4", "--rate", "0.5"),
        *("--loss", "sigmoid", "--lora-rank", "3", "--no-flips", "--patience", "5", "--no-blend"),
        *("--recompute", "--precision", "bfloat16", "--seed", "7", "--device", "cpu"),
    )
    assert done.returncode == 0, done.stderr.decode()
    asked = {
        "epochs": 2,
        "batch_size": 8,
        "micro_batch": 4,
        "rate": 0.5,
        "loss": "sigmoid",
        "lora_rank": 3,
        "flips": False,
        "patience": 5,
        "blend": False,
        "recompute": True,
        "precision": "bfloat16",
        "seed": 7,
    }
    assert requests == [
        Request(
            "builtin", Method.LORA, train, validation, tmp_path / "run", asked, general, "cpu", source=ANY
        )
    ]


def test_what_is_not_asked_of_a_training_is_left_to_its_method(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[Request] = []
    monkeypatch.setattr(running, "tune", lambda request, **_: requests.append(request))
    write_pairs(tmp_path / "train.csv", 0, ("image", "caption"))
    done = run("train", tmp_path / "train.csv", "--out", tmp_path / "run", "--method", "full")
    assert done.returncode == 0, done.stderr.decode()
    assert set(requests[0].asked.values()) == {None}


def test_a_model_is_measured_on_the_images_of_the_named_column(run: Run, model: Path, tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs.csv", 0, ("second image", "second caption"))
    named = ("--image-column", "second image", "--caption-column", "second caption")
    done = run("eval", tmp_path / "pairs.csv", "--model", model, "--json", *named)
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    assert (told["images"], told["captions"]) == (3, 3)


def test_all_that_is_asked_of_indexing_reaches_it(
    run: Run, pictures: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: list[IndexSettings] = []
    index = pipeline.index_folders

    def spied(place: Path, folders: Any, chosen: IndexSettings, **more: Any) -> Any:
        settings.append(chosen)
        return index(place, folders, chosen, **more)

    monkeypatch.setattr(pipeline, "index_folders", spied)
    done = run(
        *("index", pictures, "--model", model, "--device", "cpu", "--batch-size", "3", "--workers", "1"),
        *("--exclude", "*.gif", "--exclude", "drafts", "--include-hidden", "--max-megapixels", "0.5"),
        "--retry-skipped",
    )
    assert done.returncode == 0, done.stderr.decode()
    assert settings == [
        IndexSettings(
            model=str(model),
            device="cpu",
            batch_size=3,
            workers=1,
            exclude=("*.gif", "drafts"),
            include_hidden=True,
            max_megapixels=0.5,
            retry_skipped=True,
        )
    ]


def test_no_regions_are_stored_after_an_indexing_that_was_stopped(
    run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, asked = pipeline.index_folders, []
    monkeypatch.setattr(
        pipeline, "index_folders", lambda *given, **more: replace(index(*given, **more), interrupted=True)
    )
    monkeypatch.setattr(regions_indexing, "fill_regions", lambda *given, **_: asked.append(given))
    assert (run("index", "--regions", cwd=pictures).returncode, asked) == (130, [])


def test_who_stops_the_storing_of_regions_gets_the_exit_code_of_ctrl_c(
    run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = PatchesFilled(stored=1, stored_bytes=10, unreadable=0, interrupted=True)
    monkeypatch.setattr(regions_indexing, "fill_regions", lambda *_, **__: stopped)
    done = run("index", "--regions", "--json", cwd=pictures)
    assert done.returncode == 130
    assert json.loads(done.stdout)["regions"] == 1


@pytest.mark.parametrize(("options", "count"), [((), 0), (("--include-hidden",), 2)])
def test_hidden_pictures_are_indexed_when_told(
    run: Run, pictures: Path, options: tuple[str, ...], count: int
) -> None:
    make_pictures(pictures / ".hidden", 1)
    make_pictures(pictures, 1, first_seed=5)[0].rename(pictures / ".picture.png")
    assert json.loads(run("index", "--json", *options, cwd=pictures).stdout)["indexed"] == count


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--deep",), 1)])
def test_a_file_that_changed_unseen_is_found_by_a_deep_look_alone(
    run: Run, pictures: Path, options: tuple[str, ...], code: int
) -> None:
    file = pictures / "many/03.jpg"
    status = file.stat()
    file.write_bytes(bytes(status.st_size))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run("verify", "--check", *options, cwd=pictures).returncode == code
