"""The catalog, written: contents, files and vectors come, leave and return, one batch a transaction."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, literal, or_, select, update
from sqlalchemy.dialects.sqlite import insert  # PostgreSQL's has the same on_conflict methods

from ..records import EncodedImage, EncoderCard, FoundFile, ImageFacts
from . import schema
from .catalog import get_generation, get_roots, ids_of, portions, preprocessing_text
from .engines import driver_of
from .folders import as_listed, folder_below
from .names import folder_range, real, relative_to, stored_root
from .pair_changes import put_features
from .root_identities import take_identities
from .vectors import IndexFile

content, embedding, file = schema.content, schema.embedding, schema.file
compared, dropped, setting = schema.compared, schema.dropped, schema.setting


@dataclass(frozen=True, slots=True)
class Place:
    """Where a scanned folder lies in the catalog: a root, and what precedes the scan's paths there."""

    root_id: int
    prefix: str  # "" for the root itself, else "2020/"

    def locate(self, relative: str) -> str:
        """Give the catalog's path of a scanned file."""
        return self.prefix + relative


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as its row will be."""

    root_id: int
    path: str
    found: FoundFile
    content_hash: bytes | None
    skip_reason: str | None = None
    linked: bool = False  # the content was known before its file was
    only_if_new: bool = False  # a row that is there stays as it is


@dataclass(frozen=True, slots=True)
class ContentChange:
    """Which contents a batch gave to files and took from files, one item for each file."""

    linked: tuple[int, ...]
    lost: tuple[int, ...]


def put_setting(connection: Connection, key: str, value: str) -> None:
    """Write a setting."""
    row = insert(setting).values(key=key, value=value)
    connection.execute(row.on_conflict_do_update(index_elements=["key"], set_={"value": value}))


def next_generation(connection: Connection) -> int:
    """Number this transaction's change of vectors."""
    generation = get_generation(driver_of(connection)) + 1
    put_setting(connection, "generation", str(generation))
    return generation


def put_encoder(connection: Connection, card: EncoderCard) -> int:
    """Find or make the row of an encoder of the same space; it is what is indexed with from now on.

    The row goes by the name given last: the same weights may lie in a folder with a patch head beside them.
    """
    preprocessing = preprocessing_text(dataclasses.asdict(card.preprocessing))
    same = {"weights_hash": card.weights_hash, "preprocessing": preprocessing, "dimension": card.dimension}
    row = insert(schema.encoder).values(name=card.name, precision=card.precision, **same)
    renamed = row.on_conflict_do_update(index_elements=list(same), set_={"name": row.excluded.name})
    connection.execute(renamed)
    found = connection.execute(select(schema.encoder.c.id).filter_by(**same)).scalar_one()
    put_setting(connection, "indexing_encoder", str(found))
    return int(found)


def put_default_encoder(connection: Connection, encoder_id: int) -> None:
    """Let searches use an encoder."""
    put_setting(connection, "default_encoder", str(encoder_id))


def put_root(connection: Connection, path: Path, library: Path, now: int) -> Place:
    """Find the place of a folder, or make it a root; its root takes over those at or below it.

    Roots never overlap, so that no file is stored twice: not under another name of its folder either.
    """
    roots = get_roots(driver_of(connection), library)
    place = _find_place(path, roots)
    if place is None:
        row = insert(schema.root).values(path=stored_root(path, library))
        place = Place(int(connection.execute(row.returning(schema.root.c.id)).scalar_one()), "")
    outer = roots.get(place.root_id, path)
    for id, root in roots.items():
        below = _listed_below(root, outer) if id != place.root_id else None
        if below is not None:
            _move_root(connection, id, place.root_id, _prefix(below), now)
    return place


def find_places(connection: Connection, folders: Iterable[Path], library: Path) -> dict[Path, Place]:
    """Find the places of folders that lie in roots."""
    roots = get_roots(driver_of(connection), library)
    places = {folder: _find_place(folder, roots) for folder in folders}
    return {folder: place for folder, place in places.items() if place is not None}


