"""The table of an evaluation: the figures of models side by side, in words and as plain values."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.bootstrap import COVERED, RESAMPLES, Estimate
from trainer.comparison import Comparison, Figure

from .amounts import plural
from .names import printable

if TYPE_CHECKING:
    from rich.table import Table

BETTER = "*"
LEGEND = f"{BETTER} better than every other model: the paired 95 % interval of the difference leaves out zero"


def short_names(names: Sequence[str]) -> list[str]:
    """Cut the folders off models that lie in one, where the names still differ without."""
    cut = [_last_part(name) for name in names]
    return [short if cut.count(short) == 1 else name for name, short in zip(names, cut, strict=True)]


def _last_part(name: str) -> str:
    architecture, mark, file = name.rpartition("@")
    return f"{architecture}{mark}{Path(file).name}" if Path(file).is_absolute() else name


def headings(comparison: Comparison) -> list[str]:
    """Give the titles of the columns."""
    names = short_names([model.card.name for model in comparison.models])
    return ["", "chance", *names, *(["change"] if len(names) == 2 else [])]


def cells(figure: Figure) -> list[str]:
    """Write a figure: its name, chance, each model's value with its interval, and the change between two."""
    told = [_told(estimate, figure.is_rank) for estimate in figure.estimates]
    marked = [f"{text} {BETTER if figure.best == place else ' '}" for place, text in enumerate(told)]
    changes = [_change(figure.changes[0], figure.is_rank)] if len(figure.estimates) == 2 else []
    return [figure.name, _number(figure.chance, figure.is_rank), *marked, *changes]


def _told(estimate: Estimate, is_rank: bool) -> str:
    value, low, high = (_number(part, is_rank) for part in asdict(estimate).values())
    return f"{value} ({low} to {high})"


def _number(value: float, is_rank: bool) -> str:
    return f"{value:,.1f}".removesuffix(".0") if is_rank else f"{value:.1%}"


def _change(estimate: Estimate, is_rank: bool) -> str:
    value, low, high = (_signed(part, is_rank) for part in asdict(estimate).values())
    return f"{value} ({low} to {high})"


def _signed(value: float, is_rank: bool) -> str:
    return f"{value:+,.1f}".removesuffix(".0") if is_rank else f"{100 * value:+.1f}"


def table(comparison: Comparison) -> "Table":
    """Make the table for a terminal."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for place, heading in enumerate(headings(comparison)):
        made.add_column(printable(heading), justify="right" if place else "left", overflow="fold")
    for figure in comparison.figures:
        row = cells(figure)
        if figure.best is not None:
            row[2 + figure.best] = f"[bold]{row[2 + figure.best]}[/]"
        made.add_row(*row)
    return made


def explanation(comparison: Comparison) -> Iterator[str]:
    """Say how to read the figures."""
    yield f"measured on {measured_on(comparison)}; in brackets the 95 % interval over images"
    if any(figure.best is not None for figure in comparison.figures):
        yield LEGEND
    elif len(comparison.models) > 1:
        yield "in no line is a model better than every other one: the paired 95 % intervals hold zero"


def warnings(comparison: Comparison) -> Iterator[str]:
    """Say what the figures do not."""
    yield from comparison.notes
    if comparison.unreadable:
        (name, reason), *_ = comparison.unreadable
        unread = plural(len(comparison.unreadable), "image")
        yield f"{unread} could not be read and were left out (first: {name}: {reason})"


def measured_on(comparison: Comparison) -> str:
    """Say how much was asked."""
    images = plural(len(comparison.examples), "image")
    if comparison.captions is not None:
        return f"{images} with {plural(len(comparison.captions.captions), 'caption')}"
    assert comparison.classes is not None
    return f"{images} of {len(comparison.classes.labels):,} classes"


def as_dict(comparison: Comparison, *, seed: int) -> dict[str, Any]:
    """Give all figures as plain values for JSON."""
    names = [model.card.name for model in comparison.models]
    captions, classes = comparison.captions, comparison.classes
    return {
        "images": len(comparison.examples),
        "captions": len(captions.captions) if captions else None,
        "classes": len(classes.labels) if classes else None,
        "seed": seed,
        "resamples": RESAMPLES,
        "covered": COVERED,
        "models": [
            {
                "name": model.card.name,
                "weights_hash": model.card.weights_hash,
                "dimension": model.card.dimension,
                "precision": model.card.precision,
                "images_per_second": round(model.images_per_second, 1),
            }
            for model in comparison.models
        ],
        "figures": [_figure_dict(figure, names) for figure in comparison.figures],
        "notes": list(comparison.notes),
        "unreadable": [{"image": name, "reason": reason} for name, reason in comparison.unreadable],
    }


def _figure_dict(figure: Figure, names: Sequence[str]) -> dict[str, Any]:
    return {
        "name": figure.name,
        "unit": "rank" if figure.is_rank else "share",
        "chance": figure.chance,
        "values": [asdict(estimate) for estimate in figure.estimates],
        "changes_from_first": [asdict(change) for change in figure.changes],
        "better": None if figure.best is None else names[figure.best],
    }
