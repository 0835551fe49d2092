"""Removed: which files of a library are gone since Sightline itself took them away."""

from collections.abc import Sequence
from pathlib import Path

from indexer.actions.journal import runs

GONE = "gone since it was indexed; `sightline index` takes it out"


def without_removed(library: Path, problems: Sequence[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """Leave out files that are gone as asked: an action took them away, and nothing put them back."""
    if not any(reason == GONE for _, reason in problems):
        return list(problems)
    # A journal that cannot be read is told by `undo`; here it costs a line too many.
    removed = {entry.path for run in runs(library, lambda _: None) for entry in run.pending}
    return [(path, reason) for path, reason in problems if reason != GONE or path not in removed]
