"""`sightline dedup-list`: what to keep of a collection, for programs that read lists of files."""

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..progress import task
from .finding import Asked, check_any, fill_in, find, not_compared, question_options
from .options import library_option, library_path

if TYPE_CHECKING:
    from indexer.store.records import StoredImage

EPILOG = """\b
Examples:
  sightline dedup-list > keep.txt
  sightline dedup-list --drop --level exact -0 > drop.list
  sightline dedup-list --transforms --keep oldest --in train > train-keep.txt
  sightline dedup-list --groups --level similar > groups.tsv

One path a line: each file that has no copies, and of each group of copies the one kept. Files that are gone
or changed since they were indexed are left out, and so are links to pictures that are listed anyway.
--groups: before splitting data, keep what has the same number on one side. A chain of likenesses is one
group there, and the bar is looser than for dropping, as that of `leaks`.
Exit codes: 0 also when nothing is to be dropped.
"""


@click.command("dedup-list", epilog=EPILOG)
@question_options
@click.option("--drop", is_flag=True, help="List what to drop instead.")
@click.option(
    "--groups",
    "as_groups",
    is_flag=True,
    help="List all files, each after the number of its group and a tab.",
)
@click.option("-0", "--null", is_flag=True, help="End each path by a zero byte.")
@library_option
def command(asked: Asked, drop: bool, as_groups: bool, null: bool, library: Path | None) -> None:
    """List what to keep of a collection, one file of each group of copies."""
    if drop and as_groups:
        raise click.UsageError("--groups lists all files, so there is nothing for --drop to choose")
    if as_groups and (asked.protect or asked.reference):
        raise click.UsageError("--groups gives nothing up; leave --protect and --reference out")
    place = library_path(library)
    if as_groups:
        _list_groups(asked, place, b"\0" if null else b"\n")
        return

    from indexer.store.library import open_library
    from search.duplicates.finder import all_images

    from .. import groups, show

    report = find(asked, place)
    if report.not_kept:
        show.remark(report.not_kept)
    dropped = {member.image.path for group in report.groups for member in group.members}
    left_out = ""
    if drop:
        listed = sorted(dropped)
    else:
        with open_library(place) as reader:
            images = all_images(reader, asked.folder)
        listed, left_out = _to_keep(images, dropped)
    show.paths(listed, end=b"\0" if null else b"\n")
    if left_out:
        show.remark(left_out)
    show.remark(groups.summary(report))


def _list_groups(asked: Asked, place: Path, end: bytes) -> None:
    from indexer.store.library import open_library
    from search.duplicates.together import stay_together

    from .. import show
    from ..amounts import plural

    with task() as update:
        fill_in(place, update)
        with open_library(place) as reader:
            found = stay_together(reader, asked.question(), progress=update)
            notes = reader.warnings
    check_any(len(found.groups), asked.folder)
    for line in (*notes, *not_compared(found.unreadable)):
        show.remark(line)
    groups = sorted(paths for files in found.groups if (paths := sorted(_there(files))))
    show.numbered_paths(enumerate(groups, start=1), end=end)
    larger = [paths for paths in groups if len(paths) > 1]
    show.remark(f"{plural(sum(map(len, larger)), 'file')} in {plural(len(larger), 'group')} of more than one")


def _to_keep(images: "Mapping[int, Sequence[StoredImage]]", dropped: Set[Path]) -> tuple[list[Path], str]:
    """Give what to keep, sorted, and in words what was left out besides the duplicates."""
    from ..amounts import plural

    there = {content: list(_there(copies)) for content, copies in images.items()}
    gone = sum(map(len, images.values())) - sum(map(len, there.values()))
    pictures = {content: _pictures(paths) for content, paths in there.items()}
    links = sum(map(len, there.values())) - sum(map(len, pictures.values()))
    files = [paths for each in pictures.values() for paths in _entries(each) if not dropped & {*paths}]
    listed = [first for first, *_ in files]
    others = sum(map(len, files)) - len(listed)
    said = [f"{plural(gone, 'file')} gone or changed since indexing"] if gone else []
    said += [f"{plural(links, 'link')} to pictures that are in the library anyway"] if links else []
    said += [f"{plural(others, 'further path')} to files that are listed"] if others else []
    return sorted(listed), f"left out: {', '.join(said)}" if said else ""


def _there(copies: "Sequence[StoredImage]") -> Iterator[Path]:
    """Yield the files that still are what was indexed."""
    for image in copies:
        with suppress(OSError):
            if image.is_as_indexed():
                yield image.path


def _pictures(paths: Sequence[Path]) -> list[Path]:
    """Leave out links among files of the same bytes: they are one picture with what they lead to.

    Where there are links alone, to one outside of what was asked about, the first stands for it.
    """
    files = [path for path in paths if not path.is_symlink()]
    return files or sorted(paths)[:1]


def _entries(paths: Sequence[Path]) -> list[list[Path]]:
    """Put together the paths to one file in one folder: a linked folder leads to it, or a second mount."""
    from indexer.actions.checks import same_entry
    from indexer.paths import identity_of

    if len(paths) < 2:
        return [list(paths)] if paths else []
    found: dict[tuple[int, int] | str, list[list[Path]]] = {}
    for path in sorted(paths):
        known = found.setdefault(identity_of(path) or path.name.casefold(), [])
        same = next((entry for entry in known if same_entry(path, entry[0])), None)
        if same is None:
            known.append([path])
        else:
            same.append(path)
    return [entry for known in found.values() for entry in known]
