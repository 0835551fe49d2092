"""`sightline train`: fine-tune a model on pairs of images and texts."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import AnyPath, FiniteRange, device_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainer.checking import Checked
    from trainer.examples import Example
    from trainer.tuning.folder import RunFolder
    from trainer.tuning.kept_pairs import Source
    from trainer.tuning.settings import Method

METHODS = ("auto", "full", "lora", "head", "probe", "scratch", "pacl")

EPILOG = """\b
Examples:
  sightline train pairs.csv --from ViT-B-32/laion2b_s34b_b79k --out runs/parts
  sightline train pairs.csv --check
  sightline train photos/ --method head --out runs/mine
  sightline train birds/ --method probe --out runs/birds
  sightline train 'shards-{000..004}.tar' --method lora --batch 1024 --micro-batch 64 --out runs/shop
  sightline train pairs.csv --method scratch --from liteclip --out runs/new
  sightline train pairs.csv --out runs/parts --resume


PAIRS is a CSV, TSV, JSONL or Parquet file, tar shards, a folder of images with .txt files, folders
named by class, or a library's .sightline folder. They are looked through before anything is learned.

\b
Methods:
  head     the projections of both towers; minutes on a CPU        some dozens of pairs
  lora     small additions to both towers, merged in the end       from about 300
  full     both towers                                             from about 5,000
  probe    a classifier for folders named by class, beside the model as it was
  scratch  a new model: --from liteclip, small, or an open_clip architecture
  pacl     a head for patches, so that `highlight` points better; from about 1,000

RUN becomes a model: sightline index FOLDER --model RUN. docs/train.md goes through an example.
Several GPUs: torchrun --nproc-per-node 4 -m sightline train ...

\b
Exit codes: 0 done   2 the request is off   5 the model cannot be had   6 the disk is full
  7 the training cannot go on
"""


@click.command("train", epilog=EPILOG)
@click.argument("pairs", type=AnyPath())
@click.option(
    "--out", "folder", type=AnyPath(), metavar="RUN", help="The folder of the run; --check does without."
)
@click.option("--from", "model", metavar="MODEL", help="What to begin from.  [default: builtin]")
@click.option(
    "--method", type=click.Choice(METHODS), default="auto", show_default=True, help="What learns; see below."
)
@click.option("--val", "validation", type=AnyPath(), metavar="PAIRS", help="What to validate on.")
@click.option(
    "--val-share",
    type=click.FloatRange(0.01, 0.9),
    default=0.1,
    show_default=True,
    help="Without --val: the share of the images that is kept for it.",
)
@click.option(
    "--general", type=AnyPath(), metavar="PAIRS", help="Pairs of another kind, to see what is forgotten."
)
@click.option("--image-column", metavar="NAME", help="Which column of a table names the images.")
@click.option("--caption-column", metavar="NAME", help="Which column of a table holds the texts.")
@click.option(
    "--label-column", metavar="NAME", help="Which column of a table holds names of classes, instead."
)
@click.option("--check", is_flag=True, help="Only look the pairs through; --json tells what was found.")
@click.option(
    "--epochs",
    type=click.IntRange(1),
    help="Times that every image is seen.  [default: 10; head 40, scratch 30]",
)
@click.option(
    "--batch",
    "batch_size",
    type=click.IntRange(2),
    help="Images contrasted with one another, at most.  [default: 256; head 1024]",
)
@click.option(
    "--micro-batch",
    type=click.IntRange(1),
    help="Images computed at once; the gradient is the same, but for a new model that normalises by batch "
    "(small).",
)
@click.option(
    "--rate",
    type=FiniteRange(0, min_open=True),
    help="The highest learning rate; by default one of the method, see docs/train.md.",
)
@click.option(
    "--loss", type=click.Choice(["softmax", "sigmoid"]), help="CLIP's or SigLIP's.  [default: softmax]"
)
@click.option("--lora-rank", type=click.IntRange(1), help="Of the additions.  [default: 8]")
@click.option(
    "--flips/--no-flips",
    default=None,
    help="Mirror images by chance; not with left and right.  [default: with scratch alone]",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    help="Epochs without a gain before it ends.  [default: 3; head 10]",
)
@click.option("--no-blend", is_flag=True, help="Keep the trained weights, unmixed with those before.")
@click.option("--recompute", is_flag=True, help="Less memory for a third more time.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
    help="Numbers to compute in.  [default: auto]",
)
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Of all chance.  [default: 0]")
@device_option
@click.option("--resume", is_flag=True, help="Go on with the run in RUN.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def command(
    pairs: Path,
    folder: Path | None,
    model: str | None,
    method: str,
    validation: Path | None,
    val_share: float,
    general: Path | None,
    image_column: str | None,
    caption_column: str | None,
    label_column: str | None,
    check: bool,
    no_blend: bool,
    device: str,
    resume: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Fine-tune a model on images with texts, and say whether it helped."""
    from trainer.tuning.folder import RunFolder
    from trainer.tuning.running import Request, tune
    from trainer.tuning.settings import check_options

    from .. import show, train_report

    if folder is None and (resume or not check):
        raise click.UsageError("--out RUN is missing: the folder that the run is kept in")
    run = RunFolder(folder) if folder and resume else None
    if run:
        run.check_can_go_on()
    elif folder and not check:
        RunFolder(folder).check_is_free()
    asked = {**settings, "blend": False if no_blend else None, "recompute": settings["recompute"] or None}
    decided = _decided(method, run)
    begun = _model(model, method, run)
    seed = _seed(settings["seed"], begun, decided, run)
    if decided:
        check_options(decided, asked)
    is_cut = _cuts(begun, decided)
    columns = {"image_column": image_column, "caption_column": caption_column, "label_column": label_column}
    source = _source(pairs, validation, val_share, columns, seed)
    checked = (_kept(source, run) if run else None) or _check(source, is_cut)
    for line in train_report.checked_lines(checked):
        show.remark(line)
    if check and as_json:
        show.json_lines([_checked_dict(checked)])
    if check or folder is None:  # only --check does without a folder
        return
    chosen = decided or _chosen(len(checked.train), begun)
    request = Request(
        model=begun,
        method=chosen,
        train=checked.train,
        validation=checked.validation,
        folder=folder,
        asked=asked,
        general=_general(general, chosen) if general else (),
        device=device,
        resume=resume,
        source=source.digest(),
    )
    with train_report.progress() as watch:
        summary = tune(request, watch=watch, notify=show.remark)
    if summary is None:  # another process of the same training speaks
        return
    if as_json:
        show.json_lines([summary.as_dict()])
    else:
        show.raw("".join(f"{line}\n" for line in train_report.lines(summary)))


