"""Regions: how well a model finds where things are, with chance and the picture's middle beside it.

    python benchmarks/regions.py FOLDER [--model NAME ...]

FOLDER holds photos with masks (trainer/region_measure.py tells the form). Settings were chosen on the photos
with even places in the order of names; so the others, and all, are printed apart. A model with a PACL head
beside it is measured with the head and without.
"""

import argparse
import sys
from pathlib import Path

from machine import machine_facts

from search.regions import load_highlighter
from sightline.regions_table import HEAD, rows, sentence
from trainer.region_measure import (
    PhotoOutcome,
    advantage,
    baselines,
    outcomes_of,
    read_region_set,
    summed_up,
)

WITHOUT = ", without its head"
HALVES = {"chosen on": slice(0, None, 2), "others": slice(1, None, 2), "all": slice(None)}


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description="Measure how well models find where things are.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", action="append", help="may be given several times; default: builtin")
    arguments = parser.parse_args()
    regions = read_region_set(arguments.folder)
    without_model = list(baselines(regions))
    outcomes = {}
    for model in arguments.model or ["builtin"]:
        highlighter = load_highlighter(model, notify=lambda line: print(line, file=sys.stderr))
        outcomes[highlighter.model] = list(outcomes_of(highlighter, regions))
        if highlighter.has_head:
            without = load_highlighter(model, with_head=False)
            outcomes[f"{without.model}{WITHOUT}"] = list(outcomes_of(without, regions))
    print(machine_facts())
    for name, part in HALVES.items():
        measured = [summed_up(model, found[part], without_model[part]) for model, found in outcomes.items()]
        print(f"\n| {name}: {measured[0].photos} photos {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
        for row in rows(measured):
            print(f"| {' | '.join(row)} |")
        for measurement in measured:
            print(sentence(measurement))
        for model, found in outcomes.items():
            if f"{model}{WITHOUT}" in outcomes:
                print(comparison(model, found[part], outcomes[f"{model}{WITHOUT}"][part]))


def comparison(model: str, with_head: list[PhotoOutcome], without: list[PhotoOutcome]) -> str:
    """Say whether the head points better, by a paired bootstrap over photos."""
    over = advantage([each.pointing for each in with_head], [each.pointing for each in without])
    return (
        f"{model}: pointing with the head is {over.difference:+.3f} over that without "
        f"({over.low:+.3f} to {over.high:+.3f}, p {over.p_value:.4f})"
    )


if __name__ == "__main__":
    main()
