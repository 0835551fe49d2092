"""`sightline search` and the folders that it is kept to."""

from pathlib import Path

import pytest

from indexer.store.library import open_library
from indexer.store.records import Filters
from search.parts import images_ahead
from search.query import make_query
from sightline import searching

from .conftest import Run


@pytest.mark.parametrize(("by_parts", "limit"), [(False, 3), (True, images_ahead(3))])
def test_more_images_than_are_wanted_are_looked_at_by_their_parts(
    indexed: Path, monkeypatch: pytest.MonkeyPatch, by_parts: bool, limit: int
):
    limits: list[int] = []
    search = searching.search
    monkeypatch.setattr(
        searching, "search", lambda *given, **more: limits.append(more["limit"]) or search(*given, **more)
    )
    monkeypatch.setattr("search.parts.by_parts", lambda answer, *_, **__: answer)
    cuts = {"min_score": None, "min_relevance": None, "model": None}
    with open_library(indexed / ".sightline") as reader:
        searching.find(reader, make_query(["dog"]), filters=Filters(), limit=3, by_parts=by_parts, **cuts)
    assert limits == [limit]


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


def test_a_file_that_the_library_has_elsewhere_is_named(run: Run, indexed: Path):
    done = run("search", "WIDE.webp", cwd=indexed)
    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[-1] == (
        "sightline: WIDE.webp: no such file; did you mean 2023/deep/wide.webp?"
    )


def test_a_folder_whose_name_the_shell_split_is_named_whole(run: Run, pictures: Path):
    (pictures / "2023").rename(pictures / "Summer 2023")
    done = run("search", "dog", "--in", "Summer", "2023", cwd=pictures)
    assert done.stderr.decode().endswith("Summer: no such folder; did you forget quotes? 'Summer 2023'\n")


def test_an_address_of_a_file_is_an_example(run: Run, indexed: Path):
    by_path = run("search", indexed / "red square.jpg", "--paths", cwd=indexed)
    by_address = run("search", (indexed / "red square.jpg").as_uri(), "--paths", cwd=indexed)
    by_option = run("search", "--like", (indexed / "red square.jpg").as_uri(), "--paths", cwd=indexed)
    assert by_path.stdout
    assert by_path.stdout == by_address.stdout == by_option.stdout


def test_from_a_deleted_current_folder_a_file_of_the_library_is_named_whole(
    run: Run, indexed: Path, monkeypatch: pytest.MonkeyPatch
):
    def deleted() -> Path:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "cwd", deleted)
    done = run("search", "WIDE.webp", "--library", indexed, cwd=indexed.parent)
    assert done.stderr.decode().splitlines()[-1] == (
        f"sightline: WIDE.webp: no such file; did you mean {indexed / '2023/deep/wide.webp'}?"
    )