def _find_place(path: Path, roots: Mapping[int, Path]) -> Place | None:
    listed = as_listed(path)
    for id, root in roots.items():
        below = folder_below(listed, root)
        if below is not None:
            return Place(id, _prefix(below))
    return None


def _listed_below(root: Path, outer: Path) -> str | None:
    if folder_below(real(root), outer) is None:  # costs less than listing, and there may be thousands
        return None
    return folder_below(as_listed(root), outer)


def _prefix(below: str) -> str:
    return f"{below}/" if below else ""


def _move_root(connection: Connection, inner: int, outer: int, prefix: str, now: int) -> None:
    take_identities(connection, {inner, outer})  # what comes may be on another device
    path = literal(prefix, schema.FilePath()) + file.c.path
    inside = file.c.root_id == inner
    # An older program may have taken two names of one folder for two roots: what is there already stays.
    connection.execute(update(file).prefix_with("OR IGNORE").where(inside).values(root_id=outer, path=path))
    twice = select(file.c.content_id).where(inside, file.c.content_id.is_not(None)).distinct()
    former = connection.execute(twice).scalars().all()
    connection.execute(delete(file).where(inside))
    if former:
        orphan(connection, former, next_generation(connection), now)
    connection.execute(delete(schema.root).where(schema.root.c.id == inner))


def at_or_below(root_id: int, path: str) -> ColumnElement[bool]:
    """Hold for the files at or below a path of a root; "" is all of it."""
    if not path:
        return file.c.root_id == root_id
    first, end = folder_range(path)
    # One range, which the index serves, then what of it is meant: see the catalog's AT_OR_BELOW.
    in_range = and_(file.c.path >= path, file.c.path < end)
    return and_(file.c.root_id == root_id, in_range, or_(file.c.path == path, file.c.path >= first))


def commit_entries(
    connection: Connection,
    encoder_id: int,
    entries: Sequence[Entry],
    encoded: Sequence[EncodedImage],
    now: int,
) -> ContentChange:
    """Write a batch; tell which contents won and which lost a file by it.

    `encoded` brings the contents and vectors that `entries` refer to; other contents must be there.
    """
    generation = next_generation(connection)
    entries = _without_known(connection, entries)
    _put_contents(connection, encoded)
    hashes = [entry.content_hash for entry in entries if entry.content_hash is not None]
    ids = ids_of(driver_of(connection), hashes)
    _put_vectors(connection, encoder_id, generation, encoded, ids)
    put_features(
        connection,
        {ids[i.facts.content_hash]: i.facts.features for i in encoded if i.facts.features is not None},
    )
    former = _former_contents(connection, entries)
    _put_files(connection, entries, ids)
    revive(connection, ids.values(), generation)
    change = _compare(entries, ids, former)
    orphan(connection, change.lost, generation, now)
    return change


def _without_known(connection: Connection, entries: Sequence[Entry]) -> list[Entry]:
    """Leave out the entries that would only be written if their files had no row."""
    doubtful = {(entry.root_id, entry.path) for entry in entries if entry.only_if_new}
    known = {
        (root_id, path)
        for root_id in {root_id for root_id, _ in doubtful}
        for portion in portions([path for id, path in doubtful if id == root_id])
        for path in connection.execute(
            select(file.c.path).where(file.c.root_id == root_id, file.c.path.in_(portion))
        ).scalars()
    }
    return [entry for entry in entries if not entry.only_if_new or (entry.root_id, entry.path) not in known]


def _compare(
    entries: Sequence[Entry], ids: dict[bytes, int], former: dict[tuple[int, str], int]
) -> ContentChange:
    lost: list[int] = []
    taken_over: list[int] = []
    for entry in entries:
        before = former.get((entry.root_id, entry.path))
        after = None if entry.content_hash is None else ids[entry.content_hash]
        if before is not None and before != after:
            lost.append(before)
        if entry.linked and after is not None and before != after:
            taken_over.append(after)
    return ContentChange(tuple(taken_over), tuple(lost))


