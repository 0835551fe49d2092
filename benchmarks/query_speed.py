"""Cold text queries, from process start to process end, at 1,000 and at 200,000 images, against the peer.

The first 1,000 images are indexed by both; the rest are synthetic vectors, put into both libraries through
their own code. The peer is told not to look for changed files. Both take turns, with other words each time;
the median counts. Files are in the page cache for both: "cold" is the process.

    python benchmarks/query_speed.py --work ~/sightline-bench
"""

import argparse
from pathlib import Path
from statistics import median

from ours import Ours, our_library
from peer import Peer, ready_peer
from synthetic import fill_ours, fill_peer, synthetic_rows, unit_vectors
from table import Row, print_table, spread
from workplace import Workplace, parse_workplace

WORDS = (
    "a dog on the beach",
    "two people",
    "red car at night",
    "snow",
    "an old house by the sea",
    "a birthday cake",
)


def prepare(work: Workplace, count: int) -> tuple[Ours, Peer]:
    """Give both libraries with `count` images; what is there from an earlier run is used again."""
    ours, peer = our_library(work, f"query-{count}"), ready_peer(work, f"query-{count}")
    done = ours.library.parent / "filled"
    if done.exists():
        return ours, peer
    ours.forget_images()
    peer.forget_images()
    ours.index(work.photos)
    peer.index_and_search(work.photos)
    real = peer.count()
    if count > real:
        vectors = unit_vectors(count - real)
        fill_ours(ours, work.photos, vectors)
        fill_peer(peer, list(synthetic_rows(work.photos, count - real)), vectors)
    assert peer.count() == count
    done.touch()
    return ours, peer


def measure(ours: Ours, peer: Peer, folder: Path, repeats: int) -> tuple[list[float], list[float]]:
    """Search with both, in turns; give the seconds of each search."""
    ours.search("warm up")
    peer.search(folder, "warm up")
    our_seconds, peer_seconds = [], []
    for turn in range(repeats):
        words = WORDS[turn % len(WORDS)]
        our_seconds.append(ours.search(words))
        peer_seconds.append(peer.search(folder, words))
    return our_seconds, peer_seconds


def main() -> None:
    """Measure and print the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--many", type=int, default=200_000)
    work, arguments = parse_workplace(parser)
    few_ours, few_peer = measure(*prepare(work, 1000), work.photos, arguments.repeats)
    few = median(few_ours) / median(few_peer)
    many_ours, many_peer = measure(*prepare(work, arguments.many), work.photos, arguments.repeats)
    many = median(many_peer) / median(many_ours)
    print_table(
        [
            Row(
                "cold search, 1,000 images",
                spread(few_ours),
                spread(few_peer),
                f"{few:.2f}x its time",
                "at most 1.2x its time",
                few <= 1.2,
            ),
            Row(
                f"cold search, {arguments.many:,} images",
                spread(many_ours),
                spread(many_peer),
                f"{many:.1f}x faster",
                "at most 1.0 s and at least 3x faster",
                median(many_ours) <= 1.0 and many >= 3.0,
            ),
        ]
    )


if __name__ == "__main__":
    main()
