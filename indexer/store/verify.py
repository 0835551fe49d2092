"""Verifying: catalog, vectors and files against one another; what is derived can be made anew."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import CatalogDamaged
from ..file_times import modified_ns
from ..records import Ids
from . import catalog
from .files import left_behind, vectors_folder
from .library import open_for_writing, open_library
from .names import decode_name
from .nearest import recorded_file
from .reader import LibraryReader
from .records import Finding, StoredEncoder, VerifyReport
from .vectors import SUFFIX, IndexFile, IndexUnusable, check_file, faiss_header
from .writer import LibraryWriter

_LENGTH_OFF_MAX = 0.01  # of one; float16 alone puts a unit vector off by less than a thousandth
_HAS_FILE = "id IN (SELECT content_id FROM file WHERE content_id IS NOT NULL)"
_FILES = """
SELECT file.id, file.root_id, file.path, file.size, file.mtime_ns, content.sha256
FROM file LEFT JOIN content ON content.id = file.content_id WHERE file.id > ? ORDER BY file.id LIMIT ?
"""
_FILES_AT_ONCE = 1000
_FILES_A_STEP = 50  # between two tellings how far it is

Progress: TypeAlias = Callable[[int, int], None]  # how many files of how many have been looked at


@dataclass(frozen=True, slots=True)
class _Checked:
    """What was found of a library, its image files aside."""

    findings: list[Finding]
    readable: bool  # if not, nothing can be repaired, and what the catalog says of files is not looked at


def verify(
    path: Path, repair: bool = False, *, deep: bool = False, progress: Progress = lambda done, of: None
) -> VerifyReport:
    """Check a library and, with `repair`, put right what can be made from the rest.

    `deep` reads every image file again and compares its content hash; `progress` hears how many of how many
    files have been looked at. Raises CatalogDamaged when SQLite cannot even open the catalog, and
    LibraryBusy when it is to be repaired while another process writes.
    """
    return _report(path, _check(path, repair=repair), deep, progress)


def verify_and_repair(
    path: Path, *, deep: bool = False, progress: Progress = lambda done, of: None
) -> VerifyReport:
    """Check a library, and repair it if that can help: only then must it be writable and free."""
    checked = _check(path, repair=False)
    if checked.readable and not all(finding.harmless for finding in checked.findings):
        checked = _check(path, repair=True)
    return _report(path, checked, deep, progress)


def _check(path: Path, *, repair: bool) -> _Checked:
    """Check, and repair, all but the image files."""
    leftovers = left_behind(path)
    findings = [
        Finding(f"{rest.name}: half-written, by a crash or a run at work", repair, harmless=not repair)
        for rest in leftovers
    ]
    opened = open_for_writing(path, create=False) if repair else open_library(path)
    with opened as library:
        damage = list(_check_pages(library))
        if damage:
            return _Checked([*findings, *damage], readable=False)
        writer = library if isinstance(library, LibraryWriter) else None
        try:
            for finding in _check_derived(library, writer):
                findings.append(finding)  # one by one: what is found before a failure counts
        except CatalogDamaged as problem:
            findings.append(Finding(str(problem), repaired=False))
    return _Checked(findings, readable=True)


def _check_derived(library: LibraryReader, writer: LibraryWriter | None) -> Iterator[Finding]:
    yield from _check_links(library, writer)
    for encoder in library.encoders():
        yield from _check_vectors(library, writer, encoder)
        yield from _check_index_file(library, writer, encoder)
    yield from _check_stray_files(library, writer)


def _report(path: Path, checked: _Checked, deep: bool, progress: Progress) -> VerifyReport:
    """Look at the image files, as a reader: those of a large library take hours."""
    findings = checked.findings
    with open_library(path) as library:
        try:
            if checked.readable:
                findings = [*findings, *_check_images(library, deep, progress)]
            status = library.status()
        except CatalogDamaged as problem:
            if checked.readable:
                findings = [*findings, Finding(str(problem), repaired=False)]
            return VerifyReport(library.path, 0, 0, 0, tuple(findings))
    vectors = sum(encoder.images for encoder in status.encoders)
    return VerifyReport(library.path, status.images, status.files, vectors, tuple(findings))


def _check_pages(library: LibraryReader) -> Iterator[Finding]:
    try:
        with library.reading() as connection:
            told = [line for (line,) in connection.execute("PRAGMA integrity_check(5)")]
            broken = connection.execute("PRAGMA foreign_key_check").fetchall()
    except CatalogDamaged as problem:
        yield Finding(str(problem), repaired=False)
        return
    for line in told:
        if line != "ok":
            first = str(line).splitlines()[-1]
            yield Finding(f"catalog: {first}; restore a copy from backups, or index anew", repaired=False)
    if broken:
        yield Finding(f"catalog: {len(broken)} rows refer to nothing", repaired=False)


def _check_links(library: LibraryReader, writer: LibraryWriter | None) -> Iterator[Finding]:
    with library.reading() as connection:
        unseen = _ids(connection, f"SELECT id FROM content WHERE orphaned_at IS NULL AND NOT {_HAS_FILE}")
        hidden = _ids(connection, f"SELECT id FROM content WHERE orphaned_at IS NOT NULL AND {_HAS_FILE}")
    if writer is not None:
        writer.mend_links(unseen, hidden)
    if unseen:
        yield Finding(f"catalog: {len(unseen)} contents without a file were shown", writer is not None)
    if hidden:
        yield Finding(f"catalog: {len(hidden)} contents with a file were hidden", writer is not None)


def _ids(connection: Connection, question: str) -> list[int]:
    return [id for (id,) in connection.execute(question)]


def _check_vectors(
    library: LibraryReader, writer: LibraryWriter | None, encoder: StoredEncoder
) -> Iterator[Finding]:
    with library.reading() as connection:
        bad = list(_bad_vectors(connection, encoder))
    if not bad:
        return
    if writer is not None:
        writer.remove_vectors(encoder, bad)
    what = f"{encoder.card.name}: {len(bad)} vectors are no unit vectors of {encoder.card.dimension} numbers"
    yield Finding(f"{what}; removed ones are made again by the next `index`", writer is not None)


def _bad_vectors(connection: Connection, encoder: StoredEncoder) -> Iterator[int]:
    size = encoder.card.dimension * 2
    question = "SELECT content_id, vector FROM embedding WHERE encoder_id = ? AND length(vector)"
    yield from (id for id, _ in connection.execute(f"{question} <> ?", (encoder.id, size)))
    answer = connection.execute(f"{question} = ?", (encoder.id, size))
    while rows := answer.fetchmany(catalog.ROWS_AT_ONCE):
        vectors = catalog.as_vectors(b"".join([row[1] for row in rows]), encoder.card.dimension)
        with np.errstate(all="ignore"):  # infinities and the like are what we look for
            lengths = np.linalg.norm(vectors, axis=1)
        for at in np.flatnonzero(~(np.abs(lengths - 1) <= _LENGTH_OFF_MAX)):
            yield int(rows[int(at)][0])


def _check_index_file(
    library: LibraryReader, writer: LibraryWriter | None, encoder: StoredEncoder
) -> Iterator[Finding]:
    with library.reading() as connection:
        recorded = recorded_file(connection, encoder.id)
        wrong = _what_is_wrong(connection, library.path, encoder, recorded)
    if wrong is None:
        return
    if writer is not None:
        writer.publish(encoder, always=True)
    name = recorded.name if recorded else f"vectors of {encoder.card.name}"
    harmless = recorded is None
    yield Finding(f"{name}: {wrong}", writer is not None, harmless and writer is None)


def _what_is_wrong(
    connection: Connection, library: Path, encoder: StoredEncoder, recorded: IndexFile | None
) -> str | None:
    if recorded is None:
        return "no FAISS file yet; the catalog is searched instead" if encoder.images else None
    path = vectors_folder(library) / recorded.name
    try:
        check_file(path, recorded, thorough=True)
    except IndexUnusable as problem:
        return problem.reason
    if not _same_vectors(connection, path, encoder, recorded):
        return "its vectors are not those of the catalog"
    return None


def _same_vectors(connection: Connection, path: Path, encoder: StoredEncoder, recorded: IndexFile) -> bool:
    """Compare all that has not changed since the file was written."""
    dimension, images = encoder.card.dimension, recorded.images
    header = faiss_header(dimension, images)
    size = dimension * 2
    with path.open("rb") as stream:
        if stream.read(len(header)) != header:
            return False
    ids = np.fromfile(path, "<i8", offset=len(header) + images * size + 8)
    changed = catalog.changed_ids(connection, encoder.id, recorded.generation)
    kept = np.flatnonzero(~np.isin(ids, changed))
    codes: NDArray[np.uint8] = (
        np.memmap(path, np.uint8, "r", len(header), (images, size))
        if images
        else (np.empty((0, size), np.uint8))
    )
    at = 0
    for some, blobs in catalog.stream_vectors(connection, encoder, until_generation=recorded.generation):
        rows = kept[at : at + len(some)]
        if not _equal(ids[rows], some) or codes[rows].tobytes() != blobs:
            return False
        at += len(some)
    return at == len(kept)


def _equal(ids: Ids, others: Ids) -> bool:
    return len(ids) == len(others) and bool((ids == others).all())


def _check_stray_files(library: LibraryReader, writer: LibraryWriter | None) -> Iterator[Finding]:
    with library.reading() as connection:
        recorded = {
            found.name
            for encoder in catalog.get_encoders(connection)
            if (found := recorded_file(connection, encoder.id)) is not None
        }
    for path in sorted(vectors_folder(library.path).glob(f"*{SUFFIX}")):
        if path.name in recorded:
            continue
        if writer is not None:
            path.unlink(missing_ok=True)
        yield Finding(f"{path.name}: belongs to no generation in use", writer is not None, writer is None)


def _check_images(library: LibraryReader, deep: bool, progress: Progress) -> Iterator[Finding]:
    """Compare the catalog's files with the disk; what differs is for `index` to put right."""
    counts: Counter[str] = Counter()
    with library.reading() as connection:
        roots = catalog.get_roots(connection, library.path)
        files = catalog.find_number(connection, "SELECT count(*) FROM file")
    # Path.is_dir raises where a drive died without being unmounted.
    absent = {id for id, root in roots.items() if not os.path.isdir(root)}  # noqa: PTH112
    for done, (root_id, path, size, mtime_ns, sha) in enumerate(_files(library), start=1):
        if root_id in roots and root_id not in absent:
            place = roots[root_id] / decode_name(path)
            state = _state(place, size, mtime_ns, sha if deep else None)
            counts[state] += 1
            if state == "rotten":
                what = f"{place}: has other bytes than when it was indexed, at the same size and time"
                yield Finding(f"{what}: damaged on disk? take it from a backup", repaired=False)
        if done % _FILES_A_STEP == 0 or done == files:
            progress(done, max(done, files))
    for id in sorted(absent):
        yield Finding(f"{roots[id]}: is not there; is its drive mounted?", repaired=False, harmless=True)
    for state in ("gone", "changed"):
        if counts[state]:
            have = "file has" if counts[state] == 1 else "files have"
            what = f"{counts[state]:,} {have} {state} since the last `index`"
            yield Finding(what, repaired=False, harmless=True)


def _files(library: LibraryReader) -> Iterator[tuple[int, str, int, int, bytes | None]]:
    """Yield root, path, size, time and hash of each file, in portions: one long reading holds up a writer."""
    rows: list[tuple[Any, ...]] = [(0,)]
    while rows:
        with library.reading() as connection:
            rows = connection.execute(_FILES, (rows[-1][0], _FILES_AT_ONCE)).fetchall()
        for _, root_id, path, size, mtime_ns, sha in rows:
            yield root_id, path, size, mtime_ns, sha


def _state(path: Path, size: int, mtime_ns: int, sha: bytes | None) -> str:
    try:
        told = path.stat()
        if (told.st_size, modified_ns(told)) != (size, mtime_ns):
            return "changed"
        if sha is None:
            return "same"
        with path.open("rb") as stream:
            return "same" if hashlib.file_digest(stream, "sha256").digest() == sha else "rotten"
    except OSError:
        return "gone"
