"""The pairs that imagededup finds in a folder, printed as JSON; other scripts run it, with its path.

`phash` is its PHash. `cnn` is its CNN search (a pair is a duplicate when the cosine of two image vectors is
at least .9), with our built-in model as the network: the weights of its own need a download, and the way of
deciding is what is compared.

    PYTHONPATH=SITE_PACKAGES python benchmarks/imagededup_pairs.py phash|cnn FOLDER
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

METHODS = ("phash", "cnn")
Pairs = set[tuple[str, str]]


def pairs_of_imagededup(method: str, folder: Path, peer_path: Path | None) -> Pairs:
    """Find pairs of file names by imagededup, in a process of its own; `peer_path`: where it is installed."""
    place = os.pathsep.join(str(path) for path in (Path(__file__).parent.parent, peer_path) if path)
    command = [sys.executable, __file__, method, str(folder)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": place}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"imagededup failed:\n{done.stderr}")
    return {(one, other) for one, other in json.loads(done.stdout.splitlines()[-1])}


def _method(name: str) -> Any:
    from imagededup.methods import CNN, PHash
    from imagededup.utils import CustomModel

    if name == "phash":
        return PHash(verbose=False)
    network, transform = _builtin()
    return CNN(verbose=False, model_config=CustomModel(name="builtin", model=network, transform=transform))


def _builtin() -> tuple[Any, Any]:
    """Give the built-in model as imagededup wants one: a network, and what makes a tensor of a picture."""
    import torch

    from indexer.encoders.base import prepared_batch
    from indexer.encoders.loading import load_encoder

    encoder = load_encoder("builtin", runtime="torch")

    class Network(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(encoder.encode_pixels(pixels.numpy()))

    preprocessing = encoder.card.preprocessing
    return Network(), lambda image: torch.from_numpy(prepared_batch([image], preprocessing)[0])


def main() -> None:
    """Print a list of pairs."""
    method, folder = sys.argv[1:]
    found = _method(method).find_duplicates(image_dir=folder, recursive=True)
    pairs = {
        tuple(sorted((Path(one).name, Path(other).name))) for one, more in found.items() for other in more
    }
    print(json.dumps(sorted(pairs)))


if __name__ == "__main__":
    main()
