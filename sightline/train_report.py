"""The trainer's words: what it found in the pairs, a live bar while it learns, and what came of it."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .amounts import duration, plural
from .names import printable

if TYPE_CHECKING:
    from trainer.checking import Checked
    from trainer.examples import Example
    from trainer.tuning.learning import Moment
    from trainer.tuning.running import Summary
    from trainer.tuning.validation import Score

VALIDATION_FEW = 20  # images


def checked_lines(checked: "Checked") -> Iterator[str]:
    """Say what there is to learn from, the sizes first, and what was found on the way."""
    yield f"{_size(checked.train)} to learn from; {_size(checked.validation)} to validate on"
    few = len(checked.validation)
    if 0 < few < VALIDATION_FEW:
        yield f"{plural(few, 'image')} to validate on: of so few, one moves a figure by much"
    yield from map(str, checked.findings)


def _size(examples: "Sequence[Example]") -> str:
    captions = sum(len(example.captions) for example in examples)
    classes = {example.label for example in examples} - {None}
    of_classes = f" of {len(classes):,} classes" if classes else ""
    return f"{plural(len(examples), 'image')}{of_classes} with {plural(captions, 'caption')}"


@contextmanager
def progress() -> "Iterator[Callable[[Moment], None]]":
    """Show a live bar on stderr; give what feeds it. Without a terminal: a line for each epoch."""
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("getting ready", total=None, left="")
        told = 0

        def watch(moment: "Moment") -> None:
            nonlocal told
            left = f"{duration(moment.seconds_left)} left"
            bar.update(task, description=_now(moment), completed=moment.step, total=moment.steps, left=left)
            if moment.score is not None and moment.step * moment.epochs >= moment.epoch * moment.steps > told:
                told = moment.epoch * moment.steps
                console.print(printable(_epoch(moment)), highlight=False, markup=False, soft_wrap=True)

        yield watch


def _now(moment: "Moment") -> str:
    speed = f"{moment.images_per_second:.0f} images/s"
    if moment.preparing:
        return f"{moment.preparing}: {moment.step:,} of {moment.steps:,} images, {speed}"
    return f"step {moment.step:,} of {moment.steps:,}, loss {moment.loss:.3f}, {speed}"


def _epoch(moment: "Moment") -> str:
    assert moment.score is not None
    return f"epoch {moment.epoch} of {moment.epochs}: loss {moment.loss:.3f}, {_recalls(moment.score)}"


def _recalls(score: "Score") -> str:
    recalls = f"{score.recall_1:.3f} / {score.recall_5:.3f} / {score.recall_10:.3f}"
    return f"recall@1/5/10 {recalls} on {plural(score.images, 'held-out image')}"


def lines(summary: "Summary") -> Iterator[str]:
    """Say what came of a run."""
    if summary.before is not None:
        yield f"before: {_recalls(summary.before)}"
    if summary.probe is not None:
        by_texts, by_probe = summary.probe
        yield f"held-out images named right: {by_texts:.1%} by the class names, {by_probe:.1%} by the probe"
        yield f"the probe is in {summary.folder / 'probe.npz'}: weights, intercepts, classes"
        yield f"{summary.folder} is the model as it was, with the probe beside it"
        return
    yield f"after:  {_recalls(summary.after)}"
    if summary.whole is not None:
        yield from _patch_lines(summary)
        return
    if summary.before is not None and not summary.epochs:
        yield "no epoch was better than the model before: it was kept as it is"
    if summary.general is not None:
        was, now = summary.general
        yield f"general: recall@10 {was.recall_10:.3f} before, {now.recall_10:.3f} after"
    if summary.blends and summary.epochs:
        yield _blend_line(summary)
    use = f"sightline index FOLDER --model {shlex.quote(str(summary.folder))}"
    yield f"{summary.folder} is a model now: {use}"


def _patch_lines(summary: "Summary") -> Iterator[str]:
    assert summary.whole is not None
    yield f"(by patches, each text with weights of its own; by whole images: {_recalls(summary.whole)})"
    if not summary.epochs:
        yield "no epoch was better than the patches as they are: no head was written"
        return
    use = f"sightline highlight PHOTO TEXT --model {shlex.quote(str(summary.folder))}"
    yield f"{summary.folder} is the model with a head: {use}"


def _blend_line(summary: "Summary") -> str:
    if summary.alpha == 0:
        return "no mixture with what was learned is better than the model before: that is what was kept"
    return f"kept: {summary.alpha:.0%} of the way from the weights before to those learned (WiSE-FT)"
