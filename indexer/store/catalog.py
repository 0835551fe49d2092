"""The catalog, read: every question that is put to a library's tables.

In SQL, through Python's own driver: a search should not wait until SQLAlchemy is imported. What the schema
gives a type of its own (schema.py) is converted here: paths, moments, JSON.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, time
from itertools import chain
from pathlib import Path
from sqlite3 import Connection
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..records import Ids, Vectors
from .failures import Malformed
from .moments import nanoseconds_of
from .names import decode_name, encode_name, folder_range, relative_to, root_path
from .peek import card_from
from .records import Filters, StoredEncoder, StoredImage

ROWS_AT_ONCE = 4096  # vectors held while streaming: 4 MB at 512 dimensions
_PARAMETERS_AT_ONCE = 500
_DAY_END = time.max.replace(fold=1)  # the later one, where clocks that go back at midnight show it twice
_Item = TypeVar("_Item")

_ORPHANS = "SELECT id FROM content WHERE orphaned_at IS NOT NULL"
_LIVE = f"content_id NOT IN ({_ORPHANS})"  # quicker than a join: few contents are orphans
# As a join, SQLite would begin with all vectors.
_HAS_VECTOR = "EXISTS (SELECT 1 FROM embedding WHERE content_id = content.id AND encoder_id = ?)"
_ENCODERS = "SELECT id, name, weights_hash, preprocessing, dimension, precision, background FROM encoder"
_FILES = "FROM file JOIN content ON content.id = file.content_id"
_FACTS = {  # what an answer tells of an image as the tables have it
    "content_id": "file.content_id",
    "content_hash": "content.sha256",
    "width": "content.width",
    "height": "content.height",
    "format": "content.format",
    "camera": "content.camera",
    "latitude": "content.latitude",
    "longitude": "content.longitude",
    "size": "file.size",
    "mtime_ns": "file.mtime_ns",
    "pixel_hash": "content.pixel_sha256",
}
_IMAGES = f"SELECT file.root_id, file.path, content.taken_at, {', '.join(_FACTS.values())} {_FILES}"


# One range, which the index serves; of it also `a!` and `a-b` are, which sort between `a` and `a/`.
AT_OR_BELOW = "file.path >= ? AND file.path < ? AND (file.path = ? OR file.path >= ?)"


class Condition(NamedTuple):
    """What rows must fulfil, in SQL, and the values of its question marks."""

    text: str
    values: tuple[Any, ...] = ()


def portions(items: Sequence[_Item], size: int = _PARAMETERS_AT_ONCE) -> Iterator[Sequence[_Item]]:
    """Cut a sequence to what one statement takes as parameters."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def blanks(items: Sequence[object]) -> str:
    """Give a question mark for each item, to stand within IN ()."""
    return ", ".join("?" * len(items))


def find_ids(connection: Connection, question: str, *values: Any) -> Ids:
    """Give the first column of an answer, which holds ids."""
    return np.fromiter((id for (id,) in connection.execute(question, values)), np.int64)


def find_number(connection: Connection, question: str, *values: Any) -> int:
    """Give the answer that is one number."""
    return int(connection.execute(question, values).fetchone()[0])


def _find_among(connection: Connection, question: str, items: Iterable[_Item], *values: Any) -> set[_Item]:
    """Give the first column of an answer about many items, which take the place of `{}` in the question."""
    found: set[_Item] = set()
    for portion in portions(list(set(items))):
        rows = connection.execute(question.format(blanks(portion)), (*portion, *values))
        found.update(item for (item,) in rows)
    return found


