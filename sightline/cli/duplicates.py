"""`sightline duplicates`: find copies of images, and do something about them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..progress import task
from .finding import FOUND, Asked, find, question_options
from .options import AnyPath, html_option, library_option, library_path

if TYPE_CHECKING:
    from indexer.actions.records import Action, Outcome
    from search.duplicates.finder import DuplicateReport

EPILOG = """\b
Examples:
  sightline duplicates
  sightline duplicates --html report.html
  sightline duplicates --level exact --paths -0 | xargs -0r ls -l
  sightline duplicates --in ~/Pictures/2024 --transforms --json > groups.jsonl
  sightline duplicates --protect ~/Pictures/albums --apply trash
  sightline undo

\b
Levels, each with those before it: exact (the same bytes), pixel (the same pixels in another
file), near (resized, recompressed, recoloured, cropped a little, framed, marked), similar (the
same scene: bursts, and what the encoder finds much alike). Every file of a group is a duplicate
of the kept one itself; at similar its copies go with a picture. With --keep
best, no file goes for a copy that shows less of it, for one without its colours, transparency or
depth, for a smaller one in a protected folder, for one that was marked or blurred where they
differ, or for one without its date, camera, place, words, further views or XMP file; no RAW
negative goes for what was developed from it. No whole file ever goes for a damaged one.
Nothing is touched without --apply. --apply delete asks twice once it is known what would go,
leaves alone a file with the only XMP sidecar, and does not go with --level similar.

\b
Exit codes: 0 none found, hard links alone, or --apply did all
  11 duplicates found (with --apply: some were left alone)
  1 failed   2 wrong option   3 the library does not allow it   4 another process is writing
  6 the disk is full   130 Ctrl-C
