"""Linking: puts a link to the kept file in a file's place, in one step, and a real file in a link's."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from ..paths import identity_of
from . import moving
from .checks import Examined, Standing, same_entry, same_file
from .journal import Entry
from .records import Refused


def is_link_to(path: Path, keeper: Path) -> bool:
    """Tell whether a path is a link to the kept file, hard or symbolic, and not the kept one's own name."""
    return same_file(path, keeper) and not same_entry(path, keeper)


def by_target(paths: Iterable[Path]) -> dict[tuple[int, int], Path]:
    """Give the symbolic links among the paths by the identity of what they lead to."""
    return {identity: path for path in paths if path.is_symlink() and (identity := identity_of(path))}


def hard_link(path: Path, keeper: Examined, temporary: str) -> None:
    """Replace a file by a second name of the kept one."""
    real = os.path.realpath(keeper.path)
    _replace_by_link(path, keeper, path.with_name(temporary), lambda beside: os.link(real, beside))


def symbolic_link(path: Path, keeper: Examined, target: str, temporary: str) -> None:
    """Replace a file by a link that says `target` and leads to the kept one."""
    _replace_by_link(path, keeper, path.with_name(temporary), lambda beside: beside.symlink_to(target))


def target_for(path: Path, keeper: Path) -> str:
    """Give what the link at `path` is to say.

    Relative within a file system, since drives are mounted elsewhere and folders are renamed; absolute from
    one to another. The folders are taken by where links lead, or `..` would lead elsewhere.
    """
    folder, home = Path(os.path.realpath(path.parent)), Path(os.path.realpath(keeper.parent))
    if folder.stat().st_dev != home.stat().st_dev:
        return str(keeper)
    return os.path.relpath(home / keeper.name, folder)


def replace_by_copy(path: Path, source: Examined, entry: Entry, is_unchanged: Callable[[], bool]) -> None:
    """Put a real copy of `source` in the place of a link, if that is unchanged when the copy is ready."""
    beside = path.with_name(entry.temporary)
    moving.copy(source, beside)
    try:
        moving.restore_facts(beside, mtime_ns=entry.mtime_ns, mode=entry.mode)
        if not is_unchanged():
            raise Refused("being changed by another program")
        beside.replace(path)
    finally:
        moving.discard(beside)


def _replace_by_link(path: Path, keeper: Examined, beside: Path, make_link: Callable[[Path], object]) -> None:
    try:
        make_link(beside)
        identity = Standing.of(beside.stat()).identity
        if identity is None or identity != keeper.standing.identity:
            raise Refused(f"a link would not lead to the kept file {keeper.path}")
        beside.replace(path)
    finally:
        moving.discard(beside)