def get_setting(connection: Connection, key: str) -> str | None:
    """Give a setting's value."""
    row = connection.execute("SELECT value FROM setting WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def get_generation(connection: Connection) -> int:
    """Give the number of the last commit that changed vectors."""
    return int(get_setting(connection, "generation") or 0)


def get_roots(connection: Connection, library: Path) -> dict[int, Path]:
    """Give the roots' absolute paths by their ids."""
    rows = connection.execute("SELECT id, path FROM root")
    return {id: root_path(path, library) for id, path in rows}


def get_encoders(connection: Connection) -> tuple[StoredEncoder, ...]:
    """Give all encoders, oldest first."""
    rows = connection.execute(f"{_ENCODERS} ORDER BY id").fetchall()
    return tuple(_stored_encoder(connection, *row) for row in rows)


def get_encoder(connection: Connection, encoder_id: int) -> StoredEncoder:
    """Give one encoder."""
    row = connection.execute(f"{_ENCODERS} WHERE id = ?", (encoder_id,)).fetchone()
    if row is None:
        raise Malformed(f"its encoder {encoder_id} is missing")
    return _stored_encoder(connection, *row)


def _stored_encoder(connection: Connection, id: int, *facts: Any) -> StoredEncoder:
    *card, background = facts
    measured = None if background is None else json.loads(background)
    return StoredEncoder(id, card_from(*card), count_vectors(connection, id), measured)


def count_vectors(connection: Connection, encoder_id: int) -> int:
    """Count an encoder's live vectors."""
    mine = "SELECT count(*) FROM embedding WHERE encoder_id = ?"
    # Two counts over indexes take 8 ms at 200,000 images, one over the rows 60.
    orphans = find_number(connection, f"{mine} AND content_id IN ({_ORPHANS})", encoder_id)
    return find_number(connection, mine, encoder_id) - orphans


def count_lacking(connection: Connection, encoder_id: int, other_id: int) -> int:
    """Count the live vectors of an encoder whose contents have none of another encoder."""
    theirs = "SELECT content_id FROM embedding WHERE encoder_id = ?"
    mine = f"SELECT count(*) FROM embedding WHERE encoder_id = ? AND {_LIVE}"
    return find_number(connection, f"{mine} AND content_id NOT IN ({theirs})", encoder_id, other_id)


def stream_vectors(
    connection: Connection,
    encoder: StoredEncoder,
    *,
    after_generation: int | None = None,
    until_generation: int | None = None,
) -> Iterator[tuple[Ids, bytes]]:
    """Yield the live vectors, or those of some generations: ids in order, and their float16 rows."""
    wanted = [Condition("encoder_id = ?", (encoder.id,)), Condition(_LIVE)]
    if after_generation is not None:
        wanted.append(Condition("generation > ?", (after_generation,)))
    if until_generation is not None:  # nearly all of them: by the index of generations they would be sorted
        wanted.append(Condition("+generation <= ?", (until_generation,)))
    where, values = _all_of(wanted)
    question = f"SELECT content_id, vector FROM embedding WHERE {where} ORDER BY content_id"
    answer = connection.execute(question, values)
    while rows := answer.fetchmany(ROWS_AT_ONCE):
        yield _ids_and_blobs(rows, encoder)


def find_vectors(connection: Connection, encoder: StoredEncoder, ids: Iterable[int]) -> tuple[Ids, Vectors]:
    """Give the vectors of those contents that have one, live or not, in no particular order."""
    found: list[Ids] = [np.empty(0, np.int64)]
    vectors: list[Vectors] = [np.empty((0, encoder.card.dimension), np.float32)]
    question = "SELECT content_id, vector FROM embedding WHERE encoder_id = ? AND content_id IN"
    for portion in portions([int(id) for id in ids]):
        rows = connection.execute(f"{question} ({blanks(portion)})", (encoder.id, *portion)).fetchall()
        some, blobs = _ids_and_blobs(rows, encoder)
        found.append(some)
        vectors.append(as_vectors(blobs, encoder.card.dimension))
    return np.concatenate(found), np.concatenate(vectors)


def as_vectors(blobs: bytes, dimension: int) -> Vectors:
    """Read float16 rows as float32."""
    return np.frombuffer(blobs, "<f2").reshape(-1, dimension).astype(np.float32)


def _ids_and_blobs(rows: Sequence[Any], encoder: StoredEncoder) -> tuple[Ids, bytes]:
    blobs = b"".join([row[1] for row in rows])
    if len(blobs) != len(rows) * encoder.card.dimension * 2:
        raise Malformed("a vector has the wrong length, which `sightline verify` removes")
    return np.fromiter((row[0] for row in rows), np.int64, len(rows)), blobs


def dropped_since(connection: Connection, encoder_id: int, generation: int) -> Ids:
    """Give the contents whose vectors left after a generation."""
    question = "SELECT content_id FROM dropped WHERE encoder_id = ? AND generation > ?"
    return find_ids(connection, question, encoder_id, generation)


def changed_ids(connection: Connection, encoder_id: int, generation: int) -> Ids:
    """Give the contents whose vectors came, returned or left after a generation."""
    came = "SELECT content_id FROM embedding WHERE encoder_id = ? AND generation > ?"
    came_ids = find_ids(connection, came, encoder_id, generation)
    return np.union1d(came_ids, dropped_since(connection, encoder_id, generation))


def count_changed(connection: Connection, encoder_id: int, generation: int) -> int:
    """Count the vectors that came or left after a generation."""
    return sum(
        find_number(
            connection,
            f"SELECT count(*) FROM {table} WHERE encoder_id = ? AND generation > ?",
            encoder_id,
            generation,
        )
        for table in ("embedding", "dropped")
    )


def count_new(connection: Connection, encoder_id: int, generation: int) -> int:
    """Count the live vectors that came after a generation."""
    question = f"SELECT count(*) FROM embedding WHERE encoder_id = ? AND generation > ? AND {_LIVE}"
    return find_number(connection, question, encoder_id, generation)


def live_ids(connection: Connection, encoder_id: int) -> Ids:
    """Give the contents that are live and have a vector, in order."""
    question = f"SELECT content_id FROM embedding WHERE encoder_id = ? AND {_LIVE} ORDER BY content_id"
    return find_ids(connection, question, encoder_id)


def ids_of(connection: Connection, hashes: Iterable[bytes]) -> dict[bytes, int]:
    """Give the ids of those contents that are known."""
    found: dict[bytes, int] = {}
    for portion in portions(list(set(hashes))):
        question = f"SELECT sha256, id FROM content WHERE sha256 IN ({blanks(portion)})"
        found.update(connection.execute(question, portion))
    return found


def existing_ids(connection: Connection, ids: Iterable[int]) -> set[int]:
    """Give those contents that are in the catalog, orphans too."""
    return _find_among(connection, "SELECT id FROM content WHERE id IN ({})", map(int, ids))


def live_among(connection: Connection, ids: Iterable[int]) -> set[int]:
    """Give those contents that a file has at present."""
    question = "SELECT id FROM content WHERE id IN ({}) AND orphaned_at IS NULL"
    return _find_among(connection, question, map(int, ids))


def embedded_hashes(connection: Connection, encoder_id: int, hashes: Iterable[bytes]) -> set[bytes]:
    """Give those contents that have a vector of this encoder, orphans too."""
    question = f"SELECT sha256 FROM content WHERE sha256 IN ({{}}) AND {_HAS_VECTOR}"
    return _find_among(connection, question, hashes, encoder_id)


def kept_hashes(connection: Connection, hashes: Iterable[bytes]) -> set[bytes]:
    """Give those contents that no file has at present."""
    question = "SELECT sha256 FROM content WHERE sha256 IN ({}) AND orphaned_at IS NOT NULL"
    return _find_among(connection, question, hashes)


def sizes_embedded(connection: Connection, encoder_id: int, sizes: Iterable[int]) -> set[int]:
    """Give those file sizes that some content with a vector of this encoder has."""
    found: set[int] = set()
    for portion in portions(list(set(sizes))):
        # Asked by existence: uncompressed pictures of one camera all have one size.
        asked = f"WITH asked(size) AS (VALUES {', '.join(['(?)'] * len(portion))}) SELECT size FROM asked"
        some = f"SELECT 1 FROM content WHERE byte_size = asked.size AND {_HAS_VECTOR}"
        rows = connection.execute(f"{asked} WHERE EXISTS ({some})", (*portion, encoder_id))
        found.update(size for (size,) in rows)
    return found


def live_fingerprints(connection: Connection) -> Iterator[tuple[int, bytes | None, int | None]]:
    """Yield id, PDQ hash and its quality of each content that a file holds, in the order of ids."""
    columns = "id, perceptual_hash, perceptual_quality"
    yield from connection.execute(f"SELECT {columns} FROM content WHERE orphaned_at IS NULL ORDER BY id")


def live_pixel_hashes(connection: Connection) -> list[tuple[int, bytes]]:
    """Give id and pixel hash of each content that a file holds and that has one, in the order of ids."""
    where = "orphaned_at IS NULL AND pixel_sha256 IS NOT NULL"
    return connection.execute(f"SELECT id, pixel_sha256 FROM content WHERE {where} ORDER BY id").fetchall()


def filtered_ids(connection: Connection, filters: Filters, library: Path) -> Ids | None:
    """Give the contents that pass the filters, in order; None when all do."""
    conditions = _filter_conditions(connection, filters, library)
    if not conditions:
        return None
    where, values = _all_of(conditions)
    question = f"SELECT DISTINCT file.content_id {_FILES} WHERE {where} ORDER BY file.content_id"
    return find_ids(connection, question, *values)


def is_known(connection: Connection, root_id: int, path: str) -> bool:
    """Tell whether there are files at or below a path of a root, skipped ones too."""
    where, values = _at_or_below(root_id, path)
    return connection.execute(f"SELECT 1 FROM file WHERE {where} LIMIT 1", values).fetchone() is not None


def has_images(connection: Connection, folder: Path, library: Path) -> bool:
    """Tell whether there is an image at or below a folder."""
    where, values = _in_folder(folder, get_roots(connection, library))
    question = f"SELECT 1 FROM file WHERE ({where}) AND file.content_id IS NOT NULL LIMIT 1"
    return connection.execute(question, values).fetchone() is not None


def hashes_at(connection: Connection, file: Path, library: Path) -> set[bytes]:
    """Give what a file held when it was indexed, by its content hash; nothing for one that was not."""
    where, values = _in_folder(file, get_roots(connection, library))
    rows = connection.execute(f"SELECT content.sha256 {_FILES} WHERE {where}", values)
    return {sha for (sha,) in rows}


def get_folders(connection: Connection, library: Path) -> set[tuple[Path, str]]:
    """Give the folders that files with an image lie in: the root, and the path below it."""
    roots = get_roots(connection, library)
    rows = connection.execute("SELECT root_id, path FROM file WHERE content_id IS NOT NULL")
    found = {(root_id, path.rpartition("/")[0]) for root_id, path in rows}
    return {(roots[root_id], decode_name(folder)) for root_id, folder in found}


def find_images(
    connection: Connection, ids: Sequence[int], filters: Filters | None, library: Path
) -> dict[int, list[StoredImage]]:
    """Give all files of each content that pass the filters, in the order of their paths."""
    filters = filters or Filters()
    roots = get_roots(connection, library)
    conditions = [_left_to_ids(each) for each in _filter_conditions(connection, filters, library)]
    found: dict[int, list[StoredImage]] = {id: [] for id in _worth_asking(connection, ids, filters, library)}
    for portion in portions(list(found)):
        among = Condition(f"file.content_id IN ({blanks(portion)})", tuple(portion))
        where, values = _all_of([among, *conditions])
        for row in connection.execute(f"{_IMAGES} WHERE {where} ORDER BY file.root_id, file.path", values):
            image = _stored_image(row, roots)
            found[image.content_id].append(image)
    excluded = filters.exclude_contents
    return {id: images for id, images in found.items() if images and images[0].content_hash not in excluded}


def _worth_asking(
    connection: Connection, ids: Sequence[int], filters: Filters, library: Path
) -> Iterator[int]:
    """Yield the ids that may pass the filters: of many ids a folder may hold few."""
    allowed = filtered_ids(connection, filters, library) if len(ids) > _PARAMETERS_AT_ONCE else None
    among = None if allowed is None else set(allowed.tolist())
    yield from (int(id) for id in ids if among is None or int(id) in among)


def _left_to_ids(condition: Condition) -> Condition:
    """Keep SQLite from looking at all files of a folder for each portion of ids: a + hides the index."""
    return Condition(condition.text.replace("file.root_id", "+file.root_id"), condition.values)


def _stored_image(row: Sequence[Any], roots: dict[int, Path]) -> StoredImage:
    root_id, path, taken_at, *facts = row
    relative = decode_name(path)
    return StoredImage(
        path=roots[root_id] / relative,
        relative=relative,
        taken_at=None if taken_at is None else datetime.fromisoformat(taken_at),
        **dict(zip(_FACTS, facts, strict=True)),
    )


def _all_of(conditions: Iterable[Condition]) -> Condition:
    return _joined(" AND ", conditions)


def _any_of(conditions: Iterable[Condition]) -> Condition:
    return _joined(" OR ", conditions)


def _joined(word: str, conditions: Iterable[Condition]) -> Condition:
    texts, values = zip(*conditions, strict=True)
    return Condition(word.join(f"({text})" for text in texts), tuple(chain.from_iterable(values)))


def _filter_conditions(connection: Connection, filters: Filters, library: Path) -> list[Condition]:
    """Put the filters in terms of `file` joined with `content`."""
    conditions: list[Condition] = []
    if filters.folder is not None:
        conditions.append(_in_folder(filters.folder, get_roots(connection, library)))
    if filters.after is not None:
        conditions.append(_taken(datetime.combine(filters.after, time.min), later=True))
    if filters.before is not None:
        conditions.append(_taken(datetime.combine(filters.before, _DAY_END), later=False))
    if filters.camera is not None:
        cameras = _cameras(connection, filters.camera)
        conditions.append(Condition(f"content.camera IN ({blanks(cameras)})", tuple(cameras)))
    if filters.min_width is not None:
        conditions.append(Condition("content.width >= ?", (filters.min_width,)))
    if filters.min_height is not None:
        conditions.append(Condition("content.height >= ?", (filters.min_height,)))
    return conditions


def _in_folder(folder: Path, roots: dict[int, Path]) -> Condition:
    choices = _below_roots(folder, roots)
    if not choices and not folder.is_absolute():
        choices = [choice for id, root in roots.items() for choice in _below_roots(root / folder, {id: root})]
    return _any_of(choices) if choices else Condition("file.id IS NULL")


def _below_roots(folder: Path, roots: dict[int, Path]) -> list[Condition]:
    choices: list[Condition] = []
    for id, root in roots.items():
        below = relative_to(folder, root)
        if below is not None:
            choices.append(_at_or_below(id, below))
        elif relative_to(root, folder) is not None:
            choices.append(_at_or_below(id, ""))
    return choices


def _at_or_below(root_id: int, path: str) -> Condition:
    """Hold for the files at or below a path of a root; "" is all of it."""
    if not path:
        return Condition("file.root_id = ?", (root_id,))
    first, end = folder_range(path)
    names = (path, end, path, first)
    return Condition(f"file.root_id = ? AND {AT_OR_BELOW}", (root_id, *(encode_name(name) for name in names)))


def _taken(moment: datetime, *, later: bool) -> Condition:
    # Cameras tell local time without a zone; a file's time is put beside it by this machine's zone.
    nanoseconds = nanoseconds_of(moment)
    written = moment.isoformat(" ", "microseconds")  # as the schema's DateTime
    if later:
        by_camera, by_file = "content.taken_at >= ?", "file.mtime_ns >= ?"
    else:
        by_camera, by_file = "content.taken_at <= ?", "file.mtime_ns <= ? + 999"
    return Condition(f"{by_camera} OR (content.taken_at IS NULL AND {by_file})", (written, nanoseconds))


def _cameras(connection: Connection, part: str) -> list[str]:
    # SQLite folds the case of ASCII only; there are few cameras, and an index lists them.
    names = connection.execute("SELECT DISTINCT camera FROM content WHERE camera IS NOT NULL")
    return [name for (name,) in names if part.casefold() in name.casefold()]


def count_rows(connection: Connection) -> dict[str, int]:
    """Count contents that are live, files with an image, and contents kept without a file."""
    kept = find_number(connection, "SELECT count(*) FROM content WHERE orphaned_at IS NOT NULL")
    return {
        "images": find_number(connection, "SELECT count(*) FROM content") - kept,
        "files": count_files(connection),
        "kept": kept,
    }


def count_files(connection: Connection) -> int:
    """Count the files that hold an image."""
    return find_number(connection, "SELECT count(*) FROM file WHERE content_id IS NOT NULL")


def skipped_reasons(connection: Connection) -> tuple[tuple[str, int], ...]:
    """Give the reasons for which files were skipped and how many, the most frequent first."""
    rows = connection.execute(
        "SELECT skip_reason, count(*) FROM file WHERE skip_reason IS NOT NULL "
        "GROUP BY skip_reason ORDER BY count(*) DESC, skip_reason"
    )
    return tuple(rows)


def skipped_files(connection: Connection, library: Path) -> list[tuple[Path, str]]:
    """Give every skipped file with its reason, in order of paths."""
    roots = get_roots(connection, library)
    rows = connection.execute(
        "SELECT root_id, path, skip_reason FROM file WHERE skip_reason IS NOT NULL ORDER BY root_id, path"
    )
    return [(roots[root_id] / decode_name(path), reason) for root_id, path, reason in rows]


def preprocessing_text(fields: dict[str, Any]) -> str:
    """Write an encoder's preprocessing so that equal ones are equal text."""
    return json.dumps(fields, sort_keys=True)
