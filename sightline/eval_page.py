"""The page of an evaluation: which queries got better and worse, with pictures, as one HTML file."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainer.comparison import Comparison
from trainer.examples import Example, open_image
from trainer.metrics import Answers
from trainer.questions import CaptionQuestions, ClassQuestions

from .cards import ASPECT_MAX, ASPECT_MIN, totals
from .eval_table import cells, explanation, headings, short_names, warnings
from .markup import MISSING, data_uri, filled, shown, table

PICTURED = 30  # queries that got better, and as many that got worse
LONG_SIDE = 320  # pixels, of a picture
TOP = 10  # ranks that a person looks through


@dataclass(frozen=True)
class _Seen:
    """A picture on the page, with what is said of it."""

    example: Example
    role: str
    lines: tuple[str, ...] = ()
    is_right: bool = False
    is_asked: bool = False  # the picture that the query is about


@dataclass(frozen=True)
class _Block:
    """Pictures under a heading."""

    heading: str
    remark: str
    pictures: tuple[_Seen, ...]


@dataclass(frozen=True)
class _Sides:
    """The first and the last model, or the only one: their names, and what they answered."""

    names: tuple[str, ...]
    answers: tuple[Answers, ...]

    def moved(self, row: int) -> str:
        """Tell a query's rank before and after."""
        return " → ".join(f"{answers.ranks[row]:,}" for answers in self.answers)

    def gains(self) -> NDArray[np.float64]:
        """Tell by what factor each query's rank improved, as a logarithm; (m,)."""
        first, last = self.answers[0].ranks, self.answers[-1].ranks
        return np.asarray(np.log(first) - np.log(last), dtype=np.float64)


def eval_page(comparison: Comparison, pairs: Path) -> str:
    """Write the figures, and the queries that differ most between the first and the last model, as HTML.

    Of a single model, the queries that it answers worst.
    """
    sides = _sides(comparison)
    models = [f"{model.card.name} ({model.card.weights_hash[:12]})" for model in comparison.models]
    blocks = list(_blocks(comparison, sides))
    pictures = _thumbnails([seen.example for block in blocks for seen in block.pictures])
    return filled(
        "cards.html",
        title=f"Evaluation on {shown(pairs.name)}: {' → '.join(map(shown, sides.names))}",
        asked=shown(" · ".join([*models, f"as of {datetime.now():%Y-%m-%d %H:%M}"])),
        totals=_totals(comparison, sides),
        levels=_figures(comparison),
        remarks="\n".join(f'<p class="remark">{shown(line)}</p>' for line in warnings(comparison)),
        legend="".join(f'<p class="legend">{shown(line)}</p>' for line in explanation(comparison)),
        sections="\n".join(_section(block, list(islice(pictures, len(block.pictures)))) for block in blocks),
        rest="",
    )


def _sides(comparison: Comparison) -> _Sides:
    names = short_names([model.card.name for model in comparison.models])
    chosen = (0, -1) if len(names) > 1 else (0,)
    answers = [comparison.models[place].classes or comparison.models[place].texts for place in chosen]
    return _Sides(tuple(names[place] for place in chosen), tuple(one for one in answers if one is not None))


def _totals(comparison: Comparison, sides: _Sides) -> str:
    told = {"images": len(comparison.examples)}
    if comparison.captions is not None:
        told["captions"] = len(comparison.captions.captions)
    if comparison.classes is not None:
        told["classes"] = len(comparison.classes.labels)
    if len(sides.names) > 1:
        told |= _moves(comparison, *(answers.ranks for answers in sides.answers))
    return totals({label: f"{count:,}" for label, count in told.items()})


def _moves(comparison: Comparison, before: NDArray[np.int64], after: NDArray[np.int64]) -> dict[str, int]:
    what, top = ("captions", TOP) if comparison.captions is not None else ("images", 1)
    place = f"the first {top}" if top > 1 else "first place"
    moves = {
        f"{what} rank better": after < before,
        "worse": after > before,
        f"came to {place}": (after <= top) & (before > top),
        f"fell from {place}": (after > top) & (before <= top),
    }
    return {label: int(chosen.sum()) for label, chosen in moves.items()}


def _figures(comparison: Comparison) -> str:
    rows = ([shown(cell) for cell in cells(figure)] for figure in comparison.figures)
    return table([shown(heading) for heading in headings(comparison)], rows)


# -- which queries -----------------------------------------------------------------------------------


