"""`sightline eval`, as a person uses it."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.cli.eval import _templates
from trainer.templates import ENSEMBLE

from .conftest import CONFIG, Run
from .reading import read

COUNT = 12


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a table of images with two captions each."""
    folder = tmp_path_factory.mktemp("pairs")
    generator = np.random.default_rng(5)
    with (folder / "pairs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "caption"])
        for number in range(COUNT):
            patches = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            Image.fromarray(patches).resize((80, 60), Image.Resampling.NEAREST).save(folder / f"{number}.png")
            table.writerow([f"{number}.png", f"the old town at night {number}"])
            table.writerow([f"{number}.png", f"a <b>red</b> square number {number}"])
    return folder / "pairs.csv"


@pytest.fixture(scope="module")
def other(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give another random model of the same kind."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("other") / "other"
    shutil.copytree(model, folder)
    weights = load_file(folder / "open_clip_model.safetensors")
    weights = {
        name: tensor.flip(0).contiguous() if tensor.ndim == 2 else tensor for name, tensor in weights.items()
    }
    save_file(weights, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def classes(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give class folders, for learning and for measuring."""
    folder = tmp_path_factory.mktemp("classes")
    for number in range(COUNT):
        place = folder / ("test" if number < COUNT // 2 else "train") / ("red door", "blue door")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(pairs.with_name(f"{number}.png"), place)
    return folder


def test_models_stand_side_by_side_with_intervals_and_chance(run: Run, pairs: Path, model: Path, other: Path):
    done = run("eval", pairs, "--model", model, "--model", other)
    assert done.returncode == 0, done.stderr.decode()
    lines = done.stdout.decode().splitlines()
    heading = next(line.split() for line in lines if "chance" in line)
    assert heading == ["chance", model.name, "other", "change"]
    recall = next(line for line in lines if line.startswith(" text to image recall@5"))
    assert recall.split()[4] == "41.7%"  # chance: five of twelve
    assert recall.count(" to ") == 4  # its own, and of three intervals
    assert b"12 images with 24 captions" in done.stderr
    assert b"12 images are few" in done.stderr


def test_json_holds_every_figure_with_its_interval(run: Run, pairs: Path, model: Path, other: Path):
    done = run("eval", pairs, "--model", model, "--model", other, "--json", "--seed", "3")
    told = json.loads(done.stdout)
    assert (told["images"], told["captions"], told["seed"]) == (COUNT, 2 * COUNT, 3)
    assert [entry["name"] for entry in told["models"]] == [str(model), str(other)]
    assert len(told["figures"]) == 8
    for figure in told["figures"]:
        assert all(value["low"] <= value["value"] <= value["high"] for value in figure["values"])
        first, second = (value["value"] for value in figure["values"])
        assert figure["changes_from_first"][0]["value"] == pytest.approx(second - first)


def test_the_same_seed_gives_the_same_figures(run: Run, pairs: Path, model: Path):
    first, again = (json.loads(run("eval", pairs, "--model", model, "--json").stdout) for _ in range(2))
    assert first["figures"] == again["figures"]


def test_page_shows_what_changed_with_pictures_and_no_markup_of_captions(
    run: Run, pairs: Path, model: Path, other: Path, tmp_path: Path
):
    file = tmp_path / "page.html"
    done = run("eval", pairs, "--model", model, "--model", other, "--html", file)
    assert done.returncode == 0, done.stderr.decode()
    page = read(file.read_text(encoding="utf-8"))
    assert "Got better" in page.words and "Got worse" in page.words
    asked = [figure for figure in page.figures if "base" in figure.kinds]
    assert len(page.figures) == 3 * len(asked) > 0  # the right one, and what each model put first
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources())
    assert "a <b>red</b> square" in page.words


def test_class_folders_are_measured_by_naming_and_by_a_probe(run: Run, classes: Path, model: Path):
    done = run("eval", classes / "test", "--probe-train", classes / "train", "--model", model, "--json")
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    assert [figure["name"] for figure in told["figures"]] == ["zero-shot top-1", "linear probe top-1"]
    assert told["classes"] == 2


def test_own_names_change_what_is_asked(run: Run, classes: Path, model: Path, tmp_path: Path):
    (tmp_path / "names.json").write_text('{"red door": "the old town", "blue door": "the old town"}')
    done = run("eval", classes / "test", "--model", model, "--json", "--class-names", tmp_path / "names.json")
    (figure,) = json.loads(done.stdout)["figures"]
    assert figure["values"][0]["value"] == 0.0  # two classes of one name: a tie counts against us


@pytest.mark.parametrize(("alone", "count"), [(False, len(ENSEMBLE) + 1), (True, 2)])
def test_own_templates_stand_beside_ours_unless_they_are_to_stand_alone(
    tmp_path: Path, alone: bool, count: int
):
    (tmp_path / "templates.txt").write_text("a {} at night\na {}\n")
    assert len(_templates(tmp_path / "templates.txt", alone=alone)) == count


def test_no_templates_at_all_are_refused(run: Run, classes: Path, model: Path):
    done = run("eval", classes / "test", "--model", model, "--only-templates")
    assert done.returncode == 2
    assert b"give yours with --templates" in done.stderr


def test_captions_are_taken_for_classes_when_told(run: Run, pairs: Path, model: Path):
    done = run("eval", pairs, "--model", model, "--classes", "--json")
    assert json.loads(done.stdout)["classes"] == COUNT


def test_an_unknown_model_is_told_before_anything_is_read(run: Run, tmp_path: Path, model: Path):
    done = run("eval", tmp_path / "nowhere.csv", "--model", model, "--model", "no-such-model")
    assert done.returncode == 2
    assert b"no-such-model" in done.stderr and b"sightline models" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_folder_that_holds_no_model_is_told(run: Run, pairs: Path):
    done = run("eval", pairs, "--model", pairs.parent)
    assert done.returncode == 2
    assert b"the folder has no open_clip_config.json" in done.stderr


def test_a_model_folder_of_another_kind_is_told(run: Run, pairs: Path, model: Path, tmp_path: Path):
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    config = json.loads(json.dumps(CONFIG))
    config["model_cfg"]["embed_dim"] = 48
    (broken / "open_clip_config.json").write_text(json.dumps(config))
    done = run("eval", pairs, "--model", broken)
    assert done.returncode == 5
    assert b"cannot be built" in done.stderr


def test_the_same_model_twice_is_refused(run: Run, pairs: Path, model: Path):
    done = run("eval", pairs, "--model", model, "--model", f"{model}{os.sep}")
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"given twice" in done.stderr


def test_a_source_without_pairs_is_refused(run: Run, model: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    done = run("eval", tmp_path / "empty", "--model", model)
    assert (done.returncode, done.stderr.count(b"\n"), done.stdout) == (2, 1, b"")


def test_one_image_is_refused(run: Run, pairs: Path, model: Path, tmp_path: Path):
    shutil.copy(pairs.with_name("0.png"), tmp_path)
    (tmp_path / "one.csv").write_text("image,caption\n0.png,a red square\n")
    done = run("eval", tmp_path / "one.csv", "--model", model)
    assert done.returncode == 2
    assert b"there is one image" in done.stderr


def test_a_probe_without_classes_is_refused(run: Run, pairs: Path, classes: Path, model: Path):
    done = run("eval", pairs, "--model", model, "--probe-train", classes / "train")
    assert done.returncode == 2
    assert b"--classes" in done.stderr


def test_a_model_stands_beside_itself_with_parts(run: Run, pairs: Path):
    done = run("eval", pairs, "--parts", "--json")
    assert done.returncode == 0, done.stderr.decode()
    (said,) = map(json.loads, done.stdout.splitlines())
    assert [model["name"] for model in said["models"]] == ["builtin", "builtin, with parts"]
    assert all(len(figure["values"]) == 2 for figure in said["figures"])


def test_class_folders_are_named_by_parts_too(run: Run, classes: Path):
    done = run("eval", classes / "test", "--parts")
    assert done.returncode == 0, done.stderr.decode()
    assert "zero-shot top-1" in done.stdout.decode()
    assert "builtin, with parts" in done.stdout.decode()


def test_a_probe_and_parts_at_once_are_refused(run: Run, classes: Path):
    done = run("eval", classes / "test", "--parts", "--probe-train", classes / "train")
    assert done.returncode == 2
    assert b"leave one of them out" in done.stderr


@pytest.mark.parametrize("option", [["--parts"], ["--html", "page.html"], ["--classes"]])
def test_what_belongs_to_pairs_is_refused_beside_regions(run: Run, tmp_path: Path, option: list[str]):
    done = run("eval", tmp_path, "--regions", *option)
    assert done.returncode == 2
    assert f"{option[0]} belongs to pairs".encode() in done.stderr
