"""The catalog, read: every question that is put to a library's tables."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, or_, select

from ..records import Ids, Vectors
from . import schema
from .failures import Malformed
from .names import folder_range, relative_to, root_path
from .peek import card_from
from .records import Filters, StoredEncoder, StoredImage

ROWS_AT_ONCE = 4096  # vectors held while streaming: 4 MB at 512 dimensions
_PARAMETERS_AT_ONCE = 500
_Item = TypeVar("_Item")

content, embedding, file = schema.content, schema.embedding, schema.file
_ORPHANS = select(content.c.id).where(content.c.orphaned_at.is_not(None))
LIVE = embedding.c.content_id.not_in(_ORPHANS)  # quicker than a join: few contents are orphans


def portions(items: Sequence[_Item], size: int = _PARAMETERS_AT_ONCE) -> Iterator[Sequence[_Item]]:
    """Cut a sequence to what one statement takes as parameters."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def get_setting(connection: Connection, key: str) -> str | None:
    """Give a setting's value."""
    found: str | None = connection.execute(
        select(schema.setting.c.value).where(schema.setting.c.key == key)
    ).scalar()
    return found


def get_generation(connection: Connection) -> int:
    """Give the number of the last commit that changed vectors."""
    return int(get_setting(connection, "generation") or 0)


def get_roots(connection: Connection, library: Path) -> dict[int, Path]:
    """Give the roots' absolute paths by their ids."""
    rows = connection.execute(select(schema.root.c.id, schema.root.c.path))
    return {id: root_path(path, library) for id, path in rows}


def get_encoders(connection: Connection) -> tuple[StoredEncoder, ...]:
    """Give all encoders, oldest first."""
    rows = connection.execute(select(schema.encoder).order_by(schema.encoder.c.id)).all()
    return tuple(_stored_encoder(connection, row) for row in rows)


def get_encoder(connection: Connection, encoder_id: int) -> StoredEncoder:
    """Give one encoder."""
    row = connection.execute(select(schema.encoder).where(schema.encoder.c.id == encoder_id)).one()
    return _stored_encoder(connection, row)


def _stored_encoder(connection: Connection, row: Row[Any]) -> StoredEncoder:
    card = card_from(row.name, row.weights_hash, row.preprocessing, row.dimension, row.precision)
    return StoredEncoder(row.id, card, count_vectors(connection, row.id), row.background)


def count_vectors(connection: Connection, encoder_id: int) -> int:
    """Count an encoder's live vectors."""
    mine = select(func.count()).where(embedding.c.encoder_id == encoder_id)
    # Two counts over indexes take 8 ms at 200,000 images, one over the rows 60.
    orphans = mine.where(embedding.c.content_id.in_(_ORPHANS))
    return int(connection.execute(mine).scalar_one()) - int(connection.execute(orphans).scalar_one())


def stream_vectors(
    connection: Connection,
    encoder: StoredEncoder,
    *,
    after_generation: int | None = None,
    until_generation: int | None = None,
) -> Iterator[tuple[Ids, bytes]]:
    """Yield the live vectors, or those of some generations: ids in order, and their float16 rows."""
    query = select(embedding.c.content_id, embedding.c.vector).where(
        embedding.c.encoder_id == encoder.id, LIVE
    )
    if after_generation is not None:
        query = query.where(embedding.c.generation > after_generation)
    if until_generation is not None:
        query = query.where(embedding.c.generation <= until_generation)
    result = connection.execute(query.order_by(embedding.c.content_id))
    while rows := result.fetchmany(ROWS_AT_ONCE):
        yield _ids_and_blobs(rows, encoder)
    result.close()


def find_vectors(connection: Connection, encoder: StoredEncoder, ids: Iterable[int]) -> tuple[Ids, Vectors]:
    """Give the vectors of those contents that have one, live or not, in no particular order."""
    found: list[Ids] = [np.empty(0, np.int64)]
    vectors: list[Vectors] = [np.empty((0, encoder.card.dimension), np.float32)]
    for portion in portions([int(id) for id in ids]):
        rows = connection.execute(
            select(embedding.c.content_id, embedding.c.vector).where(
                embedding.c.encoder_id == encoder.id, embedding.c.content_id.in_(portion)
            )
        ).all()
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
    dropped = schema.dropped
    found = connection.execute(
        select(dropped.c.content_id).where(
            dropped.c.encoder_id == encoder_id, dropped.c.generation > generation
        )
    ).scalars()
    return np.fromiter(found, np.int64)


def changed_ids(connection: Connection, encoder_id: int, generation: int) -> Ids:
    """Give the contents whose vectors came, returned or left after a generation."""
    came = select(embedding.c.content_id).where(
        embedding.c.encoder_id == encoder_id, embedding.c.generation > generation
    )
    came_ids = np.fromiter(connection.execute(came).scalars(), np.int64)
    return np.union1d(came_ids, dropped_since(connection, encoder_id, generation))


