"""`sightline train`, as a person uses it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from indexer.encoders.loading import load_encoder

from ..trainer.tuning.models import CONFIG, draw_pairs
from .conftest import Run


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a table of 64 drawn pictures and their descriptions."""
    folder = tmp_path_factory.mktemp("pairs")
    with (folder / "pairs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "caption"])
        for example in draw_pairs(folder / "drawn"):
            table.writerow([example.image.path.relative_to(folder), example.captions[0]])
    return folder / "pairs.csv"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "tiny.json").write_text(json.dumps(CONFIG))
    return tmp_path / "tiny.json"


def test_check_looks_the_pairs_through_and_trains_nothing(run: Run, pairs: Path, tmp_path: Path) -> None:
    done = run("train", pairs, "--out", tmp_path / "run", "--check")
    assert done.returncode == 0
    assert b"to learn from" in done.stderr
    assert not (tmp_path / "run").exists()


def test_check_tells_what_it_found_as_one_object(run: Run, pairs: Path, tmp_path: Path) -> None:
    rows = [f"{image},{image.stem}" for image in (pairs.parent / "drawn").iterdir()]
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xffno JPEG")
    (tmp_path / "pairs.csv").write_text("\n".join(["image,caption", "bad.jpg,a dog", *rows]))
    done = run("train", tmp_path / "pairs.csv", "--check", "--json", "--val-share", "0.3")
    told = json.loads(done.stdout)
    assert told["train_images"] + told["validation_images"] == len(rows)
    assert ("unreadable", 1) in [(each["kind"], each["count"]) for each in told["findings"]]


def test_check_needs_no_folder(run: Run, pairs: Path) -> None:
    assert run("train", pairs, "--check").returncode == 0


@pytest.mark.parametrize("options", [(), ("--check", "--resume"), ("--resume",)])
def test_a_run_needs_a_folder(run: Run, pairs: Path, options: tuple[str, ...]) -> None:
    done = run("train", pairs, *options)
    assert done.returncode == 2
    assert b"--out" in done.stderr


def test_a_new_model_is_trained_and_can_index(run: Run, pairs: Path, config: Path, tmp_path: Path) -> None:
    options = ("--method", "scratch", "--from", config, "--epochs", "2", "--batch", "16")
    done = run("train", pairs, "--out", tmp_path / "run", *options)
    assert done.returncode == 0, done.stderr
    assert b"is a model now: sightline index FOLDER --model" in done.stdout
    place = tmp_path / "library"
    indexed = run("index", pairs.parent / "drawn", "--model", tmp_path / "run", "--library", place)
    assert indexed.returncode == 0, indexed.stderr
    found = run("search", "a red circle", "--library", place, "--json")
    assert len(found.stdout.splitlines()) > 0


def test_the_sigmoid_loss_leaves_a_model_that_encodes(
    run: Run, pairs: Path, config: Path, tmp_path: Path
) -> None:
    options = ("--method", "scratch", "--from", config, "--epochs", "1", "--loss", "sigmoid")
    done = run("train", pairs, "--out", tmp_path / "run", *options)
    assert done.returncode == 0, done.stderr
    encoder = load_encoder(str(tmp_path / "run"), device="cpu", runtime="torch")
    assert encoder.encode_texts(["a red circle"]).shape == (1, 32)


def test_the_built_in_model_is_tuned_by_its_head(run: Run, pairs: Path, tmp_path: Path) -> None:
    options = ("--method", "head", "--epochs", "3", "--val-share", "0.3", "--json")
    done = run("train", pairs, "--out", tmp_path / "run", *options)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["method"] == "head"
    assert told["after"]["images"] == told["before"]["images"] > 5


def test_one_broken_general_image_does_not_cost_the_run(run: Run, pairs: Path, tmp_path: Path) -> None:
    good = next((pairs.parent / "drawn").iterdir())
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xffno JPEG")
    table = tmp_path / "general.csv"
    table.write_text(f"image,caption\nbad.jpg,a dog\n{good},a shape\n")
    options = ("--method", "head", "--epochs", "1", "--general", table, "--json")
    done = run("train", pairs, "--out", tmp_path / "run", *options)
    assert done.returncode == 0, done.stderr
    assert b"general.csv: images that cannot be read: 1, left out" in done.stderr
    assert json.loads(done.stdout)["general"][0]["images"] == 1


