"""`sightline undo`: over real journals and files; the library's catalog is only there to be found."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.actions.journal import acting, actions_folder, runs
from indexer.actions.records import Action

from ..indexer.acting import Album
from ..indexer.conftest import trash
from .conftest import Run

__all__ = ["trash"]


@pytest.fixture
def album(tmp_path: Path) -> Album:
    """Give a folder with a picture and two copies of it."""
    album = Album(tmp_path / "photos")
    album.group("a.jpg", "b.jpg", "2020/c.jpg")
    return album


def test_the_newest_run_is_undone_and_its_files_are_listed(run: Run, album: Album):
    before = album.seen()
    album.apply(Action.MOVE)
    done = run("undo", cwd=album.root)
    assert done.returncode == 0
    assert done.stdout.decode() == f"restored\t{album.root}/2020/c.jpg\nrestored\t{album.root}/b.jpg\n"
    assert b"2 files" in done.stderr
    assert b"sightline index" in done.stderr
    assert album.seen() == before


def test_a_second_undo_says_that_nothing_is_left(run: Run, album: Album):
    album.apply(Action.MOVE)
    run("undo", cwd=album.root)
    done = run("undo", cwd=album.root)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"nothing left to undo" in done.stderr


def test_without_any_run_there_is_nothing_to_undo(run: Run, album: Album):
    done = run("undo", cwd=album.root)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"nothing left to undo" in done.stderr


def test_runs_are_listed_with_action_files_size_and_state(run: Run, album: Album):
    album.apply(Action.MOVE)
    run("undo", cwd=album.root)
    album.apply(Action.HARDLINK)
    lines = run("undo", "--list", cwd=album.root).stdout.decode().splitlines()
    newest, oldest = (line.split("\t") for line in lines)
    assert newest[2:] == ["hardlink", "2 files", "1.0 kB", "done"]
    assert oldest[2:] == ["move", "2 files", "1.0 kB", "undone"]
    assert [newest[0], oldest[0]] == [found.name for found in runs(album.library)]


def test_an_older_run_is_undone_by_its_name(run: Run, album: Album):
    album.apply(Action.MOVE)
    [older] = runs(album.library)
    album.removals.clear()
    album.group("a.jpg", "d.jpg")
    album.apply(Action.MOVE)
    done = run("undo", "--run", older.name, cwd=album.root)
    assert done.returncode == 0
    assert sorted(path.name for path in album.root.rglob("*.jpg")) == ["a.jpg", "b.jpg", "c.jpg"]


def test_an_unknown_run_ends_with_2(run: Run, album: Album):
    done = run("undo", "--run", "yesterday", cwd=album.root)
    assert done.returncode == 2
    assert b"sightline undo --list" in done.stderr


def test_a_run_that_deleted_ends_with_2_and_names_the_way_to_earlier_runs(run: Run, album: Album):
    album.apply(Action.DELETE)
    done = run("undo", cwd=album.root)
    assert done.returncode == 2
    assert b"for good" in done.stderr
    assert b"--run NAME" in done.stderr


def test_a_file_whose_place_is_taken_is_told_with_exit_code_1(run: Run, album: Album):
    album.apply(Action.MOVE)
    (album.root / "b.jpg").write_bytes(b"new")
    done = run("undo", cwd=album.root)
    assert done.returncode == 1
    assert f"not restored\t{album.root}/b.jpg\tsomething else stands in its place now" in done.stdout.decode()
    assert b"1 file not put back" in done.stderr


def test_a_library_at_work_ends_with_4(run: Run, album: Album):
    album.apply(Action.MOVE)
    with acting(album.library):
        assert run("undo", cwd=album.root).returncode == 4


def test_the_library_is_found_by_variable_and_option(run: Run, album: Album, tmp_path: Path):
    album.apply(Action.MOVE)
    by_variable = run("undo", "--list", cwd=tmp_path, SIGHTLINE_LIBRARY=str(album.library))
    by_option = run("undo", "--list", "--library", album.root, cwd=tmp_path)
    assert by_variable.stdout == by_option.stdout != b""


def test_names_cannot_steer_the_terminal(run: Run, album: Album):
    album.removals.clear()
    album.group("a.jpg", b"\x1b[31m\n\xe9.jpg")
    album.apply(Action.MOVE)
    assert b"\\x1b[31m\\n\\xe9.jpg" in run("undo", cwd=album.root).stdout


def undo_into_a_closed_pipe(album: Album, environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Undo the newest run while nobody reads the lines, as after `| head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(
            [sys.executable, "-m", "sightline", "undo", "--library", album.root],
            env=environment,
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
    finally:
        os.close(writing)


def test_a_reader_that_goes_away_does_not_stop_the_undoing(album: Album, environment: dict[str, str]):
    before = album.seen()
    album.apply(Action.MOVE)
    undo_into_a_closed_pipe(album, environment)
    assert album.seen() == before


def test_a_reader_that_goes_away_is_told_by_the_summary_and_141(album: Album, environment: dict[str, str]):
    album.apply(Action.MOVE)
    done = undo_into_a_closed_pipe(album, environment)
    assert done.returncode == 141
    assert b"2 files of the run" in done.stderr


def test_a_terminal_that_cannot_write_a_name_does_not_stop_the_undoing(run_process: Run, album: Album):
    album.removals.clear()
    album.group("a.jpg", "Zoë.jpg", "写真.jpg", "c.jpg")
    album.apply(Action.MOVE)
    done = run_process("undo", cwd=album.root, PYTHONIOENCODING="cp1252")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 3)


def test_a_file_that_is_back_keeps_its_vector(run: Run, pictures: Path):
    album = Album(pictures)
    album.plan(pictures / "blue.png", pictures / "red square.jpg")
    album.apply(Action.MOVE)
    assert b"1 removed" in run("index", pictures).stderr
    run("undo", cwd=pictures)
    assert b"1 moved" in run("index", pictures).stderr


@pytest.fixture
def damaged(album: Album) -> str:
    """Make a run, then a newer journal that cannot be read; give the name of the run."""
    album.apply(Action.MOVE)
    [good] = runs(album.library)
    (actions_folder(album.library) / "29991231T235959Z.jsonl").write_bytes(b"\x00\xff garbage\n[1]\n")
    return good.name


def test_what_cannot_be_put_back_tells_how_to_reach_another_run(run: Run, album: Album):
    album.apply(Action.MOVE)
    shutil.rmtree(album.elsewhere)
    said = run("undo", cwd=album.root).stderr
    assert b"`sightline undo --list`" in said
    assert b"`sightline undo --run NAME`" in said


def test_an_emptied_trash_is_told_without_a_promise_to_try_again(run: Run, trash: Path, album: Album):
    album.apply(Action.TRASH)
    for file in (trash / "files").iterdir():
        file.unlink()
    done = run("undo", cwd=album.root)
    assert done.returncode == 1
    assert b"2 files no longer in the trash" in done.stderr
    assert b"tries again" not in done.stderr


def test_runs_are_listed_beside_a_journal_that_cannot_be_read(run: Run, album: Album, damaged: str):
    done = run("undo", "--list", cwd=album.root)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{damaged}\t".encode())


def test_a_journal_that_cannot_be_read_is_named_in_one_line(run: Run, album: Album, damaged: str):
    [line] = run("undo", "--list", cwd=album.root).stderr.decode().splitlines()
    assert "29991231T235959Z.jsonl: passed over" in line
    assert "Error" not in line


def test_undoing_passes_over_a_journal_that_cannot_be_read(run: Run, album: Album, damaged: str):
    done = run("undo", cwd=album.root)
    assert done.returncode == 0
    assert (album.root / "b.jpg").exists()


def test_a_run_is_undone_by_its_name_beside_a_journal_that_cannot_be_read(
    run: Run, album: Album, damaged: str
):
    assert run("undo", "--run", damaged, cwd=album.root).returncode == 0


def test_with_nothing_else_to_undo_a_journal_that_cannot_be_read_ends_with_3(
    run: Run, album: Album, damaged: str
):
    run("undo", cwd=album.root)
    done = run("undo", cwd=album.root)
    assert done.returncode == 3
    assert b"29991231T235959Z.jsonl: not a journal" in done.stderr


@pytest.mark.parametrize(
    "content",
    [b"\xff\n", b"1\n", b'{"type": "intent"}\n', b'{"type": "run", "format": 1}\n', b"[" * 100_000 + b"\n"],
)
def test_no_damage_to_a_journal_shows_an_exception(run: Run, album: Album, content: bytes):
    actions_folder(album.library).mkdir()
    (actions_folder(album.library) / "1.jsonl").write_bytes(content)
    done = run("undo", "--run", "1", cwd=album.root)
    assert done.returncode == 3
    assert b"Error" not in done.stderr
