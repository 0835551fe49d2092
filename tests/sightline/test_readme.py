"""The README's examples are run: those behind a line `<!-- run -->`, in order, as one person at one computer.

A `console` block is typed into a shell: lines that begin with `$ `, and their continuations. A `python` block
is a script. Both find a few images in ~/Pictures; each must end well.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from indexer.encoders import builtin

from .conftest import paint

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PACKAGES = ("sightline", "trainer", "search", "indexer")
MARKED = re.compile(r"<!-- run -->\s*\n```(python|console)\n(.*?)```", re.DOTALL)
WEIGHTS = Path(builtin.__file__).parent / "open_clip_model.safetensors"


@dataclass(frozen=True)
class Example:
    language: str
    text: str


def examples() -> list[Example]:
    return [Example(*found.groups()) for found in MARKED.finditer(README.read_text(encoding="utf-8"))]


def commands(text: str) -> str:
    """Take what is typed: lines behind a prompt, and what a backslash carries over."""
    typed, carried = [], False
    for line in text.splitlines():
        if carried or line.startswith("$ "):
            typed.append(line.removeprefix("$ "))
            carried = line.endswith("\\")
    return "\n".join(typed)


def test_console_blocks_are_told_from_their_output():
    assert commands("$ one\noutput\n$ two \\\n    more\nend") == "one\ntwo \\\n    more"


def test_readme_has_an_example_of_the_api():
    assert any(example.language == "python" for example in examples())


@pytest.mark.skipif(not WEIGHTS.exists(), reason="the built-in model has not been exported here")
@pytest.mark.skipif(shutil.which("bash") is None, reason="console blocks are written for bash")
def test_marked_examples_run(tmp_path: Path, environment: dict[str, str]):
    home = tmp_path / "home"
    names = ["dog on the beach.jpg", "cat.jpg", "sunset.jpg", "2023/old town.jpg"]
    paint(home / "Pictures", names + [f"{number}.jpg" for number in range(30)])
    write_pairs(home / "parts.csv", 24)
    write_pairs(home / "parts-test.csv", 8)
    here = {
        **environment,
        "HOME": str(home),
        "PATH": f"{command_folder(tmp_path)}{os.pathsep}{os.environ['PATH']}",
    }
    for example in examples():
        done = subprocess.run(
            [sys.executable, "-c", example.text]
            if example.language == "python"
            else ["bash", "-euo", "pipefail", "-c", commands(example.text)],
            cwd=home,
            env=here,
            capture_output=True,
            encoding="utf-8",
            timeout=250,
            check=False,
        )
        assert done.returncode == 0, f"{example.text}\n{done.stdout}\n{done.stderr}"


def write_pairs(file: Path, count: int) -> None:
    """Write a table of images with captions, and the images beside it."""
    names = [f"{file.stem}/{number}.png" for number in range(count)]
    paint(file.parent, names)
    rows = [f"{name},hex bolt M{number} x {2 * number}" for number, name in enumerate(names)]
    file.write_text("\n".join(["image,caption", *rows]), encoding="utf-8")


def command_folder(tmp_path: Path) -> Path:
    """Make a folder where the shell finds `sightline`, whether or not it is installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "sightline"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sightline "$@"\n')
    script.chmod(0o755)
    return folder


def test_the_map_of_the_code_names_files_that_are_there():
    told = re.findall(r"`([\w/.]+(?:\.py|\.md|/))`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    folders = [
        ROOT,
        *(ROOT / name for name in PACKAGES),
        *(each for name in PACKAGES for each in _below(name)),
    ]
    assert len(told) > 40
    assert [name for name in told if not any((folder / name).exists() for folder in folders)] == []


def _below(package: str) -> list[Path]:
    return [path for path in (ROOT / package).rglob("*") if path.is_dir()]
