"""Indexing speed, end to end: 1,000 photos of about 0.2 MP and 60 JPEGs of 12 MP, against the peer.

Both start from nothing each time and take turns; what counts is the median. Ours is timed from process start
to process end. The peer can only index on its way to a search, so the time of a search alone is taken off its
time, to its advantage. Exporting our towers, done once per model, happens in the warm-up and is told apart.

    python benchmarks/index_speed.py --work ~/sightline-bench
"""

import argparse
import os
from pathlib import Path
from statistics import median

from ours import Ours, our_library
from peer import Peer, ready_peer
from table import Row, print_table, spread
from workplace import Workplace, parse_workplace

WARM_UP_PHOTOS = 24
MUST_BUSY = 0.85


def measure(ours: Ours, peer: Peer, folder: Path, repeats: int) -> tuple[list[float], list[float]]:
    """Index a folder with both, in turns; give the images per second of each run."""
    count = sum(1 for _ in folder.rglob("*.jpg"))
    our_rates, peer_rates = [], []
    for _ in range(repeats):
        ours.forget_images()
        seconds, summary = ours.index(folder)
        assert summary["indexed"] == count, summary
        our_rates.append(count / seconds)
        peer.forget_images()
        indexing = peer.index_and_search(folder)
        assert peer.count() == count
        peer_rates.append(count / (indexing - median(peer.search(folder, "a dog") for _ in range(3))))
        print(f"{folder.name}: ours {our_rates[-1]:.2f}, peer {peer_rates[-1]:.2f} images/s", flush=True)
    return our_rates, peer_rates


def speed_row(what: str, ours: list[float], peer: list[float], must: float) -> Row:
    """Make the row of a comparison in images per second."""
    ratio = median(ours) / median(peer)
    our_rate, peer_rate = spread(ours, "images/s", 1), spread(peer, "images/s", 1)
    return Row(what, our_rate, peer_rate, f"{ratio:.2f}x", f"at least {must:g}x", ratio >= must)


def busy_share(work: Workplace, folder: Path) -> float:
    """Index in this process; give the encoder's share of the time from its first batch to its last."""
    from indexer.pipeline import IndexSettings, Progress, index_folders

    ours = our_library(work, "busy")
    ours.forget_images()
    os.environ["SIGHTLINE_CACHE"] = str(ours.cache)
    told: list[Progress] = []
    index_folders(ours.library, [folder], IndexSettings(model=ours.model), on_progress=told.append)
    with_encoder = [progress for progress in told if progress.encoder_seconds > 0]
    first, last = with_encoder[0], with_encoder[-1]
    return last.encoder_seconds / (last.seconds - (first.seconds - first.encoder_seconds))


def warm_up(work: Workplace, ours: Ours, peer: Peer) -> None:
    """Let both do once what they do only once, on a few photos."""
    from make_data import write_photos

    folder = work.scratch("warm-up")
    write_photos(folder, count=WARM_UP_PHOTOS)
    ours.forget_images()
    first, _ = ours.index(folder)
    ours.forget_images()
    second, _ = ours.index(folder)
    print(f"{WARM_UP_PHOTOS} photos: ours {first:.1f} s with the one-time export, {second:.1f} s after it")
    peer.forget_images()
    peer.index_and_search(folder)


def main() -> None:
    """Measure and print the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["photos", "large", "busy"], help="one of the three rows")
    work, arguments = parse_workplace(parser)
    ours, peer = our_library(work, "index-speed"), ready_peer(work, "index-speed")
    warm_up(work, ours, peer)
    rows = []
    if arguments.only in (None, "photos"):
        both = measure(ours, peer, work.photos, arguments.repeats)
        rows.append(speed_row("indexing 1,000 photos of 0.2 MP", *both, must=2.0))
    if arguments.only in (None, "large"):
        both = measure(ours, peer, work.large, arguments.repeats)
        rows.append(speed_row("indexing 60 JPEGs of 12 MP", *both, must=3.0))
    if arguments.only in (None, "busy"):
        share = busy_share(work, work.photos)
        must = f"at least {MUST_BUSY:.0%}"
        rows.append(Row("encoder busy while indexing", f"{share:.0%}", "-", "-", must, share >= MUST_BUSY))
    print_table(rows)


if __name__ == "__main__":
    main()