"""


@click.command("duplicates", epilog=EPILOG)
@question_options
@click.option(
    "--apply",
    "action",
    type=click.Choice(["trash", "move", "hardlink", "symlink", "delete"]),
    help="Do this to the duplicates.",
)
@click.option("--to", "destination", type=AnyPath(), metavar="FOLDER", help="Where --apply move puts them.")
@click.option("--yes", is_flag=True, help="Do not ask before --apply delete.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a group and line.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV, one file a row.")
@click.option("--paths", is_flag=True, help="Only the paths of what could go, one a line.")
@click.option("-0", "--null", is_flag=True, help="The same, each ended by a zero byte, for xargs -0.")
@html_option
@library_option
def command(
    asked: Asked,
    action: str | None,
    destination: Path | None,
    yes: bool,
    as_json: bool,
    as_csv: bool,
    paths: bool,
    null: bool,
    html: Path | None,
    library: Path | None,
) -> None:
    """Find copies of images; nothing is touched without --apply."""
    if as_json + as_csv + (paths or null) > 1:
        raise click.UsageError("--json, --csv and --paths exclude each other")
    if (action == "move") != (destination is not None):
        raise click.UsageError("--apply move needs --to FOLDER, and nothing else has a use for it")
    if yes and action != "delete":
        raise click.UsageError("--yes answers what --apply delete asks, and nothing else has a use for it")
    _check_deleting(action, yes, level=asked.level)
    place = library_path(library)

    from .. import groups, show

    report = find(asked, place)
    if report.not_kept:
        show.remark(report.not_kept)
    if html:  # before the lines, since `| head` ends the command with the pipe
        from ..duplicates_page import duplicates_page

        show.write_html(duplicates_page(report, asked.question(), place), html)
    if as_json:
        show.json_lines(groups.group_dict(group) for group in report.groups)
    elif as_csv:
        show.raw(groups.csv_text(report.groups))
    elif paths or null:
        members = (member.image.path for group in report.groups for member in group.members)
        show.paths(members, end=b"\0" if null else b"\n")
    else:
        show.raw("".join(f"{line}\n" for line in groups.group_lines(report)))
    show.remark(groups.summary(report))
    left = report.worth_acting_on
    if action and report.groups and _may_act(action, yes, report):
        left = _act(report, action, destination, place)
    sys.exit(FOUND if left else 0)


def _check_deleting(action: str | None, yes: bool, *, level: str) -> None:
    if action != "delete":
        return
    if level == "similar":
        raise click.UsageError(
            "--apply delete cannot be undone, and pictures of one scene are different pictures: use "
            "--apply trash, or --level near"
        )
    if not (yes or sys.stdin.isatty()):
        raise click.UsageError("--apply delete cannot be undone; without a terminal to ask on it needs --yes")


def _may_act(action: str, yes: bool, report: "DuplicateReport") -> bool:
    """Ask twice, once it is known what would go: deleting is the one action that cannot be undone."""
    from .. import show
    from ..amounts import file_size, plural

    if action != "delete" or yes:
        return True
    what = f"{plural(report.members, 'file')} ({file_size(report.freed)})"
    try:
        if click.confirm(f"Delete {what} for good, not into the trash?", err=True) and (
            click.prompt("Type `delete` to go on", err=True) == "delete"
        ):
            return True
    except click.Abort:  # Ctrl-C, which click would tell as if something had been broken off
        show.remark("nothing was deleted")
        raise KeyboardInterrupt from None
    show.remark("nothing was deleted")
    return False


def _act(report: "DuplicateReport", action: str, destination: Path | None, place: Path) -> int:
    """Do it, tell of what was left alone, and count that."""
    from indexer.actions.apply import apply
    from indexer.actions.records import Action
    from indexer.errors import LibraryBusy, SightlineError
    from search.duplicates.removals import plan_removals

    from .. import show
    from ..amounts import plural

    removals, other_bytes = plan_removals(report.groups, Action(action))
    if other_bytes:
        show.remark(
            f"{plural(other_bytes, 'file')} left alone: not the same bytes as the kept file, so that a link "
            "would change what they show"
        )
    outcomes = apply(removals, Action(action), library=place, destination=destination, links=_links_in(place))
    done = _Done(Action(action))
    try:
        with task() as update:
            for outcome in outcomes:
                done.take(outcome)
                update(action, done.files, len(removals))
    except LibraryBusy:  # told at once, before any file's turn
        raise
    except (KeyboardInterrupt, SightlineError, OSError):
        done.tell_stopped()
        raise
    refused = done.tell(other_bytes)
    if destination is not None:
        _warn_of_return(destination, place)
    return refused


class _Done:
    """What was done so far, and what is to be told of it after the bar."""

    def __init__(self, action: "Action") -> None:
        from indexer.actions.records import Result

        self._action = action
        self._counts = dict.fromkeys(Result, 0)
        self._freed = 0
        self._lines: list[str] = []

    @property
    def files(self) -> int:
        """Count the files whose turn has been."""
        return sum(self._counts.values())

    def take(self, outcome: "Outcome") -> None:
        """Take down what became of a file."""
        from indexer.actions.records import Result

        self._counts[outcome.result] += 1
        self._freed += outcome.bytes_freed
        if outcome.reason:
            left = "left alone: " if outcome.result is Result.REFUSED else ""
            self._lines.append(f"{outcome.path}: {left}{outcome.reason}")

    def tell(self, other_bytes: int) -> int:
        """Tell of all, and count what was left alone."""
        from indexer.actions.records import Result

        from .. import show

        refused = self._counts[Result.REFUSED] + other_bytes
        said = [self._count(), f"{refused:,} left alone"]
        if already := self._counts[Result.ALREADY]:
            said.append(f"{already:,} are links to the kept file, which take no room")
        way_back = _way_back(self._action) if self._counts[Result.DONE] else ""
        self._tell_lines()
        show.remark(f"{self._action}: {', '.join(said)}{way_back}")
        return refused

    def tell_stopped(self) -> None:
        """Tell how far it went before it was broken off."""
        from .. import show

        self._tell_lines()
        show.remark(f"{self._action}: stopped after {self._count()}{_way_back(self._action)}")

    def _count(self) -> str:
        from indexer.actions.records import Result

        from ..amounts import file_size, plural

        return f"{plural(self._counts[Result.DONE], 'file')} ({file_size(self._freed)})"

    def _tell_lines(self) -> None:
        from .. import show

        for line in self._lines:
            show.remark(line)


def _way_back(action: "Action") -> str:
    """Say how what was done is taken back, if it can be."""
    from indexer.actions import trash
    from indexer.actions.records import Action

    if action is Action.DELETE:
        return ""
    if action is Action.TRASH and not trash.CAN_TELL:
        return "; they are in the system's trash, and can be put back from there"
    return "; `sightline undo` takes it back"


def _links_in(place: Path) -> list[Path]:
    """Give the library's symbolic links: what they lead to must stay."""
    from indexer.store.library import open_library
    from search.duplicates.finder import all_images

    with open_library(place) as reader:
        copies = all_images(reader).values()
    return [image.path for images in copies for image in images if image.path.is_symlink()]


def _warn_of_return(destination: Path, place: Path) -> None:
    from indexer.actions.destination import destination_is_indexed
    from indexer.store.library import open_library

    from .. import show

    with open_library(place) as reader:
        if destination_is_indexed(Path.cwd() / destination, reader.roots()):
            show.remark(
                f"{destination} lies in an indexed folder: the next `sightline index` takes them in again"
            )