def count_changed(connection: Connection, encoder_id: int, generation: int) -> int:
    """Count the vectors that came or left after a generation."""
    came = select(func.count()).where(
        embedding.c.encoder_id == encoder_id, embedding.c.generation > generation
    )
    left = select(func.count()).where(
        schema.dropped.c.encoder_id == encoder_id, schema.dropped.c.generation > generation
    )
    return int(connection.execute(came).scalar_one()) + int(connection.execute(left).scalar_one())


def live_ids(connection: Connection, encoder_id: int) -> Ids:
    """Give the contents that are live and have a vector, in order."""
    query = select(embedding.c.content_id).where(embedding.c.encoder_id == encoder_id, LIVE)
    return np.fromiter(connection.execute(query.order_by(embedding.c.content_id)).scalars(), np.int64)


def ids_of(connection: Connection, hashes: Iterable[bytes]) -> dict[bytes, int]:
    """Give the ids of those contents that are known."""
    found: dict[bytes, int] = {}
    for portion in portions(list(set(hashes))):
        rows = connection.execute(select(content.c.sha256, content.c.id).where(content.c.sha256.in_(portion)))
        found.update((sha, id) for sha, id in rows)
    return found


def embedded_hashes(connection: Connection, encoder_id: int, hashes: Iterable[bytes]) -> set[bytes]:
    """Give those contents that have a vector of this encoder, orphans too."""
    found: set[bytes] = set()
    for portion in portions(list(set(hashes))):
        query = select(content.c.sha256).where(content.c.sha256.in_(portion), _has_vector(encoder_id))
        found.update(connection.execute(query).scalars())
    return found


def kept_hashes(connection: Connection, hashes: Iterable[bytes]) -> set[bytes]:
    """Give those contents that no file has at present."""
    found: set[bytes] = set()
    for portion in portions(list(set(hashes))):
        query = select(content.c.sha256).where(
            content.c.sha256.in_(portion), content.c.orphaned_at.is_not(None)
        )
        found.update(connection.execute(query).scalars())
    return found


def sizes_embedded(connection: Connection, encoder_id: int, sizes: Iterable[int]) -> set[int]:
    """Give those file sizes that some content with a vector of this encoder has."""
    found: set[int] = set()
    for portion in portions(list(set(sizes))):
        query = select(content.c.byte_size).where(content.c.byte_size.in_(portion), _has_vector(encoder_id))
        found.update(connection.execute(query).scalars())
    return found


def _has_vector(encoder_id: int) -> ColumnElement[bool]:
    # As a join, SQLite would begin with all vectors.
    return exists(
        select(embedding.c.content_id).where(
            embedding.c.content_id == content.c.id, embedding.c.encoder_id == encoder_id
        )
    )


def live_fingerprints(connection: Connection) -> Iterator[tuple[int, bytes | None, int | None]]:
    """Yield id, PDQ hash and its quality of each content that a file holds, in the order of ids."""
    columns = (content.c.id, content.c.perceptual_hash, content.c.perceptual_quality)
    query = select(*columns).where(content.c.orphaned_at.is_(None)).order_by(content.c.id)
    result = connection.execute(query)
    while rows := result.fetchmany(ROWS_AT_ONCE):
        yield from ((row[0], row[1], row[2]) for row in rows)
    result.close()


def live_pixel_hashes(connection: Connection) -> list[tuple[int, bytes]]:
    """Give id and pixel hash of each content that a file holds and that has one, in the order of ids."""
    query = select(content.c.id, content.c.pixel_sha256).where(
        content.c.orphaned_at.is_(None), content.c.pixel_sha256.is_not(None)
    )
    return [(row[0], row[1]) for row in connection.execute(query.order_by(content.c.id))]


def filtered_ids(connection: Connection, filters: Filters, library: Path) -> Ids | None:
    """Give the contents that pass the filters, in order; None when all do."""
    conditions = filter_conditions(connection, filters, library)
    if not conditions:
        return None
    query = select(file.c.content_id).join(content, content.c.id == file.c.content_id)
    query = query.where(*conditions).distinct().order_by(file.c.content_id)
    return np.fromiter(connection.execute(query).scalars(), np.int64)


def find_images(
    connection: Connection, ids: Sequence[int], filters: Filters | None, library: Path
) -> dict[int, list[StoredImage]]:
    """Give all files of each content that pass the filters, in the order of their paths."""
    roots = get_roots(connection, library)
    conditions = filter_conditions(connection, filters or Filters(), library)
    found: dict[int, list[StoredImage]] = {int(id): [] for id in ids}
    for portion in portions(list(found)):
        query = _images_query().where(file.c.content_id.in_(portion), *conditions)
        for row in connection.execute(query.order_by(file.c.root_id, file.c.path)):
            found[row.content_id].append(_stored_image(row, roots))
    excluded = (filters or Filters()).exclude_contents
    return {id: images for id, images in found.items() if images and images[0].content_hash not in excluded}


def _images_query() -> Select[Any]:
    facts = [column for column in content.c if column.key not in ("id", "byte_size", "orphaned_at")]
    columns = (file.c.root_id, file.c.content_id, file.c.path, file.c.size, file.c.mtime_ns, *facts)
    return select(*columns).join(content, content.c.id == file.c.content_id)


