"""Does relevance tell queries with an answer from queries without one?

    python benchmarks/relevance.py PAIRS_TAR [--model NAME]

PAIRS_TAR holds photos with captions (KEY.webp, KEY.json). Half of the photos are a library and their captions
are queries with an answer; texts about other things, none of them in indexer/background.py, are queries
without. Prints how often each kind is said to match, and the AUC of three figures of the best image: its
relevance, its plain cosine, and its height above the query's own mean. The captions of the other half stand
for queries of the same style whose photo is not there (but others like it may be).
"""

import argparse
import io
import json
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.background import UNRELATED_TEXTS, measure_background
from indexer.encoders.loading import load_encoder
from indexer.records import Vectors
from search.query import EncodedQuery, mix
from search.rank import RELEVANCE_MIN, measure_scale

QUERIES = 300
OTHER_TEXTS = (
    "a quarterly earnings slide with a pie chart", "the skeleton of a dinosaur in a museum",
    "a microscope slide of bacteria", "the cockpit of a jet airliner", "a chest x-ray",
    "a map of the london underground", "a screenshot of computer source code",
    "a galaxy photographed by a space telescope", "the surface of the planet mars",
    "a scuba diver among coral and fish", "a penguin colony on ice", "a whale breaching",
    "a medieval castle on a hill", "an egyptian pyramid in the desert",
    "a nuclear power plant cooling tower", "a newborn baby in an incubator", "a bowl of ramen with egg",
    "a wedding cake with white roses", "sushi on a wooden board",
    "a fighter jet taking off from an aircraft carrier", "a violin lying on sheet music",
    "a stack of gold coins", "a smartphone showing a map", "a robot arm welding a car", "a wind farm at sea",
    "a giraffe eating leaves", "an elephant bathing in a river", "a kitchen with a refrigerator and oven",
    "a laptop and a mouse on a desk", "a pizza with mushrooms", "asdf jkl qwer",
    "the square root of minus one", "inflation expectations in the euro area",
    "monday comes after wednesday", "lorem ipsum dolor", "a legal contract with signatures", "the letter q",
)  # fmt: skip


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description="Measure how well relevance tells matches from misses.")
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--model", default="builtin")
    arguments = parser.parse_args()
    images, captions = read_pairs(arguments.pairs)
    encoder = load_encoder(arguments.model, notify=print)
    half = len(images) // 2
    library = np.concatenate([encoder.encode_images(images[at : at + 64]) for at in range(0, half, 64)])
    background = measure_background(
        encoder.encode_texts(UNRELATED_TEXTS),
        library,
        lambda texts: library[(texts @ library.T).argmax(axis=1)],
        len(library),
    ).as_dict()
    measured = {
        "captions of these photos": measure(
            encoder.encode_texts(captions[:half][:QUERIES]), library, background
        ),
        "captions of other photos": measure(
            encoder.encode_texts(captions[half:][:QUERIES]), library, background
        ),
        "other things": measure(encoder.encode_texts(OTHER_TEXTS), library, background),
    }
    print(f"{arguments.model}, {len(library)} photos")
    for name, figures in measured.items():
        print(f"{name}: said to match {np.mean(figures['relevance'] >= RELEVANCE_MIN):.2f}")
    known, other = measured["captions of these photos"], measured["other things"]
    for figure in known:
        print(f"AUC by {figure}: {auc(known[figure], other[figure]):.3f}")


def read_pairs(file: Path) -> tuple[list[Image.Image], list[str]]:
    """Give the photos and the first caption of each."""
    images, captions = {}, {}
    with tarfile.open(file) as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is None:
                continue
            key, _, suffix = member.name.rpartition(".")
            if suffix == "webp":
                images[key] = Image.open(io.BytesIO(stream.read())).convert("RGB")
            elif suffix == "json":
                captions[key] = str(json.load(stream)["captions"][0])
    keys = sorted(images.keys() & captions.keys())
    return [images[key] for key in keys], [captions[key] for key in keys]


def measure(
    texts: Vectors, library: Vectors, background: dict[str, object]
) -> dict[str, NDArray[np.float64]]:
    """Give three figures of each text's best image."""
    found: dict[str, list[float]] = {"relevance": [], "cosine": [], "height above own mean": []}
    for text in texts:
        query = mix(EncodedQuery(text[None], np.ones(1, np.float32), np.zeros(1, bool), frozenset()), library)
        scores = library @ query.vector
        scale = measure_scale(query, library[scores.argmax()], library, background)
        found["relevance"].append(float(scale.relevance(scores.max()[None])[0]))
        found["cosine"].append(float(scores.max()))
        found["height above own mean"].append(float((scores.max() - scores.mean()) / scores.std()))
    return {name: np.array(values) for name, values in found.items()}


def auc(matches: NDArray[np.float64], misses: NDArray[np.float64]) -> float:
    """Give the chance that a match stands above a miss."""
    return float(np.mean(matches[:, None] > misses) + 0.5 * np.mean(matches[:, None] == misses))


if __name__ == "__main__":
    main()
