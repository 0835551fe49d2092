"""Manifests: what is in a folder, to the byte, and what has changed since."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

Facts = dict[str, str | int]
LIBRARY_FOLDER = ".sightline"


def take(folder: Path) -> dict[str, Facts]:
    """Read every file, link and folder below a folder, but for a library of ours.

    Of folders only the permissions count: their times change with every file that goes and comes back.
    """
    return {path.relative_to(folder).as_posix(): _facts(path) for path in _walk(folder)}


def save(manifest: dict[str, Facts], file: Path) -> None:
    """Write a manifest as JSON; a byte of a name that is no UTF-8 is a lone surrogate (`\\udce9`) in it."""
    file.write_text(json.dumps(manifest, indent=0), encoding="ascii")


def load(file: Path) -> dict[str, Facts]:
    """Read a manifest that `save` wrote."""
    manifest: dict[str, Facts] = json.loads(file.read_text(encoding="ascii"))
    return manifest


def differences(before: dict[str, Facts], after: dict[str, Facts]) -> Iterator[str]:
    """Say in a line each what is gone, new or another now."""
    for path in sorted(before.keys() | after.keys()):
        if path not in after:
            yield f"gone: {path!r}"
        elif path not in before:
            yield f"new: {path!r}"
        elif before[path] != after[path]:
            yield f"changed: {path!r}: {', '.join(_changes(before[path], after[path]))}"


def _changes(before: Facts, after: Facts) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"{name} {before.get(name)!r} -> {after.get(name)!r}"


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != LIBRARY_FOLDER]
        yield from (Path(place, name) for name in (*folders, *files))


def _facts(path: Path) -> Facts:
    status = path.lstat()
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return {"leads to": os.fspath(path.readlink()), "mtime_ns": status.st_mtime_ns}
    if stat.S_ISDIR(status.st_mode):
        return {"mode": f"folder {mode:o}"}
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": digest, "mode": f"{mode:o}", "mtime_ns": status.st_mtime_ns}
