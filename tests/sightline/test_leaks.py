"""`sightline leaks` where little or nothing can be compared."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import ImageOps

from indexer.store.library import open_library

from ..search.duplicates.photos import photo
from .conftest import Run

FOUND = 11


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """Make a training and a test folder of one picture each, which are different."""
    train, test = tmp_path / "train", tmp_path / "test"
    for folder, name in ((train, "coffee"), (test, "camera")):
        folder.mkdir()
        photo(name).save(folder / f"{name}.png")
    return train, test


def broken(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / f"broken {number}.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")


def test_an_empty_training_folder_is_refused(run: Run, sides: tuple[Path, Path]):
    (sides[0] / "coffee.png").unlink()
    done = run("leaks", *sides)
    assert done.returncode == 2
    assert f"{sides[0]}: the training side has no picture to compare" in done.stderr.decode()


def test_an_empty_test_folder_is_refused(run: Run, sides: tuple[Path, Path]):
    (sides[1] / "camera.png").unlink()
    done = run("leaks", *sides)
    assert done.returncode == 2
    assert f"{sides[1]}: the test side has no picture to compare" in done.stderr.decode()


def test_a_folder_that_was_emptied_since_the_last_time_is_refused(run: Run, sides: tuple[Path, Path]):
    run("leaks", *sides)
    (sides[0] / "coffee.png").unlink()
    assert run("leaks", *sides).returncode == 2


def test_a_test_side_of_which_no_file_can_be_read_is_refused(run: Run, sides: tuple[Path, Path]):
    (sides[1] / "camera.png").unlink()
    broken(sides[1], 2)
    done = run("leaks", *sides)
    assert done.returncode == 2
    assert b"the test side has no picture to compare: none of its 2 files is one" in done.stderr


def test_a_training_folder_inside_the_test_folder_is_refused(run: Run, sides: tuple[Path, Path]):
    train = sides[1] / "train"
    shutil.move(sides[0], train)
    done = run("leaks", train, sides[1])
    assert done.returncode == 2
    assert f"it lies inside the test side {sides[1]}" in done.stderr.decode()


def test_a_test_folder_with_all_that_is_in_the_training_folder_is_refused(run: Run, sides: tuple[Path, Path]):
    (sides[0] / "coffee.png").unlink()
    test = sides[0] / "test"
    shutil.move(sides[1], test)
    done = run("leaks", sides[0], test)
    assert done.returncode == 2
    assert f"the test side {test} lies inside it" in done.stderr.decode()


def test_a_test_folder_inside_the_training_folder_is_compared_and_told(run: Run, sides: tuple[Path, Path]):
    test = sides[0] / "test"
    shutil.move(sides[1], test)
    done = run("leaks", sides[0], test)
    assert done.returncode == 0
    assert f"the test side {test} lies inside it: 1 file is on both sides" in done.stderr.decode()


def test_files_that_cannot_be_read_are_told_by_the_first_three_and_their_count(
    run: Run, sides: tuple[Path, Path]
):
    broken(sides[1], 5)
    lines = run("leaks", *sides).stderr.decode().splitlines()
    [told] = [line for line in lines if "5 files not compared" in line]
    assert "broken 2.jpg" in told
    assert "broken 3.jpg" not in told
    assert told.endswith("and 2 more")


def test_a_test_picture_that_can_no_longer_be_read_is_told_and_not_called_clean(
    run: Run, sides: tuple[Path, Path]
):
    photo("coffee").resize((300, 200)).save(sides[1] / "small.png")
    assert run("leaks", *sides).returncode == FOUND
    status = (sides[1] / "small.png").stat()
    (sides[1] / "small.png").write_bytes(bytes(status.st_size))
    os.utime(sides[1] / "small.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    done = run("leaks", *sides, "--json")
    assert (done.returncode, json.loads(done.stdout)["test_skipped"]) == (1, 1)
    assert b"small.png: not compared: " in done.stderr


def test_json_counts_what_was_compared_and_skipped_on_each_side(run: Run, sides: tuple[Path, Path]):
    broken(sides[1], 2)
    (sides[0].parent / "train.txt").write_text("train/coffee.png\ntrain/gone.png\n")
    report = json.loads(run("leaks", sides[0].parent / "train.txt", sides[1], "--json").stdout)
    counts = [report[f"{side}_{kind}"] for side in ("train", "test") for kind in ("files", "skipped")]
    assert counts == [1, 1, 1, 2]


def test_a_listed_file_that_is_no_picture_is_told(run: Run, sides: tuple[Path, Path]):
    (sides[0] / "notes.txt").write_text("no picture")
    (sides[0].parent / "train.txt").write_text("train/coffee.png\ntrain/notes.txt\n")
    done = run("leaks", sides[0].parent / "train.txt", sides[1])
    assert b"1 file not compared: " in done.stderr
    assert b"notes.txt (not known as a picture" in done.stderr


def test_a_folder_behind_a_link_is_compared(run: Run, sides: tuple[Path, Path]):
    (sides[1] / "camera.png").unlink()
    shutil.copy(sides[0] / "coffee.png", sides[1])
    (sides[0].parent / "link").symlink_to(sides[0])
    assert run("leaks", sides[0].parent / "link", sides[1]).returncode == FOUND


def test_a_binary_file_as_list_is_refused_in_a_short_line(run: Run, sides: tuple[Path, Path]):
    (sides[0].parent / "list").write_bytes(b"\x01\xff" * 5_000)
    done = run("leaks", sides[0].parent / "list", sides[1])
    assert done.returncode == 2
    assert len(done.stderr) < 1_500


def test_a_file_on_both_sides_that_cannot_be_read_is_counted_once(run: Run, sides: tuple[Path, Path]):
    test = sides[0] / "test"
    shutil.move(sides[1], test)
    broken(test, 1)
    report = json.loads(run("leaks", sides[0], test, "--json").stdout)
    assert (report["train_skipped"], report["test_skipped"]) == (0, 1)


@pytest.mark.parametrize("name", ["train", "train.txt"])
def test_a_side_is_not_compared_with_itself(run: Run, sides: tuple[Path, Path], name: str):
    (sides[0].parent / "train.txt").write_text("train/coffee.png\n")
    done = run("leaks", *[sides[0].parent / name] * 2)
    assert done.returncode == 2
    assert b"the two are the same; `sightline duplicates` looks within one" in done.stderr


def test_beside_listed_files_nothing_is_indexed(run: Run, sides: tuple[Path, Path], tmp_path: Path):
    photo("rocket").save(sides[0] / "rocket.png")
    (sides[0].parent / "train.txt").write_text("train/coffee.png\n")
    run("leaks", sides[0].parent / "train.txt", sides[1], SIGHTLINE_CACHE=str(tmp_path / "cache"))
    [library] = (tmp_path / "cache/leaks").iterdir()
    with open_library(library) as reader:
        assert reader.status().files == 2


def test_a_file_that_both_lists_name_is_a_leak(run: Run, sides: tuple[Path, Path]):
    parent = sides[0].parent
    (parent / "train.txt").write_text("train/coffee.png\n")
    (parent / "test.txt").write_text("train/coffee.png\ntest/camera.png\n")
    done = run("leaks", parent / "train.txt", parent / "test.txt", "--json")
    assert done.returncode == FOUND
    assert json.loads(done.stdout)["leaking_test_files"]["exact"] == 1


@pytest.mark.parametrize(("options", "code"), [((), FOUND), (("--no-transforms",), 0)])
def test_mirrored_copies_are_leaks_unless_they_are_left_out(
    run: Run, sides: tuple[Path, Path], options: tuple[str, ...], code: int
):
    ImageOps.mirror(photo("coffee")).save(sides[1] / "mirrored.png")
    assert run("leaks", *sides, *options).returncode == code


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo terminals")
def test_on_a_terminal_indexing_shows_how_far_it_is(environment: dict[str, str], sides: tuple[Path, Path]):
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "sightline", "leaks", *map(os.fspath, sides)]
    with subprocess.Popen(command, env={**environment, "TERM": "xterm"}, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        with suppress(OSError):  # Linux says so of an ended terminal
            while some := os.read(ours, 65_536):
                said += some
        assert process.wait(60) == 0
    os.close(ours)
    assert b"2 of 2" in said
