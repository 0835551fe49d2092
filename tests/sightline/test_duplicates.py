"""`sightline duplicates` on a messy folder, as a person uses it."""

import csv
import io
import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from indexer.actions import trash
from indexer.actions.journal import Entry, Journal, acting
from indexer.errors import DiskFull
from sightline.cli import cli

from ..search.duplicates.photos import NAMES, cropped, photo
from .conftest import Done, Run

FOUND = 11


@pytest.fixture(scope="module")
def mess(run: Run, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with an exact copy, a smaller one and a crop, and index it; to be left as it is."""
    folder = tmp_path_factory.mktemp("mess") / "holiday 🏖"
    (folder / "old phone").mkdir(parents=True)
    for number, name in enumerate(NAMES[:5]):
        photo(name).save(folder / f"{name}.jpg", quality=90)
        os.utime(folder / f"{name}.jpg", (1_600_000_000 + number,) * 2)
    shutil.copy(folder / "coffee.jpg", folder / "old phone/coffee.jpg")
    photo("chelsea").resize((240, 160)).save(folder / "old phone/small\ncat.jpg", quality=80)
    cropped(photo("astronaut"), 0.8).save(folder / "old phone/crop.jpg", quality=90)
    done = run("index", folder, "--model", model)
    assert done.returncode == 0, done.stderr.decode()
    return folder


@pytest.fixture
def messy(mess: Path, tmp_path: Path) -> Path:
    """Give a copy of the folder and its library, to change."""
    return Path(shutil.copytree(mess, tmp_path / "mess"))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".sightline" not in path.parts)
    return {os.fspath(path.relative_to(folder)): path.read_bytes() for path in files}


def rows(done: Done) -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_groups_are_told_with_level_reason_and_what_they_take(run: Run, mess: Path):
    done = run("duplicates", cwd=mess)
    said = done.stdout.decode()
    assert done.returncode == FOUND
    assert f"keep  {mess}/coffee.jpg" in said
    assert f"  exact    {mess}/old phone/coffee.jpg" in said
    assert "the same bytes, 100% sure" in said
    assert "the same picture, 240 x 160 instead of" in said
    assert b"3 duplicates in 3 groups among 8 files" in done.stderr


def test_json_is_a_group_a_line_with_evidence(run: Run, mess: Path):
    groups = rows(run("duplicates", "--json", cwd=mess))
    by_name = {Path(str(group["keep"])).name: group for group in groups}
    crop = by_name["astronaut.jpg"]
    assert crop["level"] == "near"
    (member,) = crop["members"]  # type: ignore[misc]
    assert member["path"].endswith("crop.jpg")
    assert member["evidence"]["covered"] > 0.9
    assert member["evidence"]["inliers"] >= 12


def test_csv_has_a_row_a_file_also_for_names_with_newlines(run: Run, mess: Path):
    table = list(csv.DictReader(io.StringIO(run("duplicates", "--csv", cwd=mess).stdout.decode())))
    assert len(table) == 6
    assert {row["role"] for row in table} == {"keep", "duplicate"}
    assert any(row["path"].endswith("small\ncat.jpg") for row in table)


def test_null_paths_are_those_that_could_go(run: Run, mess: Path):
    done = run("duplicates", "--level", "exact", "-0", cwd=mess)
    assert done.stdout == os.fsencode(mess / "old phone/coffee.jpg") + b"\0"


def test_without_duplicates_the_exit_code_is_0(run: Run, mess: Path):
    done = run("duplicates", "--in", mess / "old phone", cwd=mess)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"no duplicates among 3 files" in done.stderr


def test_a_protected_folder_loses_nothing(run: Run, mess: Path):
    done = run("duplicates", "--protect", "old phone", "--paths", cwd=mess)
    assert b"old phone" not in done.stdout
    assert b"coffee.jpg" in done.stdout


def test_nothing_is_touched_without_apply(run: Run, messy: Path):
    before = contents(messy)
    run("duplicates", cwd=messy)
    assert contents(messy) == before


@pytest.mark.parametrize("action", [["trash"], ["move", "--to", "away"], ["hardlink"], ["symlink"]])
def test_what_was_applied_is_undone_to_the_last_byte(
    run_process: Run, messy: Path, tmp_path: Path, action: list[str]
):
    # In processes of their own: send2trash looks once for where the trash is.
    before = contents(messy)
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    done = run_process("duplicates", "--apply", *action, cwd=messy, **home)
    assert b"`sightline undo` takes it back" in done.stderr
    assert (messy / "coffee.jpg").read_bytes() == before["coffee.jpg"]
    undone = run_process("undo", cwd=messy, **home)
    assert undone.returncode == 0, undone.stderr.decode()
    assert contents(messy) == before


def test_trashed_duplicates_are_gone_and_the_kept_ones_stay(run_process: Run, messy: Path, tmp_path: Path):
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    done = run_process("duplicates", "--apply", "trash", cwd=messy, **home)
    assert done.returncode == 0
    assert set(contents(messy)) == {f"{name}.jpg" for name in NAMES[:5]}


def test_a_file_that_changed_since_indexing_is_told_and_left_alone(run: Run, messy: Path):
    changed = messy / "old phone/coffee.jpg"
    photo("rocket").save(changed)
    before = changed.read_bytes()
    done = run("duplicates", "--level", "exact", "--apply", "move", "--to", "away", cwd=messy)
    assert done.returncode == 0
    assert b"changed since it was indexed" in done.stderr
    assert changed.read_bytes() == before


def test_links_between_pictures_of_other_bytes_are_refused(run: Run, messy: Path):
    done = run("duplicates", "--apply", "hardlink", cwd=messy)
    assert done.returncode == FOUND
    assert (messy / "old phone/coffee.jpg").samefile(messy / "coffee.jpg")
    assert b"2 files left alone: not the same bytes" in done.stderr


def test_deleting_refuses_without_a_terminal_or_yes(run: Run, messy: Path):
    before = contents(messy)
    done = run("duplicates", "--apply", "delete", cwd=messy)
    assert done.returncode == 2
    assert b"--yes" in done.stderr
    assert contents(messy) == before


def test_deleting_with_yes_deletes_the_duplicates_only(run: Run, messy: Path):
    done = run("duplicates", "--level", "exact", "--apply", "delete", "--yes", cwd=messy)
    assert done.returncode == 0
    assert not (messy / "old phone/coffee.jpg").exists()
    assert (messy / "coffee.jpg").exists()


def test_moving_needs_a_folder(run: Run, mess: Path):
    done = run("duplicates", "--apply", "move", cwd=mess)
    assert done.returncode == 2
    assert b"--to FOLDER" in done.stderr


@pytest.mark.parametrize("arguments", [["--to", "away"], ["--apply", "trash", "--to", "away"]])
def test_a_folder_to_move_to_is_refused_where_nothing_is_moved(run: Run, messy: Path, arguments: list[str]):
    before = contents(messy)
    done = run("duplicates", *arguments, cwd=messy)
    assert (done.returncode, contents(messy)) == (2, before)
    assert b"nothing else has a use for it" in done.stderr


@pytest.mark.parametrize("forms", [("--json", "--csv"), ("--csv", "--paths"), ("--json", "-0")])
def test_two_forms_of_output_at_once_are_refused(run: Run, mess: Path, forms: tuple[str, str]):
    done = run("duplicates", *forms, cwd=mess)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"exclude each other" in done.stderr


def test_the_list_to_keep_and_the_list_to_drop_are_the_whole_folder(run: Run, mess: Path):
    keep, drop = run("dedup-list", "-0", cwd=mess), run("dedup-list", "--drop", "-0", cwd=mess)
    assert (keep.returncode, drop.returncode) == (0, 0)
    kept, dropped = (set(filter(None, done.stdout.split(b"\0"))) for done in (keep, drop))
    assert kept == {os.fsencode(mess / f"{name}.jpg") for name in NAMES[:5]}
    assert kept | dropped == {os.fsencode(mess / name) for name in contents(mess)}
    assert not kept & dropped


def test_the_groups_for_splitting_hold_every_file_once(run: Run, mess: Path):
    done = run("dedup-list", "--groups", "-0", cwd=mess)
    assert done.returncode == 0
    rows = [row.split(b"\t", 1) for row in done.stdout.split(b"\0") if row]
    assert sorted(path for _, path in rows) == sorted(os.fsencode(mess / name) for name in contents(mess))
    number = {path: group for group, path in rows}
    dropped = run("dedup-list", "--drop", "-0", cwd=mess).stdout.split(b"\0")[:-1]
    assert dropped
    assert all(list(number.values()).count(number[path]) > 1 for path in dropped)


def test_the_groups_for_splitting_name_no_file_that_is_gone_or_changed(run: Run, messy: Path):
    (messy / "rocket.jpg").unlink()
    photo("brick").save(messy / "coffee.jpg")
    listed = run("dedup-list", "--groups", "-0", cwd=messy).stdout
    assert b"old phone/coffee.jpg" in listed
    assert b"rocket.jpg" not in listed
    assert os.fsencode(messy / "coffee.jpg") not in listed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--drop",), b"nothing for --drop"),
        (("--protect", "."), b"leave --protect"),
        (("--in", "nowhere"), b"no picture there"),
    ],
)
def test_groups_refuse_what_has_no_meaning_for_them(
    run: Run, mess: Path, options: tuple[str, ...], words: bytes
):
    done = run("dedup-list", "--groups", *options, cwd=mess)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stdout == b""


@pytest.fixture
def split(tmp_path: Path) -> tuple[Path, Path]:
    """Make a training and a test folder that share a file, a smaller copy and a mirrored one."""
    train, test = tmp_path / "train", tmp_path / "test"
    for folder in (train, test):
        folder.mkdir()
    for name in NAMES[:4]:
        photo(name).save(train / f"{name}.jpg", quality=90)
    shutil.copy(train / "coffee.jpg", test / "1.jpg")
    photo("chelsea").resize((300, 200)).save(test / "2.jpg")
    photo("astronaut").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(test / "3.jpg")
    photo("camera").save(test / "4.jpg")
    return train, test


def test_leaks_are_told_by_level_and_pair(run: Run, split: tuple[Path, Path]):
    done = run("leaks", *split, "--json")
    (report,) = rows(done)
    assert done.returncode == FOUND
    assert report["leaking_test_files"] == {"exact": 1, "pixel": 0, "near": 2}
    pairs = {(Path(p["test"]).name, Path(p["train"]).name) for p in report["pairs"]}  # type: ignore[attr-defined]
    assert pairs == {("1.jpg", "coffee.jpg"), ("2.jpg", "chelsea.jpg"), ("3.jpg", "astronaut.jpg")}


def test_leaks_leave_the_folders_as_they_are(run: Run, split: tuple[Path, Path]):
    run("leaks", *split)
    assert not list(split[0].glob(".sightline")) + list(split[1].glob(".sightline"))


def test_without_leaks_the_exit_code_is_0(run: Run, split: tuple[Path, Path]):
    train, test = split
    for name in "123":
        (test / f"{name}.jpg").unlink()
    done = run("leaks", train, test)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"no leaks: compared 1 test with 4 training files" in done.stderr


def test_a_folder_that_is_not_there_is_said(run: Run, split: tuple[Path, Path]):
    done = run("leaks", split[0], split[1] / "nowhere")
    assert done.returncode == 2
    assert b"nowhere" in done.stderr


def test_what_is_in_the_reference_already_is_listed(run: Run, mess: Path):
    done = run("duplicates", "--reference", "old phone", "--paths", cwd=mess)
    assert done.stdout.decode().splitlines() == [f"{mess}/coffee.jpg"]


def test_a_reference_outside_the_library_is_said_with_the_remedy(run: Run, mess: Path, tmp_path: Path):
    done = run("duplicates", "--reference", tmp_path, cwd=mess)
    assert done.returncode == 2
    assert f"sightline index {tmp_path}" in done.stderr.decode()


def test_pictures_said_to_be_no_duplicates_are_not_reported_until_it_is_taken_back(run: Run, messy: Path):
    files = ("astronaut.jpg", "old phone/crop.jpg")
    assert run("not-duplicates", *files, cwd=messy).returncode == 0
    without = rows(run("duplicates", "--json", cwd=messy))
    assert run("not-duplicates", "--again", *files, cwd=messy).returncode == 0
    assert len(rows(run("duplicates", "--json", cwd=messy))) == len(without) + 1


def test_files_of_the_same_bytes_cannot_be_set_apart(run: Run, mess: Path):
    done = run("not-duplicates", "coffee.jpg", "old phone/coffee.jpg", cwd=mess)
    assert done.returncode == 2
    assert b"two different pictures are needed" in done.stderr


def test_a_file_that_cannot_be_read_is_not_set_apart(run: Run, mess: Path):
    done = run("not-duplicates", "coffee.jpg", "gone.jpg", cwd=mess)
    assert done.returncode == 1
    assert b"gone.jpg" in done.stderr


def test_leaks_are_found_between_lists_of_files(run: Run, split: tuple[Path, Path], tmp_path: Path):
    test = split[1]
    (tmp_path / "train.txt").write_text("train/coffee.jpg\ntrain/chelsea.jpg\n")
    (tmp_path / "test.list").write_bytes(b"\0".join(os.fsencode(test / f"{n}.jpg") for n in (1, 3, 4)))
    (report,) = rows(run("leaks", tmp_path / "train.txt", tmp_path / "test.list", "--json"))
    assert (report["train_files"], report["test_files"]) == (2, 3)
    assert report["leaking_test_files"] == {"exact": 1, "pixel": 0, "near": 0}


def test_leaks_are_found_between_a_library_and_a_folder(run: Run, mess: Path, split: tuple[Path, Path]):
    (report,) = rows(run("leaks", mess / ".sightline", split[1], "--json"))
    assert report["train_files"] == len(NAMES[:5]) + 3
    assert {Path(pair["test"]).name for pair in report["pairs"]} >= {"2.jpg", "3.jpg"}  # type: ignore[attr-defined]


def test_a_list_without_a_file_that_is_there_is_said(run: Run, split: tuple[Path, Path], tmp_path: Path):
    (tmp_path / "train.txt").write_text("gone.jpg\n")
    done = run("leaks", tmp_path / "train.txt", split[1])
    assert done.returncode == 2
    assert b"names no file that is there" in done.stderr


def test_moving_into_an_indexed_folder_is_done_with_a_warning(run: Run, messy: Path):
    done = run("duplicates", "--level", "exact", "--apply", "move", "--to", "copies", cwd=messy)
    assert done.returncode == 0
    assert b"lies in an indexed folder" in done.stderr


def test_an_action_broken_off_by_a_full_disk_says_what_it_did(
    run: Run, messy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    intend = Journal.intend

    def full_at_the_third(self: Journal, entry: Entry) -> None:
        if entry.number == 2:
            raise DiskFull(messy)
        intend(self, entry)

    monkeypatch.setattr(Journal, "intend", full_at_the_third)
    done = run("duplicates", "--apply", "move", "--to", tmp_path / "away", cwd=messy)
    assert done.returncode == 6
    assert b"move: stopped after 2 files" in done.stderr
    assert b"`sightline undo` takes it back" in done.stderr


def test_where_undo_cannot_find_the_trash_it_is_not_promised(
    run: Run, messy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(trash, "CAN_TELL", False)
    done = run("duplicates", "--apply", "trash", cwd=messy, XDG_DATA_HOME=str(tmp_path))
    assert b"they are in the system's trash, and can be put back from there" in done.stderr
    assert b"undo" not in done.stderr


@pytest.mark.parametrize(("answers", "code"), [("n\n", FOUND), ("y\nno\n", FOUND), ("", 130)])
def test_who_does_not_delete_is_told_that_nothing_was(
    environment: dict[str, str], messy: Path, monkeypatch: pytest.MonkeyPatch, answers: str, code: int
):
    monkeypatch.setattr("sightline.cli.duplicates._check_deleting", lambda *_, **__: None)  # no terminal
    monkeypatch.chdir(messy)
    before = contents(messy)
    done = CliRunner(env=environment).invoke(cli, ["duplicates", "--apply", "delete"], input=answers)
    assert done.exit_code == code
    assert "sightline: nothing was deleted" in done.stderr
    assert "Aborted" not in done.stderr
    assert contents(messy) == before


def test_who_types_delete_deletes(environment: dict[str, str], messy: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sightline.cli.duplicates._check_deleting", lambda *_, **__: None)  # no terminal
    monkeypatch.chdir(messy)
    asked = ["duplicates", "--level", "exact", "--apply", "delete"]
    done = CliRunner(env=environment).invoke(cli, asked, input="y\ndelete\n")
    assert done.exit_code == 0
    assert not (messy / "old phone/coffee.jpg").exists()


def test_what_a_link_in_the_library_leads_to_stays_and_is_told(run: Run, messy: Path, tmp_path: Path):
    (messy / "best of.jpg").symlink_to("old phone/coffee.jpg")
    assert run("index", messy, cwd=messy).returncode == 0
    done = run("duplicates", "--level", "exact", "--apply", "move", "--to", tmp_path / "away", cwd=messy)
    assert done.returncode == FOUND
    assert b"old phone/coffee.jpg: left alone" in done.stderr
    assert (messy / "best of.jpg").exists()


def test_while_another_acts_on_the_files_nothing_is_said_to_be_done(run: Run, messy: Path, tmp_path: Path):
    with acting(messy / ".sightline"):
        done = run("duplicates", "--apply", "move", "--to", tmp_path / "away", cwd=messy)
    assert done.returncode == 4
    assert b"stopped after" not in done.stderr


def test_what_is_gone_is_told_in_one_line(run: Run, messy: Path):
    for number in range(6):
        shutil.copy(messy / "coffee.jpg", messy / f"coffee {number}.jpg")
    assert run("index", messy, cwd=messy).returncode == 0
    for number in range(6):
        (messy / f"coffee {number}.jpg").unlink()
    done = run("duplicates", "--level", "exact", cwd=messy)
    told = [line for line in done.stderr.splitlines() if b"not compared" in line]
    assert len(told) == 1
    assert b"gone since it was indexed; `sightline index`" in told[0]


@pytest.mark.parametrize("action", [["trash"], ["move", "--to", "../away"], ["delete", "--yes"]])
def test_what_was_removed_as_asked_is_not_told_as_gone(
    run_process: Run, messy: Path, tmp_path: Path, action: list[str]
):
    run_process("duplicates", "--apply", *action, cwd=messy, XDG_DATA_HOME=str(tmp_path / "data"))
    done = run_process("duplicates", cwd=messy)
    assert done.returncode == 0
    assert b"not compared" not in done.stderr


def test_what_is_gone_after_it_was_put_back_is_told(run: Run, messy: Path, tmp_path: Path):
    run("duplicates", "--level", "exact", "--apply", "move", "--to", tmp_path / "away", cwd=messy)
    assert run("undo", cwd=messy).returncode == 0
    (messy / "old phone/coffee.jpg").unlink()
    assert b"old phone/coffee.jpg: not compared: gone" in run("duplicates", cwd=messy).stderr


def test_listed_files_are_compared_also_in_hidden_folders(run: Run, split: tuple[Path, Path], tmp_path: Path):
    (tmp_path / ".cache").mkdir()
    shutil.copy(split[0] / "coffee.jpg", tmp_path / ".cache/1.jpg")
    (tmp_path / "train.txt").write_text("train/coffee.jpg\n")
    (tmp_path / "test.txt").write_text(".cache/1.jpg\n")
    (report,) = rows(run("leaks", tmp_path / "train.txt", tmp_path / "test.txt", "--json"))
    assert report["leaking_test_files"] == {"exact": 1, "pixel": 0, "near": 0}


def kept_of(run: Run, folder: Path) -> tuple[set[str], bytes]:
    """Give what `dedup-list` keeps of a folder, below it, and what it says."""
    done = run("dedup-list", "-0", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    paths = filter(None, done.stdout.split(b"\0"))
    return {os.path.relpath(os.fsdecode(path), folder) for path in paths}, done.stderr


def test_the_list_to_keep_is_the_folder_once_its_duplicates_are_gone(run: Run, messy: Path, tmp_path: Path):
    run("duplicates", "--apply", "move", "--to", tmp_path / "away", cwd=messy)
    kept, said = kept_of(run, messy)
    assert kept == set(contents(messy))
    assert b"left out: 3 files gone or changed since indexing" in said


def test_the_list_to_keep_has_no_links_that_took_the_place_of_copies(run: Run, messy: Path):
    run("duplicates", "--level", "exact", "--apply", "symlink", cwd=messy)
    assert "old phone/coffee.jpg" not in kept_of(run, messy)[0]


def test_the_list_to_keep_has_no_links_once_they_are_indexed(run: Run, messy: Path, model: Path):
    run("duplicates", "--level", "exact", "--apply", "symlink", cwd=messy)
    assert run("index", messy, "--model", model, cwd=messy).returncode == 0
    kept, said = kept_of(run, messy)
    assert kept == {f"{name}.jpg" for name in NAMES[:5]}
    assert b"left out: 1 link to pictures that are in the library anyway" in said


def test_a_link_to_a_picture_outside_of_the_library_is_kept(
    run: Run, messy: Path, model: Path, tmp_path: Path
):
    photo("brick").save(tmp_path / "outside.png")
    (messy / "link.png").symlink_to(tmp_path / "outside.png")
    assert run("index", messy, "--model", model, cwd=messy).returncode == 0
    assert "link.png" in kept_of(run, messy)[0]


def test_a_picture_that_is_not_in_the_library_is_not_set_apart(run: Run, mess: Path, tmp_path: Path):
    photo("coins").save(tmp_path / "stranger.png")
    done = run("not-duplicates", "coffee.jpg", tmp_path / "stranger.png", cwd=mess)
    assert done.returncode == 2
    assert b"stranger.png: not in the library" in done.stderr


def test_pictures_that_left_the_library_can_be_taken_back(run: Run, mess: Path, tmp_path: Path):
    photo("coins").save(tmp_path / "stranger.png")
    done = run("not-duplicates", "--again", "coffee.jpg", tmp_path / "stranger.png", cwd=mess)
    assert done.returncode == 0


@pytest.mark.parametrize("arguments", [[], ["--apply", "trash"]])
def test_an_answer_to_what_is_not_asked_is_refused(run: Run, messy: Path, arguments: list[str]):
    done = run("duplicates", "--yes", *arguments, cwd=messy)
    assert done.returncode == 2
    assert b"--yes answers what --apply delete asks" in done.stderr