def test_half_a_letter_in_a_caption_does_not_cost_the_check(run: Run, pairs: Path, tmp_path: Path) -> None:
    rows = [{"image": str(path), "caption": path.stem} for path in (pairs.parent / "drawn").iterdir()]
    lines = [json.dumps(row) for row in [{**rows[0], "caption": "a dog \ud83d"}, *rows[1:]]]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    done = run("train", tmp_path / "pairs.jsonl", "--out", tmp_path / "run", "--check")
    assert done.returncode == 0, done.stderr


def test_a_resumed_run_does_not_look_the_pairs_through_again(
    run: Run, pairs: Path, config: Path, tmp_path: Path
) -> None:
    command = ("train", pairs, "--out", tmp_path / "run", "--method", "scratch")
    begun = run(*command, "--from", config, "--epochs", "1", "--val-share", "0.3")
    assert begun.returncode == 0, begun.stderr
    (tmp_path / "run/summary.json").unlink()  # as a kill just before the end leaves it
    again = run(*command, "--val-share", "0.3", "--resume")
    assert again.returncode == 0, again.stderr
    assert b"looked through when the run began" in again.stderr
    (tmp_path / "run/summary.json").unlink()
    other = run(*command, "--val-share", "0.2", "--resume")
    assert other.returncode == 2
    assert b"began with other pairs" in other.stderr


def test_few_images_choose_the_head_and_say_so(run: Run, pairs: Path, tmp_path: Path) -> None:
    done = run("train", pairs, "--out", tmp_path / "run", "--epochs", "1")
    assert b"method head" in done.stderr


def test_classes_are_told_apart_by_a_probe(run: Run, pairs: Path, tmp_path: Path) -> None:
    for image in (pairs.parent / "drawn").iterdir():
        place = tmp_path / "classes" / image.name.split()[0]
        place.mkdir(parents=True, exist_ok=True)
        (place / image.name).write_bytes(image.read_bytes())
    options = ("--method", "probe", "--out", tmp_path / "run", "--val-share", "0.3")
    done = run("train", tmp_path / "classes", *options)
    assert done.returncode == 0, done.stderr
    assert "by the probe" in done.stdout.decode()
    assert (tmp_path / "run/probe.npz").exists()
    assert_encodes_alike("builtin", str(tmp_path / "run"))


def assert_encodes_alike(*models: str) -> None:
    some, others = (load_encoder(name, device="cpu", runtime="torch") for name in models)
    assert some.card.weights_hash == others.card.weights_hash
    texts = ["a red circle", "a dog"]
    assert np.array_equal(some.encode_texts(texts), others.encode_texts(texts))


