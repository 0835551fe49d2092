"""Whatever `--json` prints stands in docs/output.md."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Done, Run

DOCUMENT = (Path(__file__).parents[2] / "docs" / "output.md").read_text(encoding="utf-8")
FREE = {"skipped_reasons", "skipped", "leaking_test_files"}  # what they count has names of its own


@pytest.fixture(scope="module")
def library(run: Run, indexed: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images with a copy among them, indexed."""
    folder = Path(shutil.copytree(indexed, tmp_path_factory.mktemp("output") / "pictures"))
    shutil.copy(next(folder.glob("*.png")), folder / "copy.png")
    assert run("index", cwd=folder).returncode == 0
    return folder


def keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from () if key in FREE else keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def printed(done: Done) -> set[str]:
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {key for row in rows for key in keys(row)}


@pytest.mark.parametrize(
    "command",
    [
        ["index", "--json"],
        ["search", "red", "--json", "--parts"],
        ["duplicates", "--json"],
        ["status", "--json"],
        ["status", "--skipped", "--json"],
        ["models", "--json"],
        ["leaks", ".", "copy", "--json"],
        ["highlight", "copy.png", "red", "blue", "--json"],
    ],
    ids=" ".join,
)
def test_every_key_is_documented(run: Run, library: Path, command: list[str]):
    (library / "copy").mkdir(exist_ok=True)
    shutil.copy(library / "copy.png", library / "copy")
    found = printed(run(*command, cwd=library))
    assert found
    assert {key for key in found if f"`{key}`" not in DOCUMENT} == set()
