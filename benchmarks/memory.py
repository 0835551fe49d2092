"""Peak memory while indexing: 100,000 small files against 1,000 of them, with the built-in model.

Summed over the command and its decoding processes, ten times a second; on Linux shared pages count once
(PSS), elsewhere once per process. The peer has no part in it: it would need hours for 100,000 images.

    python benchmarks/memory.py --work ~/sightline-bench
"""

import argparse
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

from ours import Ours, our_library
from table import Row, print_table
from workplace import parse_workplace

MUST_MEGABYTES = 300
MEBIBYTE = 2**20


def peak_megabytes(ours: Ours, folder: Path) -> float:
    """Index a folder from nothing; give the highest memory of the processes together."""
    ours.forget_images()
    began = time.perf_counter()
    output = {"stdout": subprocess.DEVNULL, "env": ours.environment()}
    process = subprocess.Popen(ours.index_command(folder), **output)  # type: ignore[call-overload]
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(map(_bytes_of, _tree(process.pid))) / MEBIBYTE)
        time.sleep(0.1)
    if process.returncode:
        sys.exit(f"indexing {folder} failed")
    print(f"{folder}: {peak:.0f} MiB, {time.perf_counter() - began:.0f} s", flush=True)
    return peak


def _tree(root: int) -> list[int]:
    """Give a process and all below it."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    children = defaultdict(list)
    for line in listing.stdout.splitlines():
        pid, parent = map(int, line.split())
        children[parent].append(pid)
    tree, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        tree.append(pid)
        waiting += children[pid]
    return tree


def _bytes_of(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup")
        if rollup.exists():
            return int(rollup.read_text(encoding="ascii").split("Pss:")[1].split()[0]) * 1024
        listing = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True)
        return int(listing.stdout or 0) * 1024
    except (OSError, IndexError, ValueError):  # it ended meanwhile
        return 0


def main() -> None:
    """Measure and print the row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="builtin")
    work, arguments = parse_workplace(parser)
    ours = our_library(work, "memory-few", arguments.model)
    ours.index(work.small / "000")  # exports the towers, once per model, which takes the most memory
    few = peak_megabytes(ours, work.small / "000")
    # This library stays for rescan.py.
    many = peak_megabytes(our_library(work, "small", arguments.model), work.small)
    row = Row(
        f"peak memory, {sum(1 for _ in work.small.rglob('*.jpg')):,} small files",
        f"{many:.0f} MiB; 1,000 files: {few:.0f} MiB",
        "-",
        f"{many - few:+.0f} MiB",
        f"at most {MUST_MEGABYTES} MB more than 1,000 files",
        (many - few) * MEBIBYTE <= MUST_MEGABYTES * 1e6,
    )
    print_table([row])


if __name__ == "__main__":
    main()
