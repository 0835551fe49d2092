"""Progress: live bars on stderr while something long goes on; on no terminal there are none."""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .amounts import duration
from .names import printable

if TYPE_CHECKING:
    from indexer.pipeline import Progress
    from search.duplicates.proposing import Progress as Update


@contextmanager
def indexing(*, quiet: bool = False) -> "Iterator[tuple[Callable[[Progress], None], Callable[[str], None]]]":
    """Give what shows the progress and the notices of an indexing run; quiet: nothing does."""
    from . import show

    if sys.stderr.isatty() and not quiet:
        with _index_bar() as callbacks:
            yield callbacks
    else:
        yield (lambda _: None), ((lambda _: None) if quiet else show.remark)


@contextmanager
def task(*, quiet: bool = False) -> "Iterator[Update]":
    """Give what shows what is done, how much of it, of how much; quiet: nothing does."""
    if not sys.stderr.isatty() or quiet:
        yield lambda *_: None
        return
    with _task_bar() as update:
        yield update


@contextmanager
def _index_bar() -> "Iterator[tuple[Callable[[Progress], None], Callable[[str], None]]]":
    """Show a live bar on stderr; give what feeds it, and what prints a notice above it."""
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[done]}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[pace]}"),
        TextColumn("{task.fields[left]}", style="dim"),
    )
    with Bar(*columns, console=console, transient=True, expand=True) as bar:
        task = bar.add_task("index", total=None, done="getting ready", pace="", left="")
        pace = _Pace()

        def on_progress(progress: "Progress") -> None:
            words: dict[str, Any] = pace.fields(progress)
            bar.update(task, total=progress.total, completed=progress.done, **words)

        yield on_progress, lambda text: console.print(printable(text), markup=False, highlight=False)


@contextmanager
def _task_bar() -> "Iterator[Callable[[str, int, int], None]]":
    """Show a live bar on stderr; give what feeds it: what is done, how much of it, of how much."""
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("getting ready", total=None)

        def update(what: str, done: int, total: int) -> None:
            if what != bar.tasks[0].description:
                bar.reset(task)  # the pace of what was done before tells nothing about this
            bar.update(task, description=what, completed=done, total=total or None)

        yield update


class _Pace:
    """Turns progress into words; the pace is that of the last seconds, so it follows a slow disk."""

    SECONDS = 15.0

    def __init__(self) -> None:
        self._past: deque[tuple[float, int, int]] = deque()  # seconds, done, indexed

    def fields(self, progress: "Progress") -> dict[str, str]:
        self._past.append((progress.seconds, progress.done, progress.indexed))
        while len(self._past) > 2 and progress.seconds - self._past[0][0] > self.SECONDS:
            self._past.popleft()
        seconds, done, indexed = self._past[0]  # the first of all is no pace: the model was loading
        span = progress.seconds - seconds
        of = f" of {progress.total:,}" if progress.total is not None else ""
        skipped = f", {progress.skipped:,} skipped" if progress.skipped else ""
        return {
            "done": f"{progress.done:,}{of}{skipped}",
            "pace": f"{(progress.indexed - indexed) / span:.0f} images/s" if span > 0 else "",
            "left": _time_left(progress, (progress.done - done) / span if span > 0 else 0.0),
        }


def _time_left(progress: "Progress", files_per_second: float) -> str:
    if progress.total is None or files_per_second <= 0:
        return ""
    if progress.done >= progress.total:
        return "finishing"
    return f"{duration((progress.total - progress.done) / files_per_second)} left"
