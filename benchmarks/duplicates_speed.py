"""How long the search for duplicates takes among very many images, and in how much memory.

The images are simulated: random hashes and vectors, and marks drawn from those of photos (scikit-image's,
or --photos) with a fifth of their bits turned, so that chance neighbours are as crowded as in life. Every
hundredth image is a copy of another one. What is timed is all that grows with the library: reading the
catalog, the three indexes, the pairs. Looking at the pictures of a pair takes about 30 ms more for each
picture that has candidates; the copies here have no files, so that is left out.

    python benchmarks/duplicates_speed.py --work W --images 100000 --images 1000000
"""

import argparse
import hashlib
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from machine import machine_facts
from numpy.typing import NDArray
from PIL import Image
from workplace import parse_workplace

from indexer.encoders.loading import load_encoder
from indexer.features import FEATURE, FEATURES_MAX, Features, local_features
from indexer.records import EncodedImage, FoundFile, ImageFacts
from indexer.store.library import open_for_writing, open_library
from indexer.store.writer import LibraryWriter
from search.duplicates.proposing import find_candidates
from search.duplicates.records import Level

AT_ONCE = 5_000
COPY_EVERY = 100
NOISE = 0.2  # of the bits of a mark


def mark_pool(photos: Path | None) -> Features:
    """Take the marks of real photos."""
    if photos is None:
        import skimage.data

        names = (
            "astronaut",
            "chelsea",
            "coffee",
            "rocket",
            "camera",
            "brick",
            "coins",
            "page",
            "hubble_deep_field",
        )
        images = (Image.fromarray(getattr(skimage.data, name)()) for name in names)
    else:
        images = (Image.open(path) for path in sorted(photos.rglob("*.jp*g"))[:2000])
    return np.concatenate([local_features(image.convert("RGB")) for image in images])


def simulated(count: int, dimension: int, pool: Features) -> Iterator[list[EncodedImage]]:
    """Yield images in portions; every hundredth is a copy of the one before it."""
    folder = Path("/simulated")
    for start in range(0, count, AT_ONCE):
        chance = np.random.default_rng((1, start))
        size = min(AT_ONCE, count - start)
        vectors = _unit(chance.standard_normal((size, dimension), dtype=np.float32))
        hashes = chance.integers(0, 256, (size, 32), dtype=np.uint8)
        marks = _noisy(pool[chance.integers(0, len(pool), (size, FEATURES_MAX))], NOISE, chance)
        copies = np.arange(COPY_EVERY, size, COPY_EVERY)
        for values in (vectors, hashes, marks):
            values[copies] = values[copies - 1]
        marks[copies] = _noisy(marks[copies], 0.02, chance)
        yield [_image(folder, start + n, vectors[n], hashes[n].tobytes(), marks[n]) for n in range(size)]


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _noisy(marks: Features, share: float, chance: np.random.Generator) -> Features:
    noisy = np.array(marks, dtype=FEATURE)
    flips = np.packbits(chance.random((*marks.shape, 128), dtype=np.float32) < share, axis=-1)
    noisy["code"] ^= flips
    return noisy


def _image(
    folder: Path, number: int, vector: NDArray[np.float32], pdq: bytes, marks: Features
) -> EncodedImage:
    digest = hashlib.sha256(str(number).encode()).digest()
    facts = ImageFacts(digest, 4000, 3000, "JPEG", None, None, None, None, pdq, 100, marks)
    return EncodedImage(FoundFile(folder, f"{number:08}.jpg", 3_000_000, number), facts, vector)


def fill(library: Path, count: int, photos: Path | None) -> None:
    """Make the library, once."""
    if (library / "done").exists():
        return
    card = load_encoder("builtin", device="cpu", runtime="torch").card
    with open_for_writing(library, create=True) as writer:
        encoder = writer.use_encoder(card)
        writer.use_root(Path("/simulated"))
        for images in simulated(count, card.dimension, mark_pool(photos)):
            writer.commit(encoder, encoded=images)
        _publish(writer)
    (library / "done").touch()


def _publish(writer: LibraryWriter) -> None:
    writer.publish(writer.default_encoder(), always=True)


def measure(library: Path, *, turned: bool) -> None:
    """Find all candidates; print what it took. Runs in a process of its own."""
    began = time.perf_counter()
    stages: list[tuple[str, float]] = []

    def note(what: str, _: int, __: int) -> None:
        if what not in {known for known, _ in stages}:
            stages.append((what, time.perf_counter() - began))
            print(f"{stages[-1][1]:.0f} s: {what}", file=sys.stderr, flush=True)

    with open_library(library) as reader:
        candidates = find_candidates(reader, Level.NEAR, turned=turned, progress=note)
        ids, _, _ = reader.fingerprints()
    seconds = time.perf_counter() - began
    copies = {
        int(ids[number])
        for number in range(COPY_EVERY, len(ids))
        if (number % AT_ONCE) % COPY_EVERY == 0 and number % AT_ONCE
    }
    proposed = set(zip(candidates.first.tolist(), candidates.second.tolist(), strict=True))
    found = sum((number - 1, number) in proposed for number in copies)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    ends = [*(start for _, start in stages[1:]), seconds]
    told = ", ".join(f"{what} {end - start:.0f} s" for (what, start), end in zip(stages, ends, strict=True))
    print(f"{len(ids):,} images: {seconds:.0f} s, {peak:.2f} GiB; {told}", flush=True)
    print(f"  {found} of {len(copies)} copies, {len(proposed) - found:,} other candidates", flush=True)


def main() -> None:
    """Fill and measure, for each number of images."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, action="append", help="how many (repeatable; default: 100,000)")
    parser.add_argument("--photos", type=Path, help="photos whose marks are drawn from")
    parser.add_argument("--transforms", action="store_true", help="look for mirrored and rotated copies too")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    work, arguments = parse_workplace(parser)
    if arguments.measure:
        measure(arguments.measure, turned=arguments.transforms)
        return
    print(machine_facts(), flush=True)
    for count in arguments.images or [100_000]:
        library = work.folder / f"simulated-{count}"
        fill(library, count, arguments.photos)
        command = [sys.executable, __file__, "--work", str(work.folder), "--measure", str(library)]
        subprocess.run([*command, *["--transforms"] * arguments.transforms], check=True)


if __name__ == "__main__":
    main()
