"""Two processes under torchrun, for the tests of what they have in common."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[3]


def saved_by_two_processes(worker: str, folder: Path) -> list[dict[str, Any]]:
    """Run a script in two processes, given `folder` and the project's; give what each saved as RANK.pt."""
    script = folder / "worker.py"
    script.write_text(worker, encoding="utf-8")
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    subprocess.run([*run, str(script), str(folder), str(ROOT)], check=True, env=environment, cwd=ROOT)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
