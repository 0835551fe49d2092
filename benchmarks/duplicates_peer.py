"""Finding duplicates in a folder from nothing, beside imagededup's PHash, end to end, in one run.

The peer hashes whole pictures; ours embeds them for searching, takes hashes and marks, finds crops and
frames, and looks at what it found. So the row says what all that costs, not who hashes faster. The second
search is what one waits for once a library is there.

    python benchmarks/duplicates_peer.py --work W --folder FOLDER [--peer-path SITE_PACKAGES]

imagededup: `pip install --no-deps --target SITE_PACKAGES imagededup PyWavelets tqdm scikit-learn joblib
threadpoolctl`, since it asks for packages of its own time.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from imagededup_pairs import pairs_of_imagededup
from machine import machine_facts
from workplace import parse_workplace


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, str]:
    """Run a command; give its seconds and what it printed. Exit code 11 means found."""
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 11):
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return time.perf_counter() - began, done.stdout


def main() -> None:
    """Run both and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="a folder of images")
    parser.add_argument("--peer-path", type=Path, help="where imagededup is installed")
    work, arguments = parse_workplace(parser)
    print(machine_facts(), flush=True)
    library = work.scratch("duplicates-peer") / "library"
    shutil.rmtree(library, ignore_errors=True)
    ours = {**os.environ, "SIGHTLINE_LIBRARY": str(library), "HF_HUB_OFFLINE": "1"}
    sightline = str(Path(sys.executable).parent / "sightline")
    indexing, output = timed(
        [sightline, "index", str(arguments.folder), "--model", "builtin", "--json"], ours
    )
    images = json.loads(output.splitlines()[-1])["indexed"]
    first, output = timed([sightline, "duplicates", "--json"], ours)
    again, _ = timed([sightline, "duplicates", "--json"], ours)
    members = sum(len(json.loads(line)["members"]) for line in output.splitlines())
    print(
        f"sightline, {images:,} images: index {indexing:.1f} s, duplicates {first:.1f} s, again {again:.1f} s"
    )
    print(f"  {members:,} files that could go")
    began = time.perf_counter()
    pairs = pairs_of_imagededup("phash", arguments.folder, arguments.peer_path)
    peer = time.perf_counter() - began
    print(f"imagededup PHash: {peer:.1f} s, {len(pairs):,} pairs")
    print(f"ratio: from nothing {peer / (indexing + first):.2f}x, with a library {peer / first:.2f}x")


if __name__ == "__main__":
    main()
