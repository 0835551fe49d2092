"""Running `index` again with nothing changed over 100,000 files, against the peer.

Our library is the one that memory.py leaves behind (it is made when absent). The peer's catalog is filled
through its own code with the same files, their sizes and times, because embedding them would take it hours;
the time of a search alone is taken off its time, as in index_speed.py.

    python benchmarks/rescan.py --work ~/sightline-bench
"""

import argparse
from pathlib import Path
from statistics import median

from ours import Ours, our_library
from peer import Peer, ready_peer
from synthetic import fill_peer, unit_vectors
from table import Row, print_table, spread
from workplace import parse_workplace

MUST_SECONDS = 10.0


def peer_rows(folder: Path) -> list[tuple[str, float, int]]:
    """Give path, time of change and size of every file, as the peer wants to find them again."""
    found = ((file, file.stat()) for file in sorted(folder.rglob("*.jpg")))
    return [(str(file), facts.st_mtime, facts.st_size) for file, facts in found]


def measure(
    ours: Ours, peer: Peer, folder: Path, count: int, repeats: int
) -> tuple[list[float], list[float]]:
    """Run both again over what they know, in turns; give the seconds of each run."""
    our_seconds, peer_seconds = [], []
    for _ in range(repeats):
        seconds, summary = ours.index(folder)
        assert summary["unchanged"] == count, summary
        assert summary["indexed"] == summary["removed"] == 0, summary
        our_seconds.append(seconds)
        peer_seconds.append(peer.index_and_search(folder) - peer.search(folder, "a dog"))
    assert peer.count() == count
    return our_seconds, peer_seconds


def main() -> None:
    """Measure and print the row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="builtin")
    work, arguments = parse_workplace(parser)
    ours, peer = our_library(work, "small", arguments.model), ready_peer(work, "rescan")
    rows = peer_rows(work.small)
    ours.index(work.small)
    peer.forget_images()
    fill_peer(peer, rows, unit_vectors(len(rows)))
    our_seconds, peer_seconds = measure(ours, peer, work.small, len(rows), arguments.repeats)
    row = Row(
        f"index again, nothing changed, {len(rows):,} files",
        spread(our_seconds),
        spread(peer_seconds),
        f"{median(peer_seconds) / median(our_seconds):.1f}x faster",
        f"at most {MUST_SECONDS:g} s",
        median(our_seconds) <= MUST_SECONDS,
    )
    print_table([row])


if __name__ == "__main__":
    main()