def _put_contents(connection: Connection, encoded: Sequence[EncodedImage]) -> None:
    if not encoded:
        return
    rows = [_content_row(image.facts, image.file.size) for image in encoded]
    row = insert(content)
    facts: dict[str, Any] = {
        name: row.excluded[name] for name in rows[0] if name not in ("sha256", "byte_size")
    }
    # Another encoder's size may have the same file come reduced.
    facts["pixel_sha256"] = func.coalesce(row.excluded.pixel_sha256, content.c.pixel_sha256)
    connection.execute(row.on_conflict_do_update(index_elements=["sha256"], set_=facts), rows)


def _content_row(facts: ImageFacts, byte_size: int) -> dict[str, Any]:
    return {
        "sha256": facts.content_hash,
        "byte_size": byte_size,
        "width": facts.width,
        "height": facts.height,
        "format": facts.format,
        "taken_at": facts.taken_at,
        "camera": facts.camera,
        "latitude": facts.latitude,
        "longitude": facts.longitude,
        "perceptual_hash": facts.perceptual_hash,
        "perceptual_quality": facts.perceptual_quality,
        "pixel_sha256": facts.pixel_hash,
    }


def _put_vectors(
    connection: Connection,
    encoder_id: int,
    generation: int,
    encoded: Sequence[EncodedImage],
    ids: dict[bytes, int],
) -> None:
    if not encoded:
        return
    rows: list[dict[str, Any]] = [
        {
            "encoder_id": encoder_id,
            "content_id": ids[image.facts.content_hash],
            "generation": generation,
            "vector": image.vector.astype("<f2").tobytes(),
        }
        for image in encoded
    ]
    connection.execute(insert(embedding).on_conflict_do_nothing(), rows)
    _undrop(connection, [row["content_id"] for row in rows], encoder_id)


def _former_contents(connection: Connection, entries: Sequence[Entry]) -> dict[tuple[int, str], int]:
    former: dict[tuple[int, str], int] = {}
    for root_id in {entry.root_id for entry in entries}:
        for portion in portions([entry.path for entry in entries if entry.root_id == root_id]):
            query = select(file.c.path, file.c.content_id).where(
                file.c.root_id == root_id, file.c.path.in_(portion), file.c.content_id.is_not(None)
            )
            former.update(((root_id, path), id) for path, id in connection.execute(query))
    return former


def _put_files(connection: Connection, entries: Sequence[Entry], ids: dict[bytes, int]) -> None:
    if not entries:
        return
    rows = [
        {
            "root_id": entry.root_id,
            "path": entry.path,
            "size": entry.found.size,
            "mtime_ns": entry.found.mtime_ns,
            "content_id": ids[entry.content_hash] if entry.content_hash is not None else None,
            "skip_reason": entry.skip_reason,
        }
        for entry in entries
    ]
    row = insert(file)
    changed = {name: row.excluded[name] for name in ("size", "mtime_ns", "content_id", "skip_reason")}
    connection.execute(row.on_conflict_do_update(index_elements=["root_id", "path"], set_=changed), rows)


def revive(connection: Connection, ids: Collection[int], generation: int) -> None:
    """Bring back what was kept without a file and has one again."""
    for portion in portions(list(ids)):
        query = select(content.c.id).where(content.c.id.in_(portion), content.c.orphaned_at.is_not(None))
        back = connection.execute(query).scalars().all()
        if not back:
            continue
        connection.execute(update(content).where(content.c.id.in_(back)).values(orphaned_at=None))
        connection.execute(
            update(embedding).where(embedding.c.content_id.in_(back)).values(generation=generation)
        )
        _undrop(connection, back)


def _undrop(connection: Connection, ids: Sequence[int], encoder_id: int | None = None) -> None:
    for portion in portions(ids):
        statement = delete(dropped).where(dropped.c.content_id.in_(portion))
        if encoder_id is not None:
            statement = statement.where(dropped.c.encoder_id == encoder_id)
        connection.execute(statement)


