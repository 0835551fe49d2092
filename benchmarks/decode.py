"""Decoding large JPEGs: reduced-scale against full, in one run; and the pool against this process.

    python benchmarks/decode.py [--photos FOLDER] [--count 12] [--workers 2]

Without --photos it makes JPEGs of 12 megapixels and about 3 MB. Both ways end at the encoder's pixels, with
hashes and EXIF left out, so the ratio is that of decoding alone; the difference is of 255, over all pixels.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from indexer.decode import DecodePool, DecodeRules, decode_file
from indexer.opening import open_upright
from indexer.prepare import prepare
from indexer.records import DecodedImage, FoundFile, Pixels, Preprocessing
from indexer.scan import ScanRules, scan

VIT = Preprocessing(224, 224, "shortest", "bicubic", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 0)


def make_photos(folder: Path, count: int) -> None:
    """Write JPEGs with detail at every scale, as photos have."""
    for number in range(count):
        rng = np.random.default_rng(number)
        image = Image.new("RGB", (4000, 3000), "grey")
        for divisor, strength in ((1000, 0.6), (200, 0.4), (40, 0.3), (8, 0.15), (1, 0.10)):
            size = (max(2, 4000 // divisor), max(2, 3000 // divisor), 3)
            layer = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
            image = Image.blend(image, layer.resize(image.size, Image.Resampling.BICUBIC), strength)
        image.save(folder / f"{number}.jpg", quality=88)


def decode_fully(path: Path) -> Pixels:
    """Decode as a program would that knows nothing of reduced scales."""
    with Image.open(path) as image:
        return prepare(image.convert("RGB"), VIT)


def decode_reduced(path: Path) -> Pixels:
    """Decode as indexing does."""
    return prepare(open_upright(path.read_bytes(), target=(VIT.width, VIT.height))[0], VIT)


def compare(files: list[FoundFile]) -> None:
    """Time both ways alternately, so that a noisy neighbour disturbs both."""
    seconds: dict[str, list[float]] = {"full": [], "reduced": []}
    differences = []
    for file in files:
        results = []
        for name, decode in (("full", decode_fully), ("reduced", decode_reduced)):
            began = time.process_time()
            results.append(decode(file.path).astype(np.float32))
            seconds[name].append(time.process_time() - began)
        differences.append(float(np.abs(results[0] - results[1]).mean()))
    full, reduced = (statistics.median(seconds[name]) * 1000 for name in ("full", "reduced"))
    print(
        f"full {full:.0f} ms, reduced {reduced:.0f} ms of processor time an image: {full / reduced:.1f} times"
    )
    print(f"mean difference {statistics.mean(differences):.2f} of 255, worst {max(differences):.2f}")


def compare_pool(files: list[FoundFile], workers: int) -> None:
    """Time everything indexing does with a file, here and in the pool."""
    rules = DecodeRules(VIT)
    many = files * max(1, 400 // len(files))
    began = time.perf_counter()
    done = sum(isinstance(decode_file(file, rules), DecodedImage) for file in many)
    here = done / (time.perf_counter() - began)
    with DecodePool(rules, workers) as pool:
        list(pool.decode(files[: 2 * workers]))  # start the workers
        began, busy = time.perf_counter(), time.process_time()
        done = sum(isinstance(outcome, DecodedImage) for outcome in pool.decode(many))
        there = done / (time.perf_counter() - began)
        overhead = (time.process_time() - busy) / done * 1e6
    print(f"in this process {here:.0f} images/s; {workers} workers {there:.0f}: {there / here:.2f} times")
    print(f"the pool costs this process {overhead:.0f} microseconds an image")


def main() -> None:
    """Run both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.photos or Path(made)
        if arguments.photos is None:
            make_photos(folder, arguments.count)
        files = [found for found in scan(folder, ScanRules()) if isinstance(found, FoundFile)]
        print(f"{len(files)} files, {sum(file.size for file in files) / len(files) / 1e6:.2f} MB each")
        compare(files)
        compare_pool(files, arguments.workers)


if __name__ == "__main__":
    main()