def _read(source: Path, columns: Mapping[str, str | None]) -> "tuple[Example, ...]":
    from trainer.sources import read_examples

    from .. import show

    reading = read_examples(source, **columns)
    for note in reading.notes:
        show.remark(f"{source}: {note}")
    return reading.examples


def _source(
    pairs: Path, validation: Path | None, share: float, columns: Mapping[str, str | None], seed: int
) -> "Source":
    from trainer.tuning.kept_pairs import Source

    examples = _read(pairs, columns)
    held_out = _read(validation, columns) if validation else None
    return Source(examples, held_out, share, seed)


def _checked_dict(checked: "Checked") -> dict[str, Any]:
    return {
        "train_images": len(checked.train),
        "validation_images": len(checked.validation),
        "findings": [asdict(finding) for finding in checked.findings],
    }


def _kept(source: "Source", run: "RunFolder") -> "Checked | None":
    """Give the pairs as a run found them, if it began with the same ones."""
    from trainer.checking import Checked
    from trainer.tuning.kept_pairs import read_pairs

    from .. import show

    parts = read_pairs(run.pairs, source.digest())
    if parts is None:
        return None
    show.remark("the pairs were looked through when the run began")
    return Checked(*parts, ())


def _check(source: "Source", is_cut: "Callable[[str], bool] | None") -> "Checked":
    from trainer.checking import check

    from ..progress import task

    with task() as update:
        return check(
            source.examples,
            validation=source.held_out,
            share=source.share,
            seed=source.seed,
            is_cut=is_cut,
            progress=update,
        )


def _general(pairs: Path, method: "Method") -> "tuple[Example, ...]":
    """Read what is forgotten by; one image that cannot be read must not cost a run."""
    from trainer.checking import leave_out_unreadable
    from trainer.tuning.settings import MEASURED_ON_GENERAL

    from .. import show
    from ..progress import task

    if method not in MEASURED_ON_GENERAL:
        show.remark(f"--general is left out: with the method {method} nothing can be forgotten")
        return ()
    examples = _read(pairs, {})
    with task() as update:
        kept, findings = leave_out_unreadable(examples, progress=update)
    for finding in findings:
        show.remark(f"{pairs}: {finding}")
    return kept


def _cuts(model: str, method: "Method | None") -> "Callable[[str], bool] | None":
    """Tell cut captions by the model's tokenizer; a model that is yet to be made has none.

    Raises EncoderUnknown, so that a misspelt one is told before the images are looked through.
    """
    from indexer.encoders.names import resolve
    from trainer.truncation import cuts_of
    from trainer.tuning.scratch import read_configuration, ready_names
    from trainer.tuning.settings import Method

    from .. import show

    if method is Method.SCRATCH:
        read_configuration(model)
        return None
    return None if model in ready_names() else cuts_of(resolve(model, show.remark), show.remark)


def _seed(asked: int | None, model: str, method: "Method | None", run: "RunFolder | None") -> int:
    """Give the seed that the pairs are split by, the same as of all other chance."""
    from trainer.tuning.scratch import asked_with_own
    from trainer.tuning.settings import Method

    if run:
        return run.begun().seed
    own = asked_with_own(model, {"seed": asked}) if method is Method.SCRATCH else {}
    return int(own.get("seed") or asked or 0)


def _decided(asked: str, run: "RunFolder | None") -> "Method | None":
    """Give the method, unless the number of images is to decide."""
    from trainer.tuning.settings import Method

    if run:
        begun = run.begun().method
        _check_went_on("method", begun, None if asked == "auto" else asked)
        return begun
    return None if asked == "auto" else Method(asked)


def _chosen(images: int, model: str) -> "Method":
    from trainer.tuning.choosing import choose_method

    from .. import show

    chosen = choose_method(images, model, show.remark)
    show.remark(f"method {chosen}, as for {images:,} images and {model}; --method chooses another")
    return chosen


def _model(asked: str | None, method: str, run: "RunFolder | None") -> str:
    """Name what is begun from; a run that is gone on with has said so."""
    if run:
        begun = run.begun().model
        if asked is not None and _canonical(asked, run) != _canonical(begun, run):
            _check_went_on("from", begun, asked)
        return begun
    return asked or ("small" if method == "scratch" else "builtin")


def _canonical(model: str, run: "RunFolder") -> str:
    """Give a name the form in which a run keeps it; runs of before kept it as it was typed."""
    from trainer.tuning.running import canonical_model

    return canonical_model(model, run.begun().method)


def _check_went_on(option: str, begun: str, asked: str | None) -> None:
    if asked not in (None, begun):
        raise click.UsageError(f"the run began with --{option} {begun}; leave --{option} out to go on")
