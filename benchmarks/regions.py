"""Regions: how well a model finds where things are, with chance and the picture's middle beside it.

    python benchmarks/regions.py FOLDER [--model NAME ...]

FOLDER holds photos with masks (trainer/region_measure.py tells the form). Settings were chosen on the photos
with even places in the order of names; so the others, and all, are printed apart.
"""

import argparse
import sys
from pathlib import Path

from machine import machine_facts

from search.regions import load_highlighter
from sightline.regions_table import HEAD, rows, sentence
from trainer.region_measure import baselines, outcomes_of, read_region_set, summed_up

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
    print(machine_facts())
    for name, part in HALVES.items():
        measured = [summed_up(model, found[part], without_model[part]) for model, found in outcomes.items()]
        print(f"\n| {name}: {measured[0].photos} photos {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
        for row in rows(measured):
            print(f"| {' | '.join(row)} |")
        for measurement in measured:
            print(sentence(measurement))


if __name__ == "__main__":
    main()
