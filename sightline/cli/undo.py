"""`sightline undo`: put back what a run of actions took away."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import library_option, library_path

if TYPE_CHECKING:
    from indexer.actions.journal import Run
    from indexer.actions.records import Outcome
    from indexer.errors import JournalUnreadable

EPILOG = """\b
Examples:
  sightline undo
  sightline undo --list
  sightline undo --run 20261121T101502Z

Without --run it is the newest run that is not undone yet. Nothing is overwritten: a file whose place is taken
stays where it is, is told, and can be put back by the same command later. What was deleted stays deleted.

\b
Exit codes: 0 all is back, or there was nothing to undo   1 some files are not back, with the reasons
  2 no such run, or one that deleted   3 the library cannot be used   4 another process acts on its files
"""


@click.command("undo", epilog=EPILOG)
@click.option(
    "--list", "list_runs", is_flag=True, help="Show the runs: name, time, action, files, size, state."
)
@click.option("--run", "name", metavar="NAME", help="Undo this run, as --list calls it.")
@library_option
@click.pass_context
def command(ctx: click.Context, list_runs: bool, name: str | None, library: Path | None) -> None:
    """Put back what a run of actions took away."""
    place = library_path(library)

    from .. import show

    if list_runs:
        _list(place)
        return
    run = _choose(place, name)
    if run is None:
        show.remark("there is nothing left to undo")
        return
    if not _undo(run):
        ctx.exit(1)


def _list(library: Path) -> None:
    from indexer.actions.journal import runs

    from .. import show

    unreadable: list[JournalUnreadable] = []
    found = runs(library, unreadable.append)
    for run in found:
        click.echo("\t".join(_columns(run)))
    for problem in unreadable:
        _tell_unreadable(problem)
    if not found and not unreadable:
        show.remark("no actions on files yet")


def _columns(run: "Run") -> tuple[str, ...]:
    from ..amounts import file_size, plural

    files = plural(len(run.touched), "file")
    size = file_size(sum(entry.size for entry in run.touched))
    when = f"{run.started.astimezone():%Y-%m-%d %H:%M}"
    return run.name, when, run.action, files, size, run.state


def _choose(library: Path, name: str | None) -> "Run | None":
    from indexer.actions.journal import find_run
    from indexer.actions.records import Action
    from indexer.errors import DeletedForGood

    run = _newest(library) if name is None else find_run(library, name)
    if run is None or not run.pending:
        return None
    if run.action is Action.DELETE:
        raise DeletedForGood(run.name, len(run.pending))
    return run


def _newest(library: Path) -> "Run | None":
    """Give the newest run to undo, past journals that cannot be read; without any, raise for these."""
    from indexer.actions.journal import newest_to_undo

    unreadable: list[JournalUnreadable] = []
    run = newest_to_undo(library, unreadable.append)
    if run is None and unreadable:
        raise unreadable[0]  # something may be left to undo: not to be passed over
    for problem in unreadable:
        _tell_unreadable(problem)
    return run


def _tell_unreadable(problem: "JournalUnreadable") -> None:
    from .. import show

    show.remark(f"{problem.path}: passed over, not a journal that can be read ({problem.reason})")


def _undo(run: "Run") -> bool:
    """Undo a run and tell of each file; give whether all is back.

    It goes to the end even when nobody reads what it says any more: files come before words.
    """
    lines = _Lines()
    back = left = gone = size = 0
    for outcome in _with_progress(run):
        is_back = _is_back(outcome)
        lines.write(_line(outcome))
        gone += outcome.is_gone
        back, left, size = back + is_back, left + (not is_back and not outcome.is_gone), size + outcome.size
    _sum_up(run, back, left, gone, size)
    lines.raise_problem()
    return not left and not gone


class _Lines:
    """Lines on stdout, as long as that takes them."""

    def __init__(self) -> None:
        self._problem: OSError | None = None

    def write(self, line: str) -> None:
        from .. import show

        if self._problem is None:
            try:
                show.raw(f"{line}\n")
            except OSError as problem:
                self._problem = problem

    def raise_problem(self) -> None:
        """Raise what stopped the lines, for its exit code; do nothing when all were written."""
        if self._problem is not None:
            raise self._problem


def _is_back(outcome: "Outcome") -> bool:
    from indexer.actions.records import Result

    return outcome.result is not Result.REFUSED


def _line(outcome: "Outcome") -> str:
    """Say what became of a file."""
    from ..names import printable

    result = "restored" if _is_back(outcome) else "not restored"
    return "\t".join(filter(None, [result, printable(outcome.path), printable(outcome.reason)]))


def _sum_up(run: "Run", back: int, left: int, gone: int, size: int) -> None:
    from .. import show
    from ..amounts import file_size, plural

    show.remark(f"{plural(back, 'file')} of the run {run.name} ({run.action}) put back, {file_size(size)}")
    if back:
        show.remark("the next `sightline index` finds them again, without decoding them anew")
    if gone:
        show.remark(
            f"{plural(gone, 'file')} no longer in the trash, so nothing can be put back from there; "
            "only a backup of your own may still have them"
        )
    if left:
        show.remark(f"{plural(left, 'file')} not put back, see the reasons; the same command tries again")
    if left or gone:
        show.remark(
            "another run is undone by its name: `sightline undo --list`, then `sightline undo --run NAME`"
        )


def _with_progress(run: "Run") -> "Iterator[Outcome]":
    """Undo, with a bar on stderr where that is a terminal that the results do not go to."""
    from indexer.actions.undo import undo

    if sys.stdout.isatty() or not sys.stderr.isatty():
        yield from undo(run)
        return
    with click.progressbar(undo(run), length=len(run.pending), label="undoing", file=sys.stderr) as outcomes:
        yield from outcomes
