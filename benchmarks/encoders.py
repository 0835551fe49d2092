"""Encoders: how fast each runtime is here, and how close its vectors are to torch in float32.

    .venv/bin/python benchmarks/encoders.py builtin "ViT-B-32-256@$WORK/weights.pt"

The runtimes take turns in one run; speeds are medians. A cold query is a new process that encodes one text
and ends: what a text search needs besides opening the library.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

import numpy as np
from machine import machine_facts
from PIL import Image

from indexer.encoders.base import Encoder
from indexer.encoders.loading import load_encoder

RUNTIMES = ("torch", "openvino")
TEXTS = [f"a photo of {count} dogs on the beach at {hour} o'clock" for count in range(4) for hour in range(8)]
COLD_QUERY = """
import json, sys
from indexer.encoders.loading import load_text_encoder
from indexer.records import EncoderCard, Preprocessing
card = json.loads(sys.argv[1])
fields = card.pop("preprocessing").items()
preprocessing = Preprocessing(**{key: tuple(each) if type(each) is list else each for key, each in fields})
encoder = load_text_encoder(EncoderCard(preprocessing=preprocessing, **card))
encoder.encode_texts(["a dog on the beach"])
"""


def seconds(action: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def measure(name: str, images: list[Image.Image], rounds: int) -> None:
    """Print one model's rows of the table."""
    encoders: dict[str, Encoder] = {
        runtime: load_encoder(name, runtime=runtime, device="cpu") for runtime in RUNTIMES
    }
    vectors = {
        runtime: (each.encode_images(images), each.encode_texts(TEXTS)) for runtime, each in encoders.items()
    }
    times: dict[str, list[tuple[float, float]]] = {runtime: [] for runtime in RUNTIMES}
    for _ in range(rounds):
        for runtime, encoder in encoders.items():
            image_seconds = seconds(partial(encoder.encode_images, images))
            text_seconds = seconds(partial(encoder.encode_texts, TEXTS))
            times[runtime].append((image_seconds, text_seconds))
    for runtime, encoder in encoders.items():
        per_image, per_text = (statistics.median(column) for column in zip(*times[runtime], strict=True))
        pairs = zip(vectors[runtime], vectors["torch"], strict=True)
        cosine = min(float((one * other).sum(axis=1).min()) for one, other in pairs)
        print(
            f"| {name} | {runtime} {encoder.card.precision} | {len(images) / per_image:.1f} | "
            f"{len(TEXTS) / per_text:.0f} | {cosine:.6f} |"
        )
    card = json.dumps(asdict(encoders["openvino"].card))
    cold = [
        seconds(lambda: subprocess.run([sys.executable, "-c", COLD_QUERY, card], check=True))
        for _ in range(rounds)
    ]
    print(f"{name}: cold query {statistics.median(cold):.2f} s ({min(cold):.2f} to {max(cold):.2f})")


def main() -> None:
    """Read the arguments and measure each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    images = [
        Image.fromarray(generator.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize((320, 240))
        for _ in range(arguments.images)
    ]
    print(machine_facts())
    print("| model | runtime | images/s | texts/s | least cosine to torch float32 |\n|---|---|---|---|---|")
    for name in arguments.models:
        measure(name, images, arguments.rounds)


if __name__ == "__main__":
    main()
