"""`sightline eval`: how well models find and name the images of a set, side by side."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..progress import task
from .options import AnyPath, device_option, html_option

if TYPE_CHECKING:
    from rich.table import Table

    from indexer.encoders.base import Encoder
    from indexer.encoders.dense import PatchEncoder
    from trainer.comparison import Choices, Comparison
    from trainer.examples import Example

PIPE_COLUMNS = 160

EPILOG = """\b
Examples:
  sightline eval pairs-test.csv
  sightline eval pairs-test.csv --model builtin --model runs/parts
  sightline eval pairs-test.csv --model builtin --model runs/parts --html changes.html
  sightline eval birds/ --model runs/birds --templates templates.txt
  sightline eval pairs-test.csv --parts
  sightline eval masks/ --regions --model builtin
  sightline eval birds-test/ --probe-train birds/ --json | jq '.figures[] | .name, .values'


PAIRS is a CSV, TSV, JSONL or Parquet file, tar shards, a folder of images with .txt files, folders
named by class, or a library's .sightline folder. It must hold nothing that a model was trained on:
`sightline leaks` finds what does.

Captions are measured by retrieval, each way: is the right picture (text) among the first 1, 5, 10, and
at which rank does it stand. Where all images have classes, they are measured by naming them from the
class names alone (zero-shot), and with --probe-train by a linear classifier on the vectors.

