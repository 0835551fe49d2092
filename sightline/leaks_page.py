"""The page of leaks: pairs of test and training images as one HTML file that needs no network."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from PIL import Image

from search.duplicates.leaks import Leak, LeakReport
from search.duplicates.records import Level, Member

from .amounts import plural
from .cards import LEGEND, WORDS, base_card, compared_card, long_side, note_of_rest, rest, tag, totals
from .markup import filled, link, shown, table
from .thumbnails import thumbnails

PICTURED_PAIRS = 200  # the others are listed


def leaks_page(report: LeakReport, train: Path, test: Path, *, skipped: int) -> str:
    """Write the pairs as HTML, the strictest level first; skipped: files that were not compared."""
    return filled(
        "cards.html",
        title=f"Leaks: what of {shown(test)} is in {shown(train)}",
        asked=f"as of {datetime.now():%Y-%m-%d %H:%M}",
        totals=_totals(report),
        levels=_levels(report),
        remarks="\n".join(_remarks(report, skipped)),
        legend=LEGEND if report.leaks else "",
        sections="\n".join(_sections(report.leaks[:PICTURED_PAIRS])),
        rest=_rest(report.leaks[PICTURED_PAIRS:]),
    )


def _totals(report: LeakReport) -> str:
    told = {
        "test files leak": sum(report.counts().values()),
        "pairs": len(report.leaks),
        "test files": report.test_files,
        "training files": report.train_files,
    }
    return totals({label: f"{count:,}" for label, count in told.items()})


def _levels(report: LeakReport) -> str:
    rows = (
        (tag(level), WORDS[Level(level)], f"{count:,}", f"{count / max(report.test_files, 1):.1%}")
        for level, count in report.counts().items()
    )
    return table(("level", "what it says", "test files", "of all"), rows)


def _remarks(report: LeakReport, skipped: int) -> Iterator[str]:
    if not report.leaks:
        compared = f"{report.test_files:,} test with {plural(report.train_files, 'training file')}"
        yield f'<p class="remark">No leaks: compared {compared}.</p>'
    yield note_of_rest("pairs", PICTURED_PAIRS, len(report.leaks))
    if skipped:
        files = plural(skipped, "file")
        yield f'<p class="remark">Not compared: {files}, not there, no picture or not to be read.</p>'


def _sections(leaks: Sequence[Leak]) -> Iterator[str]:
    paths = [image.path for leak in leaks for image in (leak.test, leak.train)]
    images = thumbnails(paths, long_side(len(paths)))
    for number, leak in enumerate(leaks, 1):
        yield _section(number, leak, next(images), next(images))


def _section(number: int, leak: Leak, test: Image.Image | None, train: Image.Image | None) -> str:
    member = Member(leak.test, leak.level, leak.confidence, leak.evidence, leak.reason)
    return (
        f'<section id="pair-{number}"><h2><b>{number}</b> {tag(leak.level.value)}</h2>'
        f'<div class="cards" data-base="TRAIN">'
        f"{compared_card(member, leak.train, test, flips=train is not None, role='TEST')}"
        f"{base_card(leak.train, train, 'TRAIN')}</div></section>"
    )


def _rest(leaks: Sequence[Leak]) -> str:
    rows = [_row(number, leak) for number, leak in enumerate(leaks, PICTURED_PAIRS + 1)]
    return rest(("", "level", "test", "train", "why"), rows)


def _row(number: int, leak: Leak) -> tuple[str, ...]:
    level, why = tag(leak.level.value), shown(leak.reason)
    return str(number), level, link(leak.test.path), link(leak.train.path), why
