"""`sightline search` and the folders that it is kept to."""

from pathlib import Path

from .conftest import Run


def test_a_folder_that_nothing_was_taken_in_from_is_said(run: Run, indexed: Path, tmp_path: Path):
    done = run("search", "dog", "--in", tmp_path, "--json", cwd=indexed)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == (
        f"sightline: --in {tmp_path}: the library has no picture there; look at how it is spelt\n"
    )


def test_filters_that_leave_nothing_of_a_folder_are_no_misspelt_folder(run: Run, indexed: Path):
    done = run("search", "dog", "--in", "many", "--before", "1900", cwd=indexed)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"no image fits" in done.stderr
