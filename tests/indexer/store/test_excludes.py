from pathlib import Path

from indexer.store.excludes import get_excludes, put_excludes
from indexer.store.library import open_for_writing, open_library

from .making import make_library


def test_patterns_come_back_as_they_were_given(tmp_path: Path) -> None:
    library = make_library(tmp_path, 1)
    patterns = ("it's *.gif", "2019/drafts/", "caf\udce9")
    with open_for_writing(library, create=False) as writer:
        put_excludes(writer, patterns)
    with open_library(library) as reader:
        assert get_excludes(reader) == patterns


def test_a_library_of_which_nothing_was_said_leaves_out_nothing(tmp_path: Path) -> None:
    with open_library(make_library(tmp_path, 1)) as reader:
        assert get_excludes(reader) == ()
