"""Scanning: walks folders and gives the files that may be images, one at a time."""

import errno
import fnmatch
import glob
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate, takewhile
from pathlib import Path
from typing import Final, TypeAlias

from .file_times import modified_ns
from .formats import (
    HEAD_BYTES,
    IMAGE_EXTENSIONS,
    OTHER_EXTENSIONS,
    RAW_COMPANIONS,
    RAW_EXTENSIONS,
    extension,
    sniff,
)
from .paths import identity_of
from .records import FoundFile, Unreadable

LIBRARY_FOLDER: Final = ".sightline"

# Never pictures of the user's: recycle bins, thumbnails a NAS makes, what tools keep. Lower case.
JUNK_FOLDERS: Final = frozenset(
    {
        LIBRARY_FOLDER,
        "@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", ".@__thumb",
        "$recycle.bin", "recycler", "system volume information", "lost+found",
        "node_modules", ".git", ".hg", ".svn", "__macosx", ".appledouble",
    }
)  # fmt: skip
WILDCARD: Final = re.compile("[*?[]")
TRASH_PREFIX: Final = ".trash"  # .Trash, .Trashes, .Trash-1000


@dataclass(frozen=True, slots=True)
class ScanRules:
    """What to leave out.

    An `exclude` pattern is a shell glob in which `*` crosses slashes too, and upper and lower case are the
    same. It is held against the name of every file and folder and against its path below the scanned folder
    (an absolute pattern: against the whole path). A folder that matches is not entered. A pattern that ends
    in a slash means folders only. So `--exclude drafts` leaves out everything called drafts at any depth,
    `--exclude '*.png'` all PNG files, `--exclude '2019/*raw*'` what is below 2019 and has "raw" in its path.
    On Windows a backslash parts folders as a slash does.

    What was said of another folder holds in there, as if that had been scanned: inside the scanned folder,
    or around it; then all of the scanned folder may be left out.
    """

    exclude: tuple[str, ...] = ()
    exclude_in: tuple[tuple[Path, str], ...] = ()  # the same, each with the folder it was said of
    include_hidden: bool = False  # names that begin with a dot; recycle bins and .git stay out all the same
    raw: bool = True  # give RAW files; without rawpy they become Skipped, with the remedy


@dataclass(frozen=True, slots=True)
class OutOfReach:
    """What leads nowhere for now or promises no image; worth a word only if images were known there."""

    root: Path
    relative: str
    reason: str

    @property
    def path(self) -> Path:
        """The name itself, absolute if root is."""
        return self.root / self.relative


Found: TypeAlias = FoundFile | Unreadable | OutOfReach


def scan(
    root: Path,
    rules: ScanRules,
    *,
    typed: Path | None = None,
    placed: Path | None = None,
    apart: Iterable[Path] = (),
    stopped: Callable[[], bool] = lambda: False,
    platform: str = sys.platform,
) -> Iterator[Found]:
    """Give every file below root that may be an image, in no order; hold one folder's names at most.

    Links are followed; a folder is visited once, however many links lead to it, by its own path if that
    is below root. A root that cannot be listed is Unreadable. `typed` is the absolute name that the user
    gave root, which patterns may go by as well. `placed` is its name among the folders that patterns were
    said of. Folders that are `apart` are not entered. `stopped` is asked at every name, also of files that
    are no images: true ends the scan.
    """
    root = root.absolute()
    placed = placed or root
    said = [*((placed, pattern) for pattern in rules.exclude), *rules.exclude_in]
    excluded = _Excluded(placed, {root, typed or root, placed}, _by_folder(said, platform))
    if not excluded.is_all():
        yield from _Walk(root, excluded, rules, tuple(apart), stopped).run()


def _by_folder(said: Iterable[tuple[Path, str]], platform: str) -> dict[Path, list[str]]:
    """Sort patterns by folder, as paths are held against them; elsewhere a backslash is part of a name."""
    sorted_out: dict[Path, list[str]] = {}
    for folder, pattern in said:
        written = pattern.replace("\\", "/") if platform == "win32" else pattern
        sorted_out.setdefault(folder, []).append(written)
    return sorted_out


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    prefix: str  # of the relative paths inside: "" or "2019/May/"


