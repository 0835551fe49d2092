"""Records: what the store is asked with and what it answers."""

from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ..file_times import modified_ns
from ..records import EncoderCard, FoundFile

FileState: TypeAlias = Literal["unchanged", "skipped", "hash-first", "new"]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which images may answer; every field that is set must hold."""

    folder: Path | None = None  # at or below it; relative: to the current folder, else to a root
    after: date | None = None  # taken on that day or later; file time where no camera told
    before: date | None = None  # taken on that day or earlier
    camera: str | None = None  # part of "Maker Model", whatever the case
    min_width: int | None = None  # pixels
    min_height: int | None = None
    exclude_contents: frozenset[bytes] = frozenset()  # sha256 of contents that must not answer


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A file of the library and the content it holds."""

    content_id: int
    path: Path  # absolute
    relative: str  # below its root, with forward slashes
    content_hash: bytes
    width: int
    height: int
    format: str
    taken_at: datetime | None
    camera: str | None
    latitude: float | None
    longitude: float | None
    size: int  # bytes
    mtime_ns: int
    pixel_hash: bytes | None = None  # of all upright pixels; None where indexing did not see them all

    def is_as_indexed(self) -> bool:
        """Tell whether the file still has the size and time of change it had; raises OSError."""
        found = self.path.stat()
        return (found.st_size, modified_ns(found)) == (self.size, self.mtime_ns)


@dataclass(frozen=True, slots=True)
class StoredEncoder:
    """An encoder whose vectors the library holds."""

    id: int
    card: EncoderCard
    images: int  # contents that are live and have a vector of this encoder
    background: dict[str, Any] | None  # what unrelated queries score here, as the pipeline measured it


@dataclass(frozen=True, slots=True)
class Changeover:
    """Whether searches have changed to another encoder, and the images that only one of the two knows."""

    former: StoredEncoder
    changed: bool
    lacking: int  # images of the former that the other has not
    only_new: int  # images of the other that the former has not


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A content near a query vector."""

    content_id: int
    score: float  # cosine


@dataclass(frozen=True, slots=True)
class Known:
    """A found file and what the catalog knows of it."""

    file: FoundFile
    state: FileState
    reason: str | None = None  # of "skipped": why, as it was told then


@dataclass(frozen=True, slots=True)
class ScanOutcome:
    """What a scan that went to its end changed in the catalog."""

    removed: int  # files that left
    moved: int  # files whose content had another path before
    absent: tuple[Path, ...] = ()  # folders where nothing was found any more: kept, as if not mounted


@dataclass(frozen=True, slots=True)
class LibraryStatus:
    """The library in numbers."""

    path: Path
    roots: tuple[Path, ...]
    images: int  # different contents that some file holds
    files: int  # files with an image
    skipped: tuple[tuple[str, int], ...]  # reason, files; the most frequent first
    kept: int  # contents without a file, kept in case they return
    encoders: tuple[StoredEncoder, ...]
    catalog_bytes: int
    vectors_bytes: int
    backups_bytes: int
    last_run: dict[str, Any] | None  # as `record_run` was given it
    searched_with: int | None = None  # the id of the encoder that searches use
    patches: tuple[int, int] = (0, 0)  # images with patch vectors, and the bytes these take of the catalog


@dataclass(frozen=True, slots=True)
class Finding:
    """Something `verify` found, and what became of it."""

    what: str
    repaired: bool
    harmless: bool = False  # the next `index` puts it right by itself


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `verify` looked at and found."""

    path: Path
    images: int
    files: int
    vectors: int
    findings: tuple[Finding, ...] = field(default=())

    @property
    def sound(self) -> bool:
        """Tell whether nothing is left to repair."""
        return all(finding.repaired or finding.harmless for finding in self.findings)

    def lines(self) -> list[str]:
        """Put it in lines for a person, what was looked at first."""
        counts = f"{self.path}: {self.images} images in {self.files} files, {self.vectors} vectors"
        return [counts, *(_line(finding) for finding in self.findings)] + (
            ["everything agrees"] if not self.findings else []
        )


def _line(finding: Finding) -> str:
    if finding.repaired:
        return f"repaired: {finding.what}"
    return f"{'note' if finding.harmless else 'problem'}: {finding.what}"
