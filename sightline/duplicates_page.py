"""The page of duplicates: groups as one HTML file that holds its images and needs no network."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path

from PIL import Image

from indexer.store.files import LIBRARY_NAME
from indexer.store.records import StoredImage
from search.duplicates.finder import DuplicateReport, Question
from search.duplicates.records import Group, Level, Member

from .amounts import file_size, plural
from .cards import (
    LEGEND,
    WORDS,
    base_card,
    compared_card,
    long_side,
    member_line,
    note_of_rest,
    rest,
    tag,
    totals,
)
from .markup import filled, link, shown, table, unfolding
from .thumbnails import thumbnails

PICTURED_GROUPS = 200  # with images; the others are listed
PICTURED_MEMBERS = 24  # of a group


def duplicates_page(report: DuplicateReport, question: Question, library: Path) -> str:
    """Write the groups as HTML, those that free most first."""
    folder = question.folder or (library.parent if library.name == LIBRARY_NAME else library)
    return filled(
        "cards.html",
        title=f"Duplicates in {shown(folder)}",
        asked=shown(" · ".join(_asked(question, library))),
        totals=_totals(report),
        levels=_levels(report, question.level),
        remarks="\n".join(_remarks(report)),
        legend=LEGEND if report.groups else "",
        sections="\n".join(_sections(report.groups[:PICTURED_GROUPS])),
        rest=_rest(report.groups[PICTURED_GROUPS:]),
    )


def _asked(question: Question, library: Path) -> Iterator[str]:
    """Say what was looked for, where and when."""
    yield f"library {library}"
    yield f"level {question.level.value}"
    yield f"keeps the {question.keep.value}"
    if question.protected:
        yield f"protected: {', '.join(str(folder) for folder in question.protected)}"
    if question.reference:
        yield f"only what is in {question.reference} already"
    if question.turned:
        yield "mirrored and rotated copies too"
    yield f"as of {datetime.now():%Y-%m-%d %H:%M}"


def _totals(report: DuplicateReport) -> str:
    return totals(
        {
            "groups": f"{len(report.groups):,}",
            "files could go": f"{report.members:,}",
            "would be free": file_size(report.freed),
            "files looked at": f"{report.files:,}",
        }
    )


def _levels(report: DuplicateReport, loosest: Level) -> str:
    members = [member for group in report.groups for member in group.members]
    rows = []
    for level in list(Level)[: loosest.rank + 1]:
        sizes = [member.image.size for member in members if member.level is level]
        rows.append((tag(level.value), WORDS[level], f"{len(sizes):,}", file_size(sum(sizes))))
    return table(("level", "what it says", "files", "bytes"), rows)


def _remarks(report: DuplicateReport) -> Iterator[str]:
    if not report.groups:
        yield f'<p class="remark">No duplicates among {plural(report.files, "file")}.</p>'
    yield note_of_rest("groups", PICTURED_GROUPS, len(report.groups))
    if report.unreadable:
        items = (f"{link(path)} {shown(reason)}" for path, reason in report.unreadable)
        yield unfolding(f"{plural(len(report.unreadable), 'file')} could not be compared", items)


def _sections(groups: Sequence[Group]) -> Iterator[str]:
    paths = [image.path for group in groups for image in _pictured(group)]
    images = thumbnails(paths, long_side(len(paths)))
    for number, group in enumerate(groups, 1):
        yield _section(number, group, list(islice(images, len(_pictured(group)))))


def _pictured(group: Group) -> list[StoredImage]:
    return [group.keep, *(member.image for member in group.members[:PICTURED_MEMBERS])]


def _section(number: int, group: Group, images: Sequence[Image.Image | None]) -> str:
    keep, *others = images
    cards = [base_card(group.keep, keep, "KEEP")]
    cards += [
        compared_card(member, group.keep, image, flips=keep is not None)
        for member, image in zip(group.members, others, strict=False)  # those beyond are listed
    ]
    could_go = f"{plural(len(group.members), 'file')} could go, {file_size(group.freed)}"
    return (
        f'<section id="group-{number}"><h2><b>{number}</b> {tag(group.level.value)} {could_go}</h2>'
        f'<div class="cards" data-base="KEEP">{"".join(cards)}</div>'
        f"{_more(group.members[PICTURED_MEMBERS:])}</section>"
    )


def _more(members: Sequence[Member]) -> str:
    return unfolding(f"and {len(members):,} more", map(member_line, members)) if members else ""


def _rest(groups: Sequence[Group]) -> str:
    rows = [_row(number, group) for number, group in enumerate(groups, PICTURED_GROUPS + 1)]
    return rest(("", "level", "keep", "could go", "bytes"), rows)


def _row(number: int, group: Group) -> tuple[str, ...]:
    could_go = "<br>".join(link(member.image.path) for member in group.members)
    keep = link(group.keep.path)
    return str(number), tag(group.level.value), keep, could_go, file_size(group.freed)