def test_a_head_for_patches_is_trained_and_the_highlighter_uses_it(
    run: Run, pairs: Path, tmp_path: Path
) -> None:
    options = ("--method", "pacl", "--epochs", "8", "--rate", "3e-3", "--val-share", "0.3")
    done = run("train", pairs, "--out", tmp_path / "run", *options)
    assert done.returncode == 0, done.stderr
    assert b"is the model with a head: sightline highlight" in done.stdout
    photo = next((pairs.parent / "drawn").iterdir())
    found = [
        run("highlight", photo, "circle", "--json", "--model", tmp_path / "run", *more)
        for more in ((), ("--no-head",))
    ]
    assert [b"PACL head" in one.stderr for one in found] == [True, False]
    assert found[0].stdout != found[1].stdout


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("nowhere.csv",), 2, "no such file"),
        (("{pairs}", "--method", "pacl", "--loss", "sigmoid"), 2, "pacl"),
        (("{pairs}", "--from", "ViT-B-33/laion"), 2, "did you mean"),
        (("{pairs}", "--method", "scratch", "--from", "nothing"), 2, "ready ones: liteclip, small"),
        (("{pairs}", "--method", "head", "--loss", "sigmoid"), 2, "leave --loss out"),
        (("{pairs}", "--lora-rank", "4"), 2, "the method head makes no use of --lora-rank"),
        (("{pairs}", "--resume"), 2, "holds no run to go on with"),
        (("{pairs}", "--method", "probe"), 2, "fewer than two"),
        (("{pairs}", "--device", "tpu"), 2, "device 'tpu' is unknown"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    run: Run, pairs: Path, tmp_path: Path, options: tuple[str, ...], code: int, words: str
) -> None:
    filled = [option.replace("{pairs}", str(pairs)) for option in options]
    done = run("train", *filled, "--out", tmp_path / "run", cwd=tmp_path)
    last = done.stderr.decode().strip().splitlines()[-1]
    assert words in last
    assert done.returncode == code


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--method", "head", "--lora-rank", "64"), "makes no use of --lora-rank"),
        (("--method", "scratch", "--from", "own.json"), "'learning_rate'; known are"),
        (("--out", "file"), "file: a file, and a run is kept in a folder"),
        (("--out", "file/run"), "file: a file, and a run is kept in a folder"),
    ],
)
def test_what_can_be_known_beforehand_is_told_before_the_pairs_are_looked_through(
    run: Run, pairs: Path, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    (tmp_path / "own.json").write_text(json.dumps({**CONFIG, "settings": {"learning_rate": 0.1}}))
    (tmp_path / "file").touch()
    done = run("train", pairs, "--out", "run", *options, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.decode().splitlines()
    assert words in line


def test_a_new_model_of_an_own_configuration_goes_on_without_its_method(
    run: Run, pairs: Path, config: Path, tmp_path: Path
) -> None:
    command = ("train", pairs, "--out", tmp_path / "run")
    begun = run(*command, "--method", "scratch", "--from", config, "--epochs", "1")
    assert begun.returncode == 0, begun.stderr
    (tmp_path / "run/summary.json").unlink()  # as a kill just before the end leaves it
    again = run(*command, "--resume")
    assert again.returncode == 0, again.stderr


def test_a_folder_with_a_run_is_told_before_the_pairs_are_looked_through(
    run: Run, pairs: Path, tmp_path: Path
) -> None:
    (tmp_path / "run.json").write_text("{}")
    done = run("train", pairs, "--out", tmp_path)
    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[0].endswith("go on with --resume, or name another folder")


@pytest.mark.parametrize(
    ("method", "own"), [("head", "pairs.jsonl"), ("probe", "open_clip_model.safetensors")]
)
def test_what_is_in_the_folder_is_never_replaced(
    run: Run, pairs: Path, tmp_path: Path, method: str, own: str
) -> None:
    (tmp_path / own).write_text("somebody's own")
    done = run("train", pairs, "--method", method, "--out", tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.decode().splitlines()
    assert f"{own}: there already" in line
    assert (tmp_path / own).read_text() == "somebody's own"


def test_a_run_goes_on_from_another_folder_under_any_name_of_its_configuration(
    run: Run, pairs: Path, config: Path, tmp_path: Path
) -> None:
    command = ("train", pairs, "--out", tmp_path / "run", "--method", "scratch", "--epochs", "1")
    begun = run(*command, "--from", config.name, cwd=tmp_path)
    assert begun.returncode == 0, begun.stderr
    (tmp_path / "run/summary.json").unlink()  # as a kill just before the end leaves it
    (tmp_path / "elsewhere").mkdir()
    again = run(*command, "--from", config, "--resume", cwd=tmp_path / "elsewhere")
    assert again.returncode == 0, again.stderr


def test_a_run_goes_on_with_the_seed_of_its_configuration(
    run: Run, pairs: Path, config: Path, tmp_path: Path
) -> None:
    config.write_text(json.dumps({**CONFIG, "settings": {"seed": 5, "epochs": 1}}))
    command = ("train", pairs, "--out", tmp_path / "run", "--method", "scratch", "--from", config)
    begun = run(*command)
    assert begun.returncode == 0, begun.stderr
    (tmp_path / "run/summary.json").unlink()  # as a kill just before the end leaves it
    again = run(*command, "--resume")
    assert again.returncode == 0, again.stderr


def test_classes_of_a_named_column_are_told_apart_by_a_probe(run: Run, pairs: Path, tmp_path: Path) -> None:
    images = sorted((pairs.parent / "drawn").iterdir())
    rows = [f"{image},{image.name.split()[0]}" for image in images]
    (tmp_path / "pairs.csv").write_text("\n".join(["image,species", *rows]))
    options = ("--method", "probe", "--label-column", "species", "--val-share", "0.3")
    done = run("train", tmp_path / "pairs.csv", "--out", tmp_path / "run", *options)
    assert done.returncode == 0, done.stderr
    assert b"of 4 classes" in done.stderr
