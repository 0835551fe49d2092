"""The peer: rclip 3.3.0 in an environment of its own, with the model that we measure ourselves with.

rclip's own weights come from a hub, so its ViT-B-32-256 towers are replaced by an ONNX export of a randomly
initialised open_clip model; ours takes the same weights from the checkpoint beside them. Speed does not
depend on what the weights are.

    python benchmarks/peer.py --work ~/sightline-bench
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workplace import Workplace, parse_workplace

VERSION = "3.3.0"
ARCHITECTURE = "ViT-B-32-256"
SUBFOLDER = "ViT-B-32-256-datacomp_s34b_b86k"  # where rclip looks for its towers
VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
EXPORTERS = ("onnx", "protobuf", "ml_dtypes")  # needed to write ONNX files; kept out of both environments


@dataclass(frozen=True)
class Peer:
    """rclip with a data folder of its own: its catalog and the towers."""

    venv: Path
    data: Path

    @property
    def python(self) -> Path:
        """Give the interpreter of its environment."""
        return self.venv / "bin" / "python"

    def environment(self) -> dict[str, str]:
        """Give the environment variables that keep it to its data folder and off the network."""
        return {**os.environ, "RCLIP_DATADIR": str(self.data), "HF_HUB_OFFLINE": "1"}

    def forget_images(self) -> None:
        """Remove its catalog; the towers stay."""
        for file in self.data.glob("db.sqlite3*"):
            file.unlink()

    def index_and_search(self, folder: Path) -> float:
        """Run rclip as it indexes, which ends in a search; give the seconds."""
        return self._timed(["a dog on the beach"], folder)

    def search(self, folder: Path, words: str) -> float:
        """Run a search that does not look for changed files; give the seconds."""
        return self._timed(["--no-indexing", words], folder)

    def count(self) -> int:
        """Count the images in its catalog."""
        import sqlite3

        with sqlite3.connect(self.data / "db.sqlite3") as connection:
            return int(connection.execute("SELECT count(*) FROM images WHERE deleted IS NULL").fetchone()[0])

    def _timed(self, arguments: Sequence[str], folder: Path) -> float:
        command = [str(self.venv / "bin" / "rclip"), *arguments]
        began = time.perf_counter()
        done = subprocess.run(command, cwd=folder, env=self.environment(), capture_output=True, text=True)
        seconds = time.perf_counter() - began
        if done.returncode:
            sys.exit(f"rclip failed: {command}\n{done.stdout}{done.stderr}")
        return seconds


def ready_peer(work: Workplace, name: str) -> Peer:
    """Give the peer with an empty data folder called `name`; install it and export the towers once."""
    install(work)
    export_towers(work)
    peer = Peer(work.peer_venv, work.scratch(f"peer-{name}"))
    for part in (SUBFOLDER, "tokenizer"):
        link = peer.data / part
        if not link.exists():
            link.symlink_to(work.peer_models / part, target_is_directory=True)
    return peer


def install(work: Workplace) -> None:
    """Make the peer's environment, once."""
    if (work.peer_venv / "bin" / "rclip").exists():
        return
    venv.create(work.peer_venv, with_pip=True)
    pip = [str(work.peer_venv / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"rclip=={VERSION}"], check=True)


def export_towers(work: Workplace) -> None:
    """Write the checkpoint for us, and for the peer its towers and the vocabulary, once."""
    towers = work.peer_models / SUBFOLDER
    if work.checkpoint.exists() and (towers / "textual.onnx").exists():
        return
    import open_clip
    import torch

    _add_exporters(work)
    torch.manual_seed(0)
    model = open_clip.create_model(ARCHITECTURE, pretrained=None).eval()
    towers.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), work.checkpoint)
    tokens = open_clip.get_tokenizer(ARCHITECTURE)(["a dog", "a cat"])
    _export(model.encode_image, torch.zeros(2, 3, 256, 256), towers / "visual.onnx")
    _export(model.encode_text, tokens, towers / "textual.onnx")
    vocabulary = work.peer_models / "tokenizer" / VOCABULARY
    vocabulary.parent.mkdir(exist_ok=True)
    shutil.copyfile(Path(open_clip.__file__).parent / VOCABULARY, vocabulary)


def _add_exporters(work: Workplace) -> None:
    """Install what writes ONNX files into a folder beside the data, and make it importable."""
    folder = work.folder / "export-packages"
    if not (folder / "onnx").exists():
        pip = [str(work.peer_venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--target", str(folder), *EXPORTERS], check=True)
    sys.path.append(str(folder))  # last, so that it replaces nothing of ours


def _export(encode: Any, example: Any, target: Path) -> None:
    import torch

    class Tower(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.owner = encode.__self__

        def forward(self, batch: Any) -> Any:
            return encode(batch)

    # Both exporters of torch were tried: onnxruntime ran their graphs at the same speed.
    torch.onnx.export(
        Tower(),
        (example,),
        str(target),
        input_names=["input"],
        output_names=["output"],
        dynamic_axes={"input": {0: "n"}, "output": {0: "n"}},
        opset_version=17,
        dynamo=False,
    )


def main() -> None:
    """Install the peer, export the towers, and show that it runs."""
    work, _ = parse_workplace(argparse.ArgumentParser(description=__doc__))
    peer = ready_peer(work, "trial")
    peer.forget_images()
    folder = work.scratch("trial-photos")
    from make_data import write_photos

    write_photos(folder, count=12)
    count = sum(1 for _ in folder.rglob("*.jpg"))
    print(f"indexed and searched {count} photos in {peer.index_and_search(folder):.1f} s")
    print(f"searched in {peer.search(folder, 'a dog'):.2f} s; its catalog has {peer.count()} images")


if __name__ == "__main__":
    main()
