"""What holds of compiled towers, whatever is in them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FORKING = """
import faulthandler, os, sys
from pathlib import Path
import numpy as np
import openvino
from openvino import opset13 as ops
from indexer.encoders.openvino import CompiledTower
from indexer.errors import EncoderError

file = Path(sys.argv[1]) / "image.xml"
rows = ops.parameter([-1, 3], np.float32)
openvino.save_model(openvino.Model([ops.relu(rows)], [rows]), file)

def compiled():
    return CompiledTower(file, precision="float32", keep_compiled=False, streams=2)

def ask(tower):
    try:
        return len(tower().run_all(np.ones((4, 3), np.float32), at_once=2))
    except EncoderError as error:
        return error

inherited = None
if sys.argv[2] == "before":
    inherited = compiled()
    ask(lambda: inherited)
child = os.fork()
if child == 0:
    faulthandler.dump_traceback_later(20, exit=True)  # no child that hangs outlives the test
    print(ask(compiled), flush=True)
    if inherited:
        print(ask(lambda: inherited), flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def forked(folder: Path, first_run: str) -> list[str]:
    """Run a model before or after forking; give what the child got."""
    command = [sys.executable, "-W", "ignore", "-c", FORKING, str(folder), first_run]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_of_a_process_that_ran_a_model_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    told = forked(tmp_path, "before")
    assert len(told) == 2
    assert all("start worker processes with 'spawn'" in line for line in told)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_may_run_a_model_that_its_parent_did_not(tmp_path: Path) -> None:
    assert forked(tmp_path, "after") == ["4"]


CONVERTING = """
import sys
from indexer.encoders.openvino import openvino_core
openvino_core()
print("openvino.tools.ovc" in sys.modules)
import openvino, torch
converted = openvino.convert_model(torch.nn.ReLU(), example_input=torch.zeros(2, 3))
print(len(converted.inputs), openvino.convert_model.__module__)
"""


def test_openvino_keeps_its_conversion_for_others() -> None:
    command = [sys.executable, "-W", "ignore", "-c", CONVERTING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.splitlines() == ["False", "1 openvino.tools.ovc.convert"]
