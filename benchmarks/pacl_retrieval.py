"""Retrieval by PACL's compatibility beside plain cosines of whole images, on the same pairs.

    python benchmarks/pacl_retrieval.py PAIRS [--model NAME ...] [--classes FOLDER]

PAIRS is whatever `sightline train` takes. Each model is measured by the vectors of whole images, by its
patches as they are, and through the head beside it where there is one; "both" adds compatibility and cosine.
With a folder of classes, the share of its images whose class is named right is measured in the same ways, a
class being asked for by its bare name.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from machine import machine_facts
from numpy.typing import NDArray

from indexer.encoders.dense_loading import load_patch_encoder
from indexer.encoders.loading import load_encoder
from indexer.encoders.names import resolve
from indexer.encoders.patch_head import load_head
from search.regions_pacl import TEMPERATURE
from trainer.examples import Example, open_image
from trainer.pacl import embedder_of, scores_of_all
from trainer.patches import keep_patches
from trainer.questions import ClassQuestions, ask_for_classes
from trainer.sources import read_examples
from trainer.tuning.images import Images
from trainer.tuning.trainee import Trainee
from trainer.tuning.validation import Score, Validation


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description="Measure retrieval by PACL's compatibility.")
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--model", action="append", help="may be given several times; default: builtin")
    parser.add_argument("--classes", type=Path, help="images in folders named by class")
    arguments = parser.parse_args()
    examples = read_examples(arguments.pairs).examples
    print(machine_facts())
    print(f"\n| {len(examples):,} images | recall@1 | @5 | @10 | back@1 | median rank |\n|{'---|' * 6}")
    for model in arguments.model or ["builtin"]:
        trainee = Trainee.load(model, print)
        with closing(Validation(examples, Images(examples, trainee.preprocessing))) as validation:
            for name, score in scores(model, trainee, validation):
                figures = (score.recall_1, score.recall_5, score.recall_10, score.back_1)
                cells = [f"{value:.3f}" for value in figures]
                print(f"| {model}, {name} | {' | '.join(cells)} | {score.median_rank:.0f} |", flush=True)

    if arguments.classes:
        labelled = read_examples(arguments.classes).examples
        questions = ask_for_classes(labelled, {})
        print(f"\n| {len(labelled):,} images of {len(questions.names)} classes | top-1 |\n|---|---|")
        for model in arguments.model or ["builtin"]:
            for name, found in class_scores(model, labelled, questions):
                right = float(np.mean(found.argmax(axis=0) == questions.own))
                print(f"| {model}, {name} | {right:.3f} |", flush=True)


def class_scores(
    model: str, examples: Sequence[Example], questions: ClassQuestions
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Score all images with all class names in each way; (classes, images)."""
    whole = load_encoder(model, device="cpu")
    texts = whole.encode_texts(questions.names)
    blocks = (examples[start : start + 64] for start in range(0, len(examples), 64))
    images = np.concatenate([whole.encode_images([open_image(e.image) for e in block]) for block in blocks])
    yield from by_patches(model, examples, texts, texts @ images.T)


def by_patches(
    model: str, examples: Sequence[Example], texts: NDArray[np.float32], cosines: NDArray[np.float32]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Give scores (texts, images) in each way."""
    yield "whole images", cosines
    with tempfile.TemporaryDirectory() as folder:
        encoder = load_patch_encoder(model, device="cpu", with_head=False)
        patches = keep_patches(encoder, examples, Path(folder) / "patches")
        found = scores_of_all(patches, texts, TEMPERATURE)
        yield "patches", found
        yield "both", found + cosines
        if (head := load_head(resolve(model, print))) is not None:
            found = scores_of_all(patches, texts, head.card.temperature, head=embedder_of(head))
            yield "patches through the head", found
            yield "both, with the head", found + cosines


def scores(model: str, trainee: Trainee, validation: Validation) -> Iterator[tuple[str, Score]]:
    """Measure a model in each way."""
    images, texts = validation.vectors(trainee)
    for name, found in by_patches(model, validation.examples, texts, texts @ images.T):
        yield name, validation.score_matrix(found)


if __name__ == "__main__":
    main()
