"""Groups of copies in a folder, and what tells whether every byte is back."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from indexer.actions.apply import apply
from indexer.actions.journal import Run, newest_to_undo
from indexer.actions.records import Action, Outcome, Removal, Result
from indexer.actions.undo import undo

LONG_AGO_NS = 1_500_000_000_123_456_789


@dataclass(frozen=True)
class Seen:
    """All that undoing has to bring back of a file."""

    content: bytes
    mtime_ns: int
    mode: int
    is_link: bool


class Album:
    """A folder of photos with a library in it, and groups of which the first member is kept."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.library = root / ".sightline"
        self.elsewhere = root.parent / "moved"
        self.library.mkdir(parents=True, exist_ok=True)
        (self.library / "catalog.sqlite").touch()
        self.removals: list[Removal] = []

    def write(self, name: str | bytes, content: bytes, *, mode: int = 0o640) -> Path:
        path = self.root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS + len(self.removals)))
        return path

    def group(self, keeper: str, *others: str | bytes, content: bytes = b"") -> None:
        """Write a file and copies of it; all but the first are to go."""
        content = content or keeper.encode() * 100
        kept = self.write(keeper, content, mode=0o604)
        for name in others:
            self.plan(self.write(name, content), kept)

    def plan(self, path: Path, keeper: Path) -> Removal:
        relative = path.relative_to(self.root).as_posix()
        removal = Removal(path, sha256(path), keeper, sha256(keeper), relative)
        self.removals.append(removal)
        return removal

    def apply(self, action: Action, destination: Path | None = None) -> list[Outcome]:
        if action is Action.MOVE:
            destination = destination or self.elsewhere
        return list(apply(self.removals, action, library=self.library, destination=destination))

    def run(self) -> Run:
        run = newest_to_undo(self.library)
        assert run is not None
        return run

    def undo(self) -> list[Outcome]:
        return list(undo(self.run()))

    def seen(self) -> dict[str, Seen]:
        """Give every file but the library's, as it is now."""
        paths = [Path(folder) / name for folder, _, names in os.walk(self.root) for name in names]
        return {
            path.relative_to(self.root).as_posix(): see(path)
            for path in paths
            if self.library not in path.parents
        }

    def has_kept(self) -> bool:
        """Tell whether every group still has a member that can be read."""
        return all(
            removal.keeper.is_file() and sha256(removal.keeper) == removal.keeper_sha256
            for removal in self.removals
        )


def make_album(folder: Path) -> Album:
    """Make two groups with sidecars and awkward names, three files to go."""
    album = Album(folder / "photos")
    album.group("a.jpg", "copies/a.jpg", os.fsencode("copies/\N{DOG FACE}\nodd ") + b"\xe9.jpg")
    album.group("2019/b.png", "2020/b.png")
    album.write("copies/a.jpg.xmp", b"<x:xmpmeta/>")
    album.write("2020/b.xmp", b"<x:xmpmeta>b</x:xmpmeta>")
    return album


def results(outcomes: list[Outcome]) -> list[Result]:
    return [outcome.result for outcome in outcomes]


def only(outcomes: list[Outcome]) -> Outcome:
    [outcome] = outcomes
    return outcome


def refusal(outcomes: list[Outcome]) -> str:
    outcome = only(outcomes)
    assert outcome.result is Result.REFUSED
    return outcome.reason


def see(path: Path) -> Seen:
    status = path.stat()
    return Seen(path.read_bytes(), status.st_mtime_ns, status.st_mode, path.is_symlink())


def sha256(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def names(folder: Path) -> list[str]:
    """List all files below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