def orphan(connection: Connection, ids: Iterable[int], generation: int, now: int) -> list[int]:
    """Take those contents out of the results that no file has any more, and keep them; give their ids."""
    gone: list[int] = []
    for portion in portions(sorted(set(ids))):
        query = select(content.c.id).where(content.c.id.in_(portion), _WITHOUT_FILE)
        gone += connection.execute(query).scalars().all()
    for portion in portions(gone):
        drop_vectors(connection, portion, generation)
        connection.execute(update(content).where(content.c.id.in_(portion)).values(orphaned_at=now))
        # Who comes back must be compared with what came meanwhile.
        connection.execute(delete(compared).where(compared.c.content_id.in_(portion)))
    return gone


_WITHOUT_FILE = ~exists(select(file.c.id).where(file.c.content_id == content.c.id))


def drop_vectors(
    connection: Connection, ids: Sequence[int], generation: int, encoder_id: int | None = None
) -> None:
    """Note that these contents' vectors must no longer answer, for FAISS files that still have them."""
    which: list[ColumnElement[bool]] = [embedding.c.content_id.in_(ids)]
    if encoder_id is not None:
        which.append(embedding.c.encoder_id == encoder_id)
    row = insert(dropped)
    connection.execute(
        row.from_select(
            ["encoder_id", "content_id", "generation"],
            select(embedding.c.encoder_id, embedding.c.content_id, literal(generation)).where(*which),
        ).on_conflict_do_update(
            index_elements=["encoder_id", "content_id"], set_={"generation": row.excluded.generation}
        )
    )


def put_index_file(connection: Connection, encoder_id: int, written: IndexFile) -> None:
    """Record a FAISS file; what it no longer has need not be told as dropped."""
    values = dataclasses.asdict(written)
    row = insert(schema.index_file).values(encoder_id=encoder_id, **values)
    connection.execute(row.on_conflict_do_update(index_elements=["encoder_id"], set_=values))
    old = (dropped.c.encoder_id == encoder_id) & (dropped.c.generation <= written.generation)
    connection.execute(delete(dropped).where(old))


def delete_vectors(connection: Connection, encoder_id: int, ids: Sequence[int]) -> None:
    """Delete vectors of one encoder, and note them as dropped."""
    generation = next_generation(connection)
    for portion in portions(ids):
        drop_vectors(connection, portion, generation, encoder_id)
        mine = (embedding.c.encoder_id == encoder_id) & embedding.c.content_id.in_(portion)
        connection.execute(delete(embedding).where(mine))


def delete_contents(connection: Connection, ids: Sequence[int]) -> None:
    """Delete contents with their vectors for good."""
    for portion in portions(ids):
        connection.execute(delete(embedding).where(embedding.c.content_id.in_(portion)))
        connection.execute(delete(content).where(content.c.id.in_(portion)))


def forget_files(connection: Connection, path: Path, library: Path, now: int) -> int:
    """Delete the files at or below a path, and the contents that no other file has; count the files."""
    forgotten = 0
    former: list[int] = []
    for id, root in get_roots(driver_of(connection), library).items():
        below = relative_to(path, root)
        if below is None and relative_to(root, path) is None:
            continue
        condition = at_or_below(id, below or "")
        query = select(file.c.content_id).where(condition, file.c.content_id.is_not(None)).distinct()
        former += connection.execute(query).scalars().all()
        forgotten += connection.execute(delete(file).where(condition)).rowcount
        if not below:
            connection.execute(delete(schema.root).where(schema.root.c.id == id))
    if former:
        delete_contents(connection, orphan(connection, former, next_generation(connection), now))
    return forgotten


def expire(connection: Connection, before: int | None = None) -> int:
    """Delete what has been kept without a file since before a moment (seconds since 1970); count it.

    None: all of it, whatever the clock said when it was orphaned.
    """
    condition = content.c.orphaned_at.is_not(None) if before is None else content.c.orphaned_at < before
    gone = connection.execute(select(content.c.id).where(condition)).scalars().all()
    delete_contents(connection, gone)
    return len(gone)
