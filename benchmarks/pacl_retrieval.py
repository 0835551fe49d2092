"""Retrieval by PACL's compatibility beside plain cosines of whole images, on the same pairs.

    python benchmarks/pacl_retrieval.py PAIRS [--model NAME ...]

PAIRS is whatever `sightline train` takes. Each model is measured by the vectors of whole images, by its
patches as they are, and through the head beside it where there is one; "both" adds compatibility and cosine.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from machine import machine_facts

from indexer.encoders.dense_loading import load_patch_encoder
from indexer.encoders.names import resolve
from indexer.encoders.patch_head import load_head
from search.regions_pacl import TEMPERATURE
from trainer.pacl import embedder_of, scores_of_all
from trainer.sources import read_examples
from trainer.tuning.images import Images
from trainer.tuning.patches import keep_patches
from trainer.tuning.trainee import Trainee
from trainer.tuning.validation import Score, Validation


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description="Measure retrieval by PACL's compatibility.")
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--model", action="append", help="may be given several times; default: builtin")
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


def scores(model: str, trainee: Trainee, validation: Validation) -> Iterator[tuple[str, Score]]:
    """Measure a model in each way."""
    images, texts = validation.vectors(trainee)
    cosines = texts @ images.T
    yield "whole images", validation.score_vectors(images, texts)
    with tempfile.TemporaryDirectory() as folder:
        encoder = load_patch_encoder(model, device="cpu", with_head=False)
        patches = keep_patches(encoder, validation.examples, Path(folder) / "patches")
        found = scores_of_all(patches, texts, TEMPERATURE)
        yield "patches", validation.score_matrix(found)
        yield "both", validation.score_matrix(found + cosines)
        if (head := load_head(resolve(model, print))) is not None:
            found = scores_of_all(patches, texts, head.card.temperature, head=embedder_of(head))
            yield "patches through the head", validation.score_matrix(found)
            yield "both, with the head", validation.score_matrix(found + cosines)


if __name__ == "__main__":
    main()