class _Excluded:
    """Decides what `exclude` leaves out of a scanned folder."""

    def __init__(self, placed: Path, names: Iterable[Path], by_folder: Mapping[Path, list[str]]) -> None:
        self._bases = [name.as_posix().rstrip("/") + "/" for name in names]
        self._said = [
            _Said(
                folder,
                around=_prefix(placed, folder),
                inside=_prefix(folder, placed),
                any_kind=_compile([p for p in patterns if not p.endswith("/")]),
                folder_only=_compile([p.rstrip("/") for p in patterns if p.endswith("/")]),
            )
            for folder, patterns in by_folder.items()
            if placed.is_relative_to(folder) or folder.is_relative_to(placed)
        ]

    def __call__(self, name: str, relative: str, *, is_folder: bool) -> bool:
        return any(
            said.matches(name, said.around + relative[len(said.inside) :], self._bases, relative, is_folder)
            for said in self._said
            if relative.startswith(said.inside)
        )

    def is_all(self) -> bool:
        """Tell whether the scanned folder lies in one that is left out of a folder around it, or is one."""
        return any(said.leaves_out_what_is_scanned() for said in self._said)


@dataclass(frozen=True, slots=True)
class _Said:
    """What was said of one folder."""

    folder: Path
    around: str  # where the scanned folder lies in it: "" or "2019/May/"
    inside: str  # where it lies in the scanned folder; one of the two is empty
    any_kind: re.Pattern[str] | None
    folder_only: re.Pattern[str] | None

    def matches(self, name: str, path: str, bases: Iterable[str], below: str, is_folder: bool) -> bool:
        """Hold the patterns against a name, a path in the folder, and all names of the whole path."""
        patterns = [self.any_kind, self.folder_only] if is_folder else [self.any_kind]
        return any(
            pattern is not None and any(map(pattern.match, (name, path, *(base + below for base in bases))))
            for pattern in patterns
        )

    def leaves_out_what_is_scanned(self) -> bool:
        base = self.folder.as_posix().rstrip("/") + "/"
        paths = accumulate(self.around.split("/")[:-1], "{}/{}".format)
        return any(self.matches(path.rpartition("/")[2], path, [base], path, True) for path in paths)


def _prefix(folder: Path, around: Path) -> str:
    """Give what a path in a folder begins with, seen from a folder around it; else nothing."""
    below = folder.relative_to(around).as_posix() if folder.is_relative_to(around) else "."
    return "" if below == "." else below + "/"


def _compile(patterns: list[str]) -> re.Pattern[str] | None:
    """Join globs to one expression: one match per name, however many patterns."""
    globs = [p.removeprefix("./") for p in patterns if p.removeprefix("./")]
    globs += [other for p in globs for other in _without_links(p)]
    if not globs:
        return None
    return re.compile("|".join(map(fnmatch.translate, globs)), re.IGNORECASE)


def _without_links(pattern: str) -> Iterator[str]:
    """Give an absolute pattern as it reads when the links in it before the first wildcard are followed.

    One after the other: what is scanned may lie behind the first link and have the second one in its path.
    """
    if not Path(pattern).is_absolute():
        return
    parts = Path(pattern).parts
    plain = takewhile(lambda part: not WILDCARD.search(part), parts)
    for end, named in enumerate(accumulate(plain, os.path.join), start=1):
        followed = os.path.realpath(named)
        if followed != named:
            yield Path(glob.escape(followed), *parts[end:]).as_posix()