def _blocks(comparison: Comparison, sides: _Sides) -> Iterator[_Block]:
    captions, classes = comparison.captions, comparison.classes
    for heading, rows in _chosen(comparison, sides):
        if captions is not None:
            yield _Block(heading, f"{len(rows):,} captions, one of a picture; the largest change first", ())
            yield from (_caption_block(comparison.examples, captions, sides, row) for row in rows)
        if classes is not None:
            seen = tuple(_named(comparison.examples[row], classes, sides, row) for row in rows)
            yield _Block(heading, f"{len(rows):,} images, the largest change first", seen)


def _chosen(comparison: Comparison, sides: _Sides) -> list[tuple[str, list[int]]]:
    images = np.arange(len(comparison.examples))
    owners = comparison.captions.owners if comparison.captions is not None else images
    if len(sides.names) == 1:
        return [("Ranked worst", _one_an_image(np.log(sides.answers[0].ranks), owners))]
    gains = sides.gains()
    return [("Got better", _one_an_image(gains, owners)), ("Got worse", _one_an_image(-gains, owners))]


def _one_an_image(gains: NDArray[np.float64], owners: NDArray[np.int64]) -> list[int]:
    """Give the queries of the largest gains, one of each image so that none fills the page."""
    chosen: dict[int, int] = {}
    for row in np.argsort(-gains, kind="stable").tolist():
        if gains[row] <= 0 or len(chosen) == PICTURED:
            break
        chosen.setdefault(int(owners[row]), row)
    return list(chosen.values())


def _caption_block(examples: Sequence[Example], asked: CaptionQuestions, sides: _Sides, row: int) -> _Block:
    """Show a caption's own picture, and beside it what each model put first."""
    rights = set(asked.links.answers[asked.links.queries == asked.text_of[row]].tolist())
    own = _Seen(examples[int(asked.owners[row])], "the right picture", is_asked=True)
    found = (
        _Seen(
            examples[int(answers.nearest[row])],
            f"first of {name}",
            (f"the right picture is at rank {answers.ranks[row]:,}",),
            is_right=int(answers.nearest[row]) in rights,
        )
        for name, answers in zip(sides.names, sides.answers, strict=True)
    )
    return _Block(asked.captions[row], f"rank {sides.moved(row)}", (own, *found))


def _named(example: Example, asked: ClassQuestions, sides: _Sides, row: int) -> _Seen:
    """Show a picture with what each model took it for."""
    lines = (
        f"{name}: {asked.names[int(answers.nearest[row])]}"
        for name, answers in zip(sides.names, sides.answers, strict=True)
    )
    right = asked.names[int(asked.own[row])]
    return _Seen(example, right, (*lines, f"rank of the right class: {sides.moved(row)}"), is_asked=True)


# -- markup ------------------------------------------------------------------------------------------


def _section(block: _Block, pictures: Sequence[Image.Image | None]) -> str:
    figures = "".join(map(_figure, block.pictures, pictures))
    cards = f'<div class="cards">{figures}</div>' if figures else ""
    return f"<section><h2><b>{shown(block.heading)}</b> {shown(block.remark)}</h2>{cards}</section>"


def _figure(seen: _Seen, picture: Image.Image | None) -> str:
    aspect = picture.width / picture.height if picture else 1.0
    style = f"--aspect: {min(max(aspect, ASPECT_MIN), ASPECT_MAX):.3f}"
    name = shown(seen.example.image.member or seen.example.image.path.name)
    inside = f'<img src="{data_uri(picture)}" alt="{name}">' if picture else MISSING
    role = f'<span class="tag{" keep" if seen.is_asked else ""}">{shown(seen.role)}</span>'
    right = '<span class="tag exact">right</span>' if seen.is_right else ""
    lines = "".join(f'<p class="reason">{shown(line)}</p>' for line in seen.lines)
    return (
        f'<figure class="{"base" if seen.is_asked else "compared"}" style="{style}">'
        f'<div class="picture">{inside}</div>'
        f'<figcaption>{role}{right}{lines}<span class="path"><span>{name}</span></span></figcaption>'
        "</figure>\n"
    )


def _thumbnails(examples: Sequence[Example]) -> Iterator[Image.Image | None]:
    with ThreadPoolExecutor(thread_name_prefix="thumbnail") as threads:
        yield from threads.map(_thumbnail, examples)


def _thumbnail(example: Example) -> Image.Image | None:
    try:
        image = open_image(example.image, target=(LONG_SIDE, LONG_SIDE))
    except Exception:  # it was there when it was measured; if it is gone since, its place says so
        return None
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    return image