\b
With --parts each model is measured twice: as it is, and with the parts of each image compared too, as
`sightline search --parts` does (PACL; through the model's head if it has one).

\b
In brackets: the 95 % interval, by drawing the images again a thousand times. A model is marked * when
it beats every other one by more than such draws explain. chance: what blind guessing gets.
docs/eval.md tells how to read it.

With --regions PAIRS is a folder of ID.jpg, ID.png (a mask whose values are class ids) and classes.yaml;
docs/regions.md tells the figures.
"""


@click.command("eval", epilog=EPILOG)
@click.argument("pairs", type=AnyPath())
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="A model (repeatable); the first is compared with the others.  [default: builtin]",
)
@click.option("--image-column", metavar="NAME", help="Which column of a table names the images.")
@click.option("--caption-column", metavar="NAME", help="Which column of a table holds the texts.")
@click.option("--classes", is_flag=True, help="The captions are names of classes.")
@click.option(
    "--class-names",
    type=AnyPath(),
    metavar="FILE",
    help='JSON of labels and names: {"n02084071": "dog"}.',
)
@click.option(
    "--templates",
    type=AnyPath(),
    metavar="FILE",
    help="Sentences for class names beside ours, one a line: a {} in snow.",
)
@click.option("--only-templates", is_flag=True, help="Only the sentences of --templates, without ours.")
@click.option(
    "--probe-train", type=AnyPath(), metavar="PAIRS", help="Train a linear classifier on these images."
)
@click.option("--parts", is_flag=True, help="Measure each model by the parts of images, too (PACL).")
@click.option("--regions", is_flag=True, help="PAIRS is a folder of photos with masks: where are things?")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the draws of images.")
@device_option
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object with all figures; with --regions one a model."
)
@html_option
def command(
    pairs: Path,
    models: tuple[str, ...],
    image_column: str | None,
    caption_column: str | None,
    classes: bool,
    class_names: Path | None,
    templates: Path | None,
    only_templates: bool,
    probe_train: Path | None,
    parts: bool,
    regions: bool,
    seed: int,
    device: str,
    as_json: bool,
    html: Path | None,
) -> None:
    """Measure models on pairs of images and texts, side by side."""
    models = models or ("builtin",)
    if regions:
        _refuse_beside_regions(
            {
                "--image-column": image_column,
                "--caption-column": caption_column,
                "--classes": classes,
                "--class-names": class_names,
                "--templates": templates,
                "--only-templates": only_templates,
                "--probe-train": probe_train,
                "--parts": parts,
                "--html": html,
                "--seed": seed,
            }
        )
        _measure_regions(pairs, models, device, as_json)
        return
    from trainer.comparison import Choices
    from trainer.templates import read_class_names

    from .. import show

    _check_models(models)
    sentences = _templates(templates, alone=only_templates)
    notes: list[str] = []
    examples = _read(pairs, image_column, caption_column, notes)
    choices = Choices(
        templates=sentences,
        class_names=read_class_names(class_names) if class_names else {},
        captions_are_names=classes,
        probe_train=_read(probe_train, image_column, caption_column, notes) if probe_train else (),
        seed=seed,
    )
    for note in notes:
        show.remark(note)
    comparison = _compared(examples, models, choices, device, parts=parts)
    _tell(comparison, seed=seed, as_json=as_json, html=html, pairs=pairs)


def _compared(
    examples: "Sequence[Example]", models: Sequence[str], choices: "Choices", device: str, *, parts: bool
) -> "Comparison":
    from trainer.comparison import compare

    with task() as update:
        encoders = _load(models, device)
        patches = _load_patches([each.card.name for each in encoders], device) if parts else ()
        return compare(examples, encoders, choices, update, parts=patches)


def _tell(comparison: "Comparison", *, seed: int, as_json: bool, html: Path | None, pairs: Path) -> None:
    from .. import eval_table, show

    if as_json:
        show.json_lines([eval_table.as_dict(comparison, seed=seed)])
    else:
        _show(eval_table.table(comparison))
    if html:
        from ..eval_page import eval_page

        show.write_html(eval_page(comparison, pairs), html)
    for line in (*eval_table.explanation(comparison), *eval_table.warnings(comparison)):
        show.remark(line)


def _refuse_beside_regions(options: Mapping[str, object]) -> None:
    from indexer.errors import UsageError

    if given := [name for name, value in options.items() if value]:
        raise UsageError(
            f"--regions measures where things are, {given[0]} belongs to pairs of images and texts; "
            "leave one of them out"
        )


def _measure_regions(folder: Path, models: Sequence[str], device: str, as_json: bool) -> None:
    from rich.table import Table

    from search.regions import load_highlighter
    from trainer.region_measure import measure_regions, read_region_set

    from .. import regions_table, show

    photos = read_region_set(folder)
    with task() as update:
        highlighters = (load_highlighter(name, device=device, notify=show.remark) for name in models)
        found = [measure_regions(each, photos, partial(update, each.model)) for each in highlighters]
    if as_json:
        show.json_lines(map(regions_table.as_dict, found))
    else:
        table = Table(*regions_table.HEAD)
        for row in regions_table.rows(found):
            table.add_row(*row)
        _show(table)
    for measurement in found:
        show.remark(regions_table.sentence(measurement))


def _check_models(names: Sequence[str]) -> None:
    """Find a misspelt name before anything is read or loaded."""
    from indexer.encoders.loading import AUTO
    from indexer.encoders.names import canonical, resolve
    from indexer.errors import UsageError

    from .. import show

    known: set[str] = set()
    for name in names:
        if name != AUTO:
            resolve(name, show.remark)
        if canonical(name) in known:
            raise UsageError(f"--model {name} is given twice; a model is compared with another one")
        known.add(canonical(name))


def _read(
    pairs: Path, image_column: str | None, caption_column: str | None, notes: list[str]
) -> "Sequence[Example]":
    from trainer.sources import read_examples

    reading = read_examples(pairs, image_column=image_column, caption_column=caption_column)
    notes += [f"{pairs}: {note}" for note in reading.notes]
    return reading.examples


def _templates(file: Path | None, *, alone: bool) -> tuple[str, ...]:
    """Give our sentences and those of the file, each once; alone: those of the file."""
    from indexer.errors import UsageError
    from trainer.templates import ENSEMBLE, read_templates

    if alone and file is None:
        raise UsageError("--only-templates leaves no sentences; give yours with --templates FILE")
    own = read_templates(file) if file else ()
    return own if alone else tuple(dict.fromkeys((*ENSEMBLE, *own)))


def _load(names: Sequence[str], device: str) -> "list[Encoder]":
    """Load all models first, so that one that cannot run is told before an hour of encoding."""
    from indexer.encoders.loading import load_encoder

    from .. import show

    return [load_encoder(name, device=device, notify=show.remark) for name in names]


def _load_patches(names: Sequence[str], device: str) -> "list[PatchEncoder]":
    from indexer.encoders.dense_loading import load_patch_encoder

    from .. import show

    return [load_patch_encoder(name, device=device, notify=show.remark) for name in names]


def _show(table: "Table") -> None:
    from rich.console import Console

    # A pipe has no width of its own, and a row broken in two is hard to read by a program or in a log.
    Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS).print(table)
