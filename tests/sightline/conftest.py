"""A small random model and a library made with it: real parts throughout, but no knowledge of the world."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from sightline.cli import cli

CONFIG = {
    "model_cfg": {
        "embed_dim": 32,
        "custom_text": True,
        "vision_cfg": {
            "timm_model_name": "sightline_resnet_s",
            "timm_model_pretrained": False,
            "timm_pool": "avg",
            "timm_proj": "linear",
            "image_size": 64,
        },
        "text_cfg": {
            "context_length": 24,
            "vocab_size": 400,
            "width": 32,
            "heads": 2,
            "layers": 1,
            "pool_type": "eos",
            "pad_id": 0,
            "eos_id": 1,
        },
    },
    "preprocess_cfg": {
        "size": [64, 64],
        "mode": "RGB",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bicubic",
        "resize_mode": "squash",
        "fill_color": 0,
    },
}
NAMES = [
    "red square.jpg", "blue.png", "Zoë 🐶.jpg", "2023/old.jpg", "2023/deep/wide.webp", "notes.txt",
    "broken.jpg",
    *(f"many/{number:02}.jpg" for number in range(20)),
]  # fmt: skip


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a model of random weights, as the trainer writes them."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    from indexer.encoders.builtin.network import register_image_network
    from trainer.vocabulary import learn_vocabulary

    register_image_network()
    folder = tmp_path_factory.mktemp("model")
    (folder / "open_clip_config.json").write_text(json.dumps(CONFIG))
    torch.manual_seed(0)
    network = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    texts = ["a red square on a white wall", "a blue door", "the old town at night"] * 4
    learn_vocabulary(texts, size=400, context_length=24).save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give the environment of a person who has set nothing, with caches of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIGHTLINE_")}
    return {
        **kept,
        "SIGHTLINE_CACHE": str(tmp_path_factory.mktemp("cache")),
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "100",
        "PYTHONWARNINGS": "default",
    }


@pytest.fixture
def as_commands_run(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the Python functions share the caches of the commands."""
    for name in ("SIGHTLINE_CACHE", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(name, environment[name])


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: bytes
    stderr: bytes


Run = Callable[..., Done]


@pytest.fixture(scope="session")
def run(environment: dict[str, str]) -> Run:
    """Run the command in this process: the same code, without a second for its imports."""

    def run_command(*arguments: str | Path, cwd: Path | None = None, **more: str) -> Done:
        cleared: dict[str, str | None] = {name: None for name in os.environ if name.startswith("SIGHTLINE_")}
        with contextlib.chdir(cwd or Path.cwd()):
            runner = CliRunner(env={**cleared, **environment, **more})
            result = runner.invoke(
                cli, [os.fspath(argument) for argument in arguments], prog_name="sightline"
            )
        return Done(result.exit_code, result.stdout_bytes, result.stderr_bytes)

    return run_command


@pytest.fixture(scope="session")
def run_process(environment: dict[str, str]) -> Run:
    """Run the command as a person does, in a process of its own."""

    def run_command(*arguments: str | Path, cwd: Path | None = None, **more: str) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "sightline", *map(os.fspath, arguments)],
            cwd=cwd,
            env={**environment, **more},
            capture_output=True,
            timeout=120,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run_command


@pytest.fixture(scope="session")
def indexed(run: Run, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of images with its library; tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("pictures")
    paint(folder, NAMES)
    done = run("index", folder, "--model", model)
    assert done.returncode == 0, done.stderr.decode()
    return folder


@pytest.fixture
def pictures(indexed: Path, tmp_path: Path) -> Path:
    """Give a copy of the folder and its library, to change."""
    return Path(shutil.copytree(indexed, tmp_path / "pictures"))


def paint(folder: Path, names: Sequence[str]) -> None:
    """Make images of coloured patches, and what is no image."""
    generator = np.random.default_rng(7)
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no image")
            continue
        patches = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        size = (640, 200) if "wide" in name else (120 + number, 100)
        Image.fromarray(patches).resize(size, Image.Resampling.NEAREST).save(path)
        if "broken" in name:
            path.write_bytes(path.read_bytes()[:40])
