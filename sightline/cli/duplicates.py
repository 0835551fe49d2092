"""`sightline duplicates`: find copies of images, and do something about them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .finding import find, question_options, to_question
from .options import AnyPath, html_option, library_option, library_path

if TYPE_CHECKING:
    from search.duplicates.finder import DuplicateReport

FOUND = 11  # exit code: there are duplicates

EPILOG = """\b
Examples:
  sightline duplicates
  sightline duplicates --html report.html
  sightline duplicates --level exact --paths -0 | xargs -0 ls -l
  sightline duplicates --in ~/Pictures/2024 --transforms --json > groups.jsonl
  sightline duplicates --protect ~/Pictures/albums --apply trash
  sightline undo

\b
Levels, each with those before it: exact (the same bytes), pixel (the same pixels in another
file), near (resized, recompressed, recoloured, cropped a little, marked), similar (the same
scene: bursts). Every file of a group is a duplicate of the kept one itself.
Nothing is touched without --apply.

\b
Exit codes: 0 none found   11 duplicates found (with --apply: some were left alone)
  1 failed   2 wrong option   3 the library does not allow it   130 Ctrl-C
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
    question: Any,
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
    _confirm_deleting(action, yes)
    place = library_path(library)

    from .. import groups, show

    report = find(question, place)
    if as_json:
        show.json_lines(groups.group_dict(group) for group in report.groups)
    elif as_csv:
        show.raw(groups.csv_text(report.groups))
    elif paths or null:
        members = (member.image.path for group in report.groups for member in group.members)
        show.paths(members, end=b"\0" if null else b"\n")
    else:
        show.raw("".join(f"{line}\n" for line in groups.group_lines(report)))
    if html:
        show.write_duplicates_page(report, to_question(question), place, html)
    show.remark(groups.summary(report))
    left = report.members
    if action and report.groups:
        left = _act(report, action, destination, place)
    sys.exit(FOUND if left else 0)


def _confirm_deleting(action: str | None, yes: bool) -> None:
    """Ask twice: deleting is the one action that cannot be undone."""
    if action != "delete" or yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("--apply delete cannot be undone; without a terminal to ask on it needs --yes")
    click.confirm("Delete the duplicates for good, not into the trash?", abort=True, err=True)
    if click.prompt("Type `delete` to go on", err=True) != "delete":
        raise click.Abort


def _act(report: "DuplicateReport", action: str, destination: Path | None, place: Path) -> int:
    """Do it, tell of what was left alone, and count that."""
    from indexer.actions.apply import apply
    from indexer.actions.records import Action, Removal, Result

    from .. import show
    from ..names import file_size, plural

    removals = [
        Removal(
            path=member.image.path,
            sha256=member.image.content_hash,
            keeper=group.keep.path,
            keeper_sha256=group.keep.content_hash,
            relative=member.image.relative,
        )
        for group in report.groups
        for member in group.members
    ]
    done = refused = freed = 0
    for outcome in apply(removals, Action(action), library=place, destination=destination):
        if outcome.result is Result.REFUSED:
            refused += 1
            show.remark(f"{outcome.path}: left alone: {outcome.reason}")
        else:
            done += outcome.result is Result.DONE
            freed += outcome.bytes_freed
            if outcome.reason:
                show.remark(f"{outcome.path}: {outcome.reason}")
    undo = "" if action == "delete" or not done else "; `sightline undo` takes it back"
    show.remark(f"{action}: {plural(done, 'file')} ({file_size(freed)}), {refused:,} left alone{undo}")
    return refused
