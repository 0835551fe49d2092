"""Regions, speed: how long one warm highlight takes, and how many patches a second.

    python benchmarks/regions_speed.py PHOTO [--model NAME ...] [--device DEVICE] [--photos 8]

One photo is decoded once and looked for three nouns again and again; the first time is left out. Patches are
those of the grids that come out, of several copies of the photo in one call. On a machine with other work the
processor time says more than the clock; bytes are what storing a photo's patch vectors would take.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

from machine import machine_facts

from search.regions import load_highlighter
from sightline.regions_output import open_photo

TEXTS = ("dog", "red umbrella", "a person on the beach")
ROUNDS = 7


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description="Measure the speed of finding regions.")
    parser.add_argument("photo", type=Path)
    parser.add_argument("--model", action="append", help="may be given several times; default: builtin")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--photos", type=int, default=8, help="copies in one call")
    arguments = parser.parse_args()
    image, size = open_photo(arguments.photo)
    print(machine_facts())
    print("| model | grid | one photo, warm: median (range) | processor time | patches/s | bytes, float16 |")
    print("|---|---|---|---|---|---|")
    for model in arguments.model or ["builtin"]:
        highlighter = load_highlighter(
            model, device=arguments.device, notify=lambda line: print(line, file=sys.stderr)
        )
        found = highlighter.find(image, TEXTS, size=size)
        rows, columns = found.values.shape[1:]
        busy = time.process_time()
        seconds = [_timed(lambda: highlighter.find(image, TEXTS, size=size)) for _ in range(ROUNDS)]  # noqa: B023
        busy = (time.process_time() - busy) / ROUNDS
        batch = [image] * arguments.photos
        cells = len(batch) * rows * columns
        together = _timed(lambda: highlighter.find_all(batch, TEXTS))  # noqa: B023
        bytes_each = rows * columns * highlighter.dimension * 2
        print(
            f"| {highlighter.model} | {rows} x {columns} | {statistics.median(seconds):.3f} s "
            f"({min(seconds):.3f} to {max(seconds):.3f}) | {busy:.3f} s | "
            f"{cells / together:,.0f} | {bytes_each:,} |",
            flush=True,
        )


def _timed(run: object) -> float:
    began = time.perf_counter()
    run()  # type: ignore[operator]
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
