"""A query is encoded in a thread beside its caller."""

import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from search.encoding import begin_encoding
from search.query import make_query

from ..indexer.store.making import make_card

ENDS_WHILE_A_MODEL_IS_LOADED = """
import pathlib, sys, time
from search.encoding import begin_encoding
from search.query import make_query

def load(card, query):
    time.sleep(0.5)
    pathlib.Path(sys.argv[1]).touch()
    raise ValueError

begin_encoding(None, make_query(["a dog"]), load)
sys.exit(3)
"""


def test_a_process_that_ends_waits_for_what_is_being_loaded(tmp_path: Path) -> None:
    loaded = tmp_path / "loaded"
    done = subprocess.run([sys.executable, "-c", ENDS_WHILE_A_MODEL_IS_LOADED, loaded], check=False)
    assert loaded.exists()
    assert done.returncode == 3


@pytest.mark.parametrize("error", [ValueError, MemoryError, SystemExit])
def test_whoever_waits_for_a_query_is_told_what_went_wrong(error: type[BaseException]) -> None:
    def load(*_: object) -> NoReturn:
        raise error

    encoding = begin_encoding(make_card(), make_query(["a dog"]), load)
    assert isinstance(encoding.result.exception(timeout=10), error)


def test_a_process_that_ends_waits_for_no_drive_that_hangs(tmp_path: Path) -> None:
    hanging = ENDS_WHILE_A_MODEL_IS_LOADED.replace("sleep(0.5)", "sleep(100)").replace(
        "sys.exit", "import search.encoding\nsearch.encoding.END_SECONDS = 0.1\nsys.exit"
    )
    done = subprocess.run([sys.executable, "-c", hanging, tmp_path / "loaded"], check=False, timeout=50)
    assert done.returncode == 3
