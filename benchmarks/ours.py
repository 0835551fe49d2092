"""Our side: the installed sightline command on a library of its own."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workplace import Workplace


@dataclass(frozen=True)
class Ours:
    """The sightline command with one library and one model."""

    library: Path
    model: str
    cache: Path

    @property
    def command(self) -> str:
        """Give the command beside the Python that runs this."""
        return str(Path(sys.executable).parent / "sightline")

    def environment(self) -> dict[str, str]:
        """Give the environment variables that keep it to its library and cache, and off the network."""
        places = {"SIGHTLINE_LIBRARY": str(self.library), "SIGHTLINE_CACHE": str(self.cache)}
        return {**os.environ, **places, "HF_HUB_OFFLINE": "1"}

    def index_command(self, folder: Path) -> list[str]:
        """Give the command line that indexes a folder."""
        return [self.command, "index", str(folder), "--model", self.model, "--json", "--quiet"]

    def index(self, folder: Path) -> tuple[float, dict[str, Any]]:
        """Index a folder; give the seconds from start to end of the process, and its summary."""
        seconds, output = self._timed(self.index_command(folder))
        return seconds, json.loads(output.splitlines()[-1])

    def search(self, words: str) -> float:
        """Search in words; give the seconds from start to end of the process."""
        seconds, output = self._timed([self.command, "search", words, "--json"])
        if not output.strip():
            sys.exit(f"the search for {words!r} gave nothing")
        return seconds

    def forget_images(self) -> None:
        """Remove the library."""
        import shutil

        shutil.rmtree(self.library, ignore_errors=True)

    def _timed(self, command: list[str]) -> tuple[float, str]:
        began = time.perf_counter()
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True)
        seconds = time.perf_counter() - began
        if done.returncode:
            sys.exit(f"sightline failed: {command}\n{done.stdout}{done.stderr}")
        return seconds, done.stdout


def our_library(work: Workplace, name: str, model: str | None = None) -> Ours:
    """Give our side with the library called `name`; the model is the peer's unless another is named."""
    return Ours(work.scratch("ours") / name / ".sightline", model or work.model, work.scratch("cache"))
