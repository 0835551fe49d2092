"""Leaving out: settle what an indexing run leaves out of its folders, and tell what that changes."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import UsageError
from .store.excludes import (
    Exclude,
    get_excludes,
    placed,
    put_excludes,
    replaced,
    said_around,
    said_within,
    without_empty,
)
from .store.names import real
from .store.writer import LibraryWriter

NAMED_MAX = 3  # folders, or groups of patterns, that a notice names


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a run leaves out, and where its folders lie for what was said of folders."""

    excludes: tuple[Exclude, ...]
    places: dict[Path, Path]


def clear_patterns(patterns: Iterable[str], *, no_exclude: bool) -> tuple[str, ...]:
    """Drop empty patterns; raise UsageError for patterns beside `no_exclude`."""
    clear = without_empty(patterns)
    if clear and no_exclude:
        raise UsageError("exclude and no_exclude exclude each other: give one of them")
    return clear


def settle_left_out(
    writer: LibraryWriter,
    folders: Iterable[Path],
    patterns: Sequence[str],
    *,
    no_exclude: bool,
    on_notice: Callable[[str], None],
) -> LeftOut:
    """Settle what a run leaves out of these folders, and what the library remembers of it.

    The patterns, or `no_exclude`, take the place of what was said of the folders before; with neither, that
    holds on.
    """
    covered = dict.fromkeys(map(real, writer.roots()))
    places = {folder: placed(folder, covered) for folder in folders}
    excludes = get_excludes(writer)
    own = list(dict.fromkeys(places.values()))
    if patterns or no_exclude:
        excludes = _remembered(writer, excludes, own, patterns, on_notice)
    elif within := said_within(excludes, own):
        on_notice(f"left out as in earlier runs: {_options(within, own)}; --no-exclude ends this")
    if around := said_around(excludes, own):
        words = _options(around, own)
        on_notice(f"left out as in earlier runs: {words}; to end this, --no-exclude with that folder")
    return LeftOut(excludes, places)


def _remembered(
    writer: LibraryWriter,
    before: tuple[Exclude, ...],
    folders: Sequence[Path],
    patterns: Sequence[str],
    on_notice: Callable[[str], None],
) -> tuple[Exclude, ...]:
    """Take the patterns in place of what was said of the folders before."""
    excludes = replaced(before, folders, patterns)
    ended = [
        each
        for each in before
        if each not in excludes and ("/" in each.pattern or each.pattern not in patterns)
    ]
    if ended:
        on_notice(f"no longer left out, since this run says otherwise: {_options(ended, folders)}")
    if excludes != before:
        put_excludes(writer, excludes)
    return excludes


def _options(excludes: Iterable[Exclude], folders: Sequence[Path]) -> str:
    """Write patterns as options, with the folders they were said of but where these are the run's."""
    by_pattern: dict[str, list[Path]] = {}
    for each in excludes:
        by_pattern.setdefault(each.pattern, []).append(each.folder)
    by_folders: dict[tuple[Path, ...], list[str]] = {}
    for pattern, said_of in by_pattern.items():
        key = () if set(folders) <= set(said_of) else tuple(said_of)
        by_folders.setdefault(key, []).append(f"--exclude {shlex.quote(pattern)}")
    parts = [" ".join(options) + _in_words(said_of) for said_of, options in by_folders.items()]
    more = ["and more, which `sightline status` lists"] if len(parts) > NAMED_MAX else []
    return ", ".join([*parts[:NAMED_MAX], *more])


def _in_words(folders: Sequence[Path]) -> str:
    more = f" and {len(folders) - NAMED_MAX} more folders" if len(folders) > NAMED_MAX else ""
    return f" in {', '.join(map(str, folders[:NAMED_MAX]))}{more}" if folders else ""