@dataclass(slots=True)
class _Walk:
    """One walk: what is still to visit, and which folders were."""

    root: Path
    excluded: _Excluded
    rules: ScanRules
    apart: tuple[Path, ...] = ()
    stopped: Callable[[], bool] = lambda: False
    todo: list[_Folder] = field(default_factory=list)
    links: list[_Folder] = field(default_factory=list)  # visited last, so that a folder's own path wins
    visited: set[tuple[int, int]] = field(default_factory=set)

    def run(self) -> Iterator[Found]:
        began_with = identity_of(self.root)
        yield from self._list_all()
        if began_with is not None and identity_of(self.root) != began_with:
            # A drive that went away in between: what was not listed is not gone.
            yield Unreadable(self.root, "gone while it was being listed")

    def _list_all(self) -> Iterator[Found]:
        # A link back to a parent of root is a loop as well: it must not drag root's neighbours in.
        self.visited.update(filter(None, map(identity_of, (*self.root.parents, *self.apart))))
        self.todo.append(_Folder(str(self.root), ""))
        while (self.todo or self.links) and not self.stopped():
            folder = self.todo.pop() if self.todo else self.links.pop()
            identity = identity_of(folder.path)
            if identity is not None and identity in self.visited:
                continue
            if identity is not None:
                self.visited.add(identity)
            yield from self._list(folder)

    def _list(self, folder: _Folder) -> Iterator[Found]:
        raws: list[FoundFile] = []
        try:
            with os.scandir(folder.path) as entries:
                for entry in takewhile(lambda _: not self.stopped(), entries):
                    found = self._judge(entry, folder.prefix)
                    if isinstance(found, FoundFile) and extension(entry.name) in RAW_EXTENSIONS:
                        raws.append(found)
                    elif found is not None:
                        yield found
            if raws:
                yield from self._without_companions(raws, folder)
        except FileNotFoundError:
            if not folder.prefix:  # anything below may vanish while we walk; a missing root is told
                yield Unreadable(Path(folder.path), "no such folder")
        except OSError as error:
            yield Unreadable(Path(folder.path), _words(error))

    def _judge(self, entry: os.DirEntry[str], prefix: str) -> Found | None:
        """Take an entry as a file, keep it as a folder for later, or tell of a link that cannot be read."""
        name = entry.name
        if not self.rules.include_hidden and _is_hidden(entry):
            return None
        relative = prefix + name
        try:
            is_folder = entry.is_dir()
        except OSError as error:
            if error.errno == errno.ELOOP or self.excluded(name, relative, is_folder=True):
                return None  # a link that leads in a circle
            return Unreadable(Path(entry.path), _words(error))
        if self.excluded(name, relative, is_folder=is_folder):
            return None
        if is_folder:
            if not _is_junk(name):
                (self.links if entry.is_symlink() else self.todo).append(_Folder(entry.path, relative + "/"))
            return None
        if entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110  (Path.exists may raise)
            return OutOfReach(self.root, relative, "a link to what is not there")
        return self._judge_file(entry, relative)

    def _judge_file(self, entry: os.DirEntry[str], relative: str) -> Found | None:
        kind = extension(entry.name)
        if kind in OTHER_EXTENSIONS or (kind in RAW_EXTENSIONS and not self.rules.raw):
            return None
        promising = kind in IMAGE_EXTENSIONS or kind in RAW_EXTENSIONS
        try:
            if not entry.is_file():  # sockets, pipes, devices
                return None
            status = entry.stat()
            if not promising and not _looks_like_image(entry.path):
                return None
        except FileNotFoundError:
            return None
        except OSError as error:
            if promising:
                return Unreadable(Path(entry.path), _words(error))
            return OutOfReach(self.root, relative, _words(error))
        return FoundFile(self.root, relative, status.st_size, modified_ns(status))

    def _without_companions(self, raws: list[FoundFile], folder: _Folder) -> Iterator[FoundFile]:
        """Give the RAW files that have no JPEG or HEIC of the same name beside them.

        A second listing, only in folders with RAW files, spares us holding all names of every folder.
        """
        stems = {_stem(found.relative[len(folder.prefix) :]) for found in raws}
        with os.scandir(folder.path) as entries:
            companions = {
                stem
                for entry in entries
                if extension(entry.name) in RAW_COMPANIONS
                and (stem := _stem(entry.name)) in stems
                and self._is_given(entry, folder.prefix)
            }
        yield from (f for f in raws if _stem(f.relative[len(folder.prefix) :]) not in companions)

    def _is_given(self, entry: os.DirEntry[str], prefix: str) -> bool:
        """Tell whether this walk gives a file, and the file is not empty: else its RAW is all there is."""
        try:
            found = self._judge(entry, prefix) if entry.is_file() else None
        except OSError:
            return False
        return isinstance(found, FoundFile) and found.size > 0


def _is_hidden(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith("."):
        return True
    if sys.platform == "win32":
        with suppress(OSError):
            attributes = entry.stat(follow_symlinks=False).st_file_attributes
            return bool(attributes & stat.FILE_ATTRIBUTE_HIDDEN)
    return False


def _is_junk(name: str) -> bool:
    lowered = name.lower()
    return lowered in JUNK_FOLDERS or lowered.startswith(TRASH_PREFIX)


def _looks_like_image(path: str) -> bool:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        return sniff(file.read(HEAD_BYTES)) is not None


def _stem(name: str) -> str:
    return name.rpartition(".")[0].casefold()


def _words(error: OSError) -> str:
    return (error.strerror or "cannot be listed").lower()
