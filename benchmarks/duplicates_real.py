"""How long the search for duplicates takes among very many real pictures, looking at them included.

Takes the pictures of folders and tar files, writes each as a JPEG, the first ones mirrored as well (for the
encoder nearly the same picture, for people none of the copies asked for) and of every 25th a copy: resized,
recompressed, brightened or cropped by 6 %. Then it indexes all of that, searches twice, and counts the copies
that are in a group with their original.

    python benchmarks/duplicates_real.py --work W --pictures a.tar FOLDER --mirrored 50000
"""

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from machine import machine_facts
from ours import Ours, our_library
from PIL import Image, ImageOps
from workplace import parse_workplace

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
ENDS_WELL = (0, 11)  # 11: found
AT_ONCE = 2_000
COPY_EVERY = 25
COPIES = ("resized", "recompressed", "brightened", "cropped")
SIDE_MIN = 100  # pixels; smaller ones are doubled: nobody keeps photos of 64 pixels
MUST_SECONDS, MUST_GIGABYTES = 180, 2


def pictures(sources: list[Path]) -> Iterator[bytes]:
    """Read all files that are named like pictures."""
    for source in sources:
        if source.is_dir():
            paths = (path for path in sorted(source.rglob("*")) if path.suffix.lower() in SUFFIXES)
            yield from (path.read_bytes() for path in paths)
            continue
        with tarfile.open(source) as tar:
            for entry in tar:
                file = tar.extractfile(entry) if entry.name.lower().endswith(SUFFIXES) else None
                if file is not None:
                    yield file.read()


def write_all(folder: Path, sources: list[Path], mirrored: int) -> None:
    """Write all pictures of the sources, some thousands at a time."""
    jobs = enumerate(pictures(sources))
    with ProcessPoolExecutor() as processes:
        while some := list(islice(jobs, AT_ONCE)):
            list(processes.map(partial(write, folder, mirrored), some, chunksize=100))


def write(folder: Path, mirrored: int, job: tuple[int, bytes]) -> None:
    """Write one picture, and what is made of it."""
    nth, data = job
    image = Image.open(io.BytesIO(data)).convert("RGB")
    if image.width < SIDE_MIN:
        image = image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC)
    place = folder / f"{nth // 1000:03d}"
    place.mkdir(parents=True, exist_ok=True)
    image.save(place / f"{nth:06d}.jpg", quality=88)
    if nth < mirrored:
        ImageOps.mirror(image).save(place / f"{nth:06d}-mirrored.jpg", quality=88)
    if nth % COPY_EVERY == 0:
        kind = random.Random(nth).choice(COPIES)
        copied(image, kind).save(place / f"{nth:06d}-copy-{kind}.jpg", quality=70)


def copied(image: Image.Image, kind: str) -> Image.Image:
    """Make a copy of an image as people come by them."""
    if kind == "resized":
        return image.resize((image.width * 3 // 4, image.height * 3 // 4))
    if kind == "cropped":
        return image.crop((int(image.width * 0.06), int(image.height * 0.06), *image.size))
    if kind == "brightened":
        return Image.eval(image, lambda value: min(255, int(value * 1.15)))
    return image


@dataclass(frozen=True)
class Searched:
    """One run of `duplicates`."""

    seconds: float
    gigabytes: float  # at its peak
    groups: list[set[str]]  # names of files


def search(ours: Ours) -> Searched:
    """Search the library; one process, so that its own peak is all of it."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [ours.command, "duplicates", "--json"], env=ours.environment(), stdout=output
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        if os.waitstatus_to_exitcode(status) not in ENDS_WELL:
            sys.exit("the search failed")
        output.seek(0)
        groups = [json.loads(line) for line in output]
    kibibyte = 1 if sys.platform == "darwin" else 1024
    return Searched(seconds, used.ru_maxrss * kibibyte / 1e9, [_names_in(group) for group in groups])


def _names_in(group: dict[str, object]) -> set[str]:
    members = group["members"]
    assert isinstance(members, list)
    return {Path(path).name for path in (str(group["keep"]), *(member["path"] for member in members))}


def count_found(groups: list[set[str]]) -> int:
    """Count the copies that are in the group of their original."""
    return sum("copy" in name and f"{name[:6]}.jpg" in group for group in groups for name in group)


def main() -> None:
    """Make the pictures unless they are there, index them, search twice and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=Path, nargs="+", required=True, help="folders and tar files")
    parser.add_argument("--mirrored", type=int, default=0, help="so many are there mirrored as well")
    work, arguments = parse_workplace(parser)
    print(machine_facts(), flush=True)
    folder = work.folder / "data" / f"real-{arguments.mirrored}"
    if not folder.exists():
        write_all(folder, arguments.pictures, arguments.mirrored)
    ours = our_library(work, "duplicates-real", model="builtin")
    ours.forget_images()
    seconds, summary = ours.index(folder)
    print(f"index: {summary['indexed']:,} pictures, {seconds:.0f} s", flush=True)
    first, again = search(ours), search(ours)
    copies = sum("copy" in path.name for path in folder.rglob("*.jpg"))
    print(f"duplicates: {first.seconds:.0f} s, {first.gigabytes:.2f} GB; again {again.seconds:.1f} s")
    print(f"must, for 100,000: {MUST_SECONDS} s, {MUST_GIGABYTES} GB")
    print(f"{count_found(first.groups):,} of {copies:,} copies found; {len(first.groups):,} groups")


if __name__ == "__main__":
    main()
