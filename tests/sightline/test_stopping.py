import signal
import subprocess
import sys
from pathlib import Path

from .conftest import Run

INTERRUPTED_SEARCH = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
import search.engine
search.engine.search = lambda *_, **__: signal.raise_signal(signal.SIGINT)
from sightline.__main__ import main
sys.argv[1:] = ["search", "a dog", "--library", sys.argv[1]]
main()
"""
WITH_A_WAY_OF_ITS_OWN = """
import signal
from sightline.stopping import stopped_at_once
signal.signal(signal.SIGINT, lambda *_: print("mine"))
with stopped_at_once():
    signal.raise_signal(signal.SIGINT)
"""


def python(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_search_that_is_stopped_ends_at_once_with_a_line(indexed: Path):
    done = python(INTERRUPTED_SEARCH, str(indexed))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "sightline: stopped\n")


def test_a_program_that_has_its_own_way_with_ctrl_c_keeps_it():
    done = python(WITH_A_WAY_OF_ITS_OWN)
    assert (done.returncode, done.stdout) == (0, "mine\n")


def test_after_a_search_ctrl_c_is_as_it_was(run: Run, indexed: Path):
    before = signal.getsignal(signal.SIGINT)
    assert run("search", "red", cwd=indexed).returncode == 0
    assert signal.getsignal(signal.SIGINT) is before
