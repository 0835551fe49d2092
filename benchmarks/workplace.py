"""The workplace: one folder outside the repository with the data, the peer and both libraries."""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Workplace:
    """Where everything lies that the benchmarks make."""

    folder: Path
    peer_venv: Path

    @property
    def photos(self) -> Path:
        """1,000 photos of about 0.2 MP."""
        return self.folder / "data" / "photos"

    @property
    def large(self) -> Path:
        """60 JPEGs of 12 MP."""
        return self.folder / "data" / "large"

    @property
    def small(self) -> Path:
        """100,000 small files in folders of 1,000."""
        return self.folder / "data" / "small"

    @property
    def checkpoint(self) -> Path:
        """The randomly initialised open_clip model that both sides use."""
        return self.folder / "model" / "vit-b-32-256-random.pt"

    @property
    def model(self) -> str:
        """Our name of that model."""
        return f"ViT-B-32-256@{self.checkpoint}"

    @property
    def peer_models(self) -> Path:
        """The same model as ONNX, under the names the peer looks for."""
        return self.folder / "model" / "peer"

    def scratch(self, name: str) -> Path:
        """Give a folder for what a measurement writes."""
        folder = self.folder / "scratch" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def parse_workplace(parser: argparse.ArgumentParser) -> tuple[Workplace, argparse.Namespace]:
    """Add the options that every script has, and read the command line."""
    parser.add_argument("--work", type=Path, required=True, help="a folder outside the repository")
    parser.add_argument("--peer-venv", type=Path, help="the peer's environment (default: WORK/peer-venv)")
    arguments = parser.parse_args()
    folder = arguments.work.expanduser().resolve()
    if folder == REPOSITORY or REPOSITORY in folder.parents:
        sys.exit("--work must lie outside the repository: gigabytes go there")
    folder.mkdir(parents=True, exist_ok=True)
    venv = arguments.peer_venv.expanduser().resolve() if arguments.peer_venv else folder / "peer-venv"
    return Workplace(folder, venv), arguments