def _stored_image(row: Row[Any], roots: dict[int, Path]) -> StoredImage:
    return StoredImage(
        content_id=row.content_id,
        path=roots[row.root_id] / row.path,
        relative=row.path,
        content_hash=row.sha256,
        width=row.width,
        height=row.height,
        format=row.format,
        taken_at=row.taken_at,
        camera=row.camera,
        latitude=row.latitude,
        longitude=row.longitude,
        size=row.size,
        mtime_ns=row.mtime_ns,
        pixel_hash=row.pixel_sha256,
    )


def filter_conditions(connection: Connection, filters: Filters, library: Path) -> list[ColumnElement[bool]]:
    """Put the filters in terms of `file` joined with `content`."""
    conditions: list[ColumnElement[bool]] = []
    if filters.folder is not None:
        conditions.append(_in_folder(filters.folder, get_roots(connection, library)))
    if filters.after is not None:
        conditions.append(_taken(datetime.combine(filters.after, time.min), later=True))
    if filters.before is not None:
        conditions.append(_taken(datetime.combine(filters.before, time.max), later=False))
    if filters.camera is not None:
        conditions.append(content.c.camera.in_(_cameras(connection, filters.camera)))
    if filters.min_width is not None:
        conditions.append(content.c.width >= filters.min_width)
    if filters.min_height is not None:
        conditions.append(content.c.height >= filters.min_height)
    return conditions


def _in_folder(folder: Path, roots: dict[int, Path]) -> ColumnElement[bool]:
    choices = _below_roots(folder, roots)
    if not choices and not folder.is_absolute():
        choices = [choice for id, root in roots.items() for choice in _below_roots(root / folder, {id: root})]
    return or_(*choices) if choices else file.c.id.is_(None)


def _below_roots(folder: Path, roots: dict[int, Path]) -> list[ColumnElement[bool]]:
    choices: list[ColumnElement[bool]] = []
    for id, root in roots.items():
        below = relative_to(folder, root)
        if below is not None:
            choices.append(at_or_below(id, below))
        elif relative_to(root, folder) is not None:
            choices.append(file.c.root_id == id)
    return choices


def at_or_below(root_id: int, path: str) -> ColumnElement[bool]:
    """Hold for the files at or below a path of a root; "" is all of it."""
    if not path:
        return file.c.root_id == root_id
    first, end = folder_range(path)
    return and_(
        file.c.root_id == root_id, or_(file.c.path == path, and_(file.c.path >= first, file.c.path < end))
    )


def _taken(moment: datetime, *, later: bool) -> ColumnElement[bool]:
    # Cameras tell local time without a zone; a file's time is put beside it by this machine's zone.
    year = min(max(moment.year, 1970), 2261)  # what 64 bits of nanoseconds and all systems can tell
    nanoseconds = round(moment.replace(year=year).timestamp() * 1_000_000) * 1000
    if later:
        by_camera, by_file = content.c.taken_at >= moment, file.c.mtime_ns >= nanoseconds
    else:
        by_camera, by_file = content.c.taken_at <= moment, file.c.mtime_ns < nanoseconds + 1000
    return or_(by_camera, and_(content.c.taken_at.is_(None), by_file))


def _cameras(connection: Connection, part: str) -> list[str]:
    # SQLite folds the case of ASCII only; there are few cameras, and an index lists them.
    names = connection.execute(select(content.c.camera).distinct().where(content.c.camera.is_not(None)))
    return [name for name in names.scalars() if part.casefold() in name.casefold()]


def count_rows(connection: Connection) -> dict[str, int]:
    """Count contents that are live, files with an image, and contents kept without a file."""
    kept = select(func.count()).select_from(content).where(content.c.orphaned_at.is_not(None))
    files = select(func.count()).where(file.c.content_id.is_not(None))
    kept_count = int(connection.execute(kept).scalar_one())
    return {
        "images": int(connection.execute(select(func.count()).select_from(content)).scalar_one())
        - kept_count,
        "files": int(connection.execute(files).scalar_one()),
        "kept": kept_count,
    }


def skipped_reasons(connection: Connection) -> tuple[tuple[str, int], ...]:
    """Give the reasons for which files were skipped and how many, the most frequent first."""
    count = func.count()
    query = select(file.c.skip_reason, count).where(file.c.skip_reason.is_not(None))
    rows = connection.execute(query.group_by(file.c.skip_reason).order_by(count.desc(), file.c.skip_reason))
    return tuple((reason, number) for reason, number in rows)


def skipped_files(connection: Connection, library: Path) -> list[tuple[Path, str]]:
    """Give every skipped file with its reason, in order of paths."""
    roots = get_roots(connection, library)
    query = select(file.c.root_id, file.c.path, file.c.skip_reason).where(file.c.skip_reason.is_not(None))
    rows = connection.execute(query.order_by(file.c.root_id, file.c.path))
    return [(roots[root_id] / path, reason) for root_id, path, reason in rows]


def preprocessing_text(fields: dict[str, Any]) -> str:
    """Write an encoder's preprocessing so that equal ones are equal text."""
    return json.dumps(fields, sort_keys=True)
