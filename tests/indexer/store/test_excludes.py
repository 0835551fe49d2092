from pathlib import Path

import pytest

from indexer.store.excludes import (
    Exclude,
    get_excludes,
    placed,
    put_excludes,
    replaced,
    without_empty,
)
from indexer.store.library import open_for_writing, open_library

from .making import make_library
from .test_disk import mounted


def test_patterns_come_back_as_they_were_given(tmp_path: Path) -> None:
    library = make_library(tmp_path, 1)
    inner = library.parent / "caf\udce9"
    said = (Exclude(inner, "it's *.gif"), Exclude(inner, "drafts/"), Exclude(Path("/else"), "caf\udce9"))
    with open_for_writing(library, create=False) as writer:
        put_excludes(writer, said)
    with open_library(library) as reader:
        assert get_excludes(reader) == said


def test_a_library_of_which_nothing_was_said_leaves_out_nothing(tmp_path: Path) -> None:
    with open_library(make_library(tmp_path, 1)) as reader:
        assert get_excludes(reader) == ()


def test_patterns_move_with_the_folder_that_the_library_is_in(tmp_path: Path) -> None:
    (tmp_path / "drive").mkdir()
    library = make_library(tmp_path / "drive", 1)
    below = library.relative_to(tmp_path / "drive")
    with open_for_writing(library, create=False) as writer:
        put_excludes(writer, [Exclude(library.parent / "2019", "*.gif")])
    (tmp_path / "drive").rename(tmp_path / "mounted elsewhere")
    library = tmp_path / "mounted elsewhere" / below
    with open_library(library) as reader:
        assert get_excludes(reader) == (Exclude(library.parent / "2019", "*.gif"),)


def test_new_patterns_replace_those_of_the_folders_named_and_inside() -> None:
    a, b = Path("/a"), Path("/b")
    before = (Exclude(a, "1"), Exclude(a / "x", "2"), Exclude(a / "x/y", "3"), Exclude(b, "4"))
    assert replaced(before, [a / "x"], ["5"]) == (Exclude(a, "1"), Exclude(b, "4"), Exclude(a / "x", "5"))


def test_patterns_said_again_and_again_do_not_grow() -> None:
    said: tuple[Exclude, ...] = ()
    for _ in range(24):
        for name in ("", "2018", "2019"):
            said = replaced(said, [Path("/a") / name], ["raw/*", "*.gif"])
    assert len(said) == 6


def test_a_folder_that_is_mounted_twice_has_the_name_that_the_library_knows(tmp_path: Path) -> None:
    for name in ("photos/2019", "again"):
        (tmp_path / name).mkdir(parents=True)
    with mounted(tmp_path / "again", "--bind", str(tmp_path / "photos")):
        named = placed(tmp_path / "again" / "2019", {tmp_path / "photos": None})
    assert named == tmp_path / "photos" / "2019"


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ((), ()),
        (("", ".", "./", "/", ".\\"), ()),
        (("", "*.gif", "./2019", "..."), ("*.gif", "./2019", "...")),
    ],
)
def test_empty_patterns_are_dropped(given: tuple[str, ...], left: tuple[str, ...]) -> None:
    assert without_empty(given) == left
