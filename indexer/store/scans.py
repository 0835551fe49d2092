"""Scans: which files a run has seen, so that those it has not can leave at its end."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    Table,
    delete,
    func,
    insert,
    select,
)

from ..paths import identity_of
from ..records import FoundFile
from . import schema
from .catalog import portions, sizes_embedded
from .changes import ContentChange, Place, at_or_below, next_generation, orphan
from .engines import driver_of
from .names import real, relative_to
from .records import Known, ScanOutcome
from .root_identities import Identity, note_identities, take_identities

file, embedding = schema.file, schema.embedding

# They live in SQLite's temporary store, a file: a million paths seen must not grow the memory.
_temporary = MetaData()
_seen = Table("scan_seen", _temporary, Column("file_id", Integer, primary_key=True), prefixes=["TEMPORARY"])
_linked = Table("scan_linked", _temporary, Column("content_id", Integer), prefixes=["TEMPORARY"])
_lost = Table("scan_lost", _temporary, Column("content_id", Integer), prefixes=["TEMPORARY"])
_gone = Table(
    "scan_gone",
    _temporary,
    Column("file_id", Integer, primary_key=True),
    Column("content_id", Integer),
    prefixes=["TEMPORARY"],
)


@dataclass(frozen=True, slots=True)
class _Look:
    """What a folder and its root are at one moment."""

    folder: Identity | None
    root: Identity | None  # None also where another drive could be mounted instead


class Scan:
    """What has been seen since the scan began."""

    def __init__(
        self, connection: Connection, folders: Collection[Path], places: Mapping[Path, Place], library: Path
    ) -> None:
        _temporary.drop_all(connection)
        _temporary.create_all(connection)
        self._folders = folders
        self._within = _within(folders)
        self._places = places
        self._library = library
        self._files_found: Counter[Path] = Counter()
        self._devices: defaultdict[Path, set[int | None]] = defaultdict(set)  # where these files are
        self._looks: defaultdict[Path, list[_Look]] = defaultdict(list)
        # A run that is interrupted leaves files of which none of them tells anything.
        self._identities = take_identities(connection, {places[folder].root_id for folder in folders})

    def look_at(self, folder: Path) -> None:
        """Note what a folder is, right before it is listed and right after: a drive may come or go later."""
        root = self._root_of(folder)
        identity = identity_of(root)
        is_told = identity is not None and self._is_at_hand(identity[0])
        self._looks[folder].append(_Look(identity_of(folder), identity if is_told else None))

    def classify(
        self, connection: Connection, folder: Path, files: Sequence[FoundFile], encoder_id: int
    ) -> list[Known]:
        """Tell what the catalog knows of each file, and note them as seen."""
        self._files_found[folder] += len(files)
        parents = {found.relative.rpartition("/")[0] for found in files}
        self._devices[folder].update(_device_of(folder / parent) for parent in parents)
        place = self._places[folder]
        known: list[Known] = []
        for portion in portions(files):
            known += _classify(connection, place, portion, encoder_id)
        return known

    def note_commit(
        self, connection: Connection, paths: Iterable[tuple[int, str]], change: ContentChange
    ) -> None:
        """Note files as seen that a commit has just written, and what their contents did."""
        _mark_paths(connection, list(paths))
        for table, ids in ((_linked, change.linked), (_lost, change.lost)):
            if ids:
                connection.execute(insert(table), [{"content_id": id} for id in ids])

    def finish(self, connection: Connection, unreadable: Collection[Path], now: int) -> ScanOutcome:
        """Let the files leave that were not seen and could have been.

        What is at or below an unreadable path stays. So does what is left of a folder in which nothing was
        found, unless it is known that it was emptied: more often its drive is not mounted. A file of such a
        folder has moved when this run found its content somewhere else for the first time.
        """
        absent = self._absent(connection, unreadable)
        for folder in self._folders:
            if folder not in absent:
                _collect_gone(connection, self._places[folder])
        for folder in absent:  # it may lie in one that is there
            self._spare(connection, folder)
        for folder in absent:
            if not self._may_be_unplugged(folder):
                _collect_gone(connection, self._places[folder], only_linked=True)
        for path in unreadable:
            self._spare(connection, path)
        removed, moved = _remove_gone(connection, now)
        note_identities(connection, self._seen_identities(absent, unreadable))
        left = tuple(folder for folder in absent if _any_known(connection, self._places[folder]))
        return ScanOutcome(removed, moved, left)

    def _absent(self, connection: Connection, unreadable: Collection[Path]) -> tuple[Path, ...]:
        """Give the folders that had files, have none now, and may be away with their drive."""
        return tuple(
            folder
            for folder in self._folders
            if not any(self._files_found[found] for found in self._within[folder])
            and _any_known(connection, self._places[folder])
            and not self._is_emptied(folder, unreadable)
        )

    def _is_emptied(self, folder: Path, unreadable: Collection[Path]) -> bool:
        """Tell whether a folder without files could be listed, and is on the device where these were."""
        if any(relative_to(folder, path) is not None for path in unreadable):
            return False
        return self._was_there(folder)

    def _was_there(self, folder: Path) -> bool:
        """Tell whether what was listed is the folder that had the images: no mount point, no other drive."""
        look = self._sure_look(folder)
        known = self._identities.get(self._places[folder].root_id)
        if look is None or look.folder is None or known is None:
            return False
        return look.root == known and look.folder[0] == known[0]

    def _sure_look(self, folder: Path) -> _Look | None:
        """Give what a folder was before and after its listing; None where that differs, or is not known."""
        looks = self._looks[folder]
        return looks[0] if len(looks) > 1 and len(set(looks)) == 1 else None

    def _may_be_unplugged(self, folder: Path) -> bool:
        """Tell whether a folder may be on a drive that is away: what is elsewhere are copies then."""
        if identity_of(folder) is not None or any(look.folder is not None for look in self._looks[folder]):
            return not self._was_there(folder)
        known = self._identities.get(self._places[folder].root_id)
        devices = (device for above in folder.parents if (device := _device_of(above)) is not None)
        return known is None or next(devices, None) != known[0] or not self._is_at_hand(known[0])

    def _is_at_hand(self, device: int) -> bool:
        """Tell whether a drive is there for sure: the one the library is written on, or the system's.

        The number of any other is that of its slot: another drive there has the same, and folders alike.
        """
        return device in (_device_of(self._library), _device_of(Path(self._library.anchor)))

    def _root_of(self, folder: Path) -> Path:
        return (folder, *folder.parents)[self._places[folder].prefix.count("/")]

    def _seen_identities(self, absent: Collection[Path], unreadable: Collection[Path]) -> dict[int, Identity]:
        """Give what those roots are that were scanned as a whole, and have all images on one device."""
        seen: defaultdict[int, set[Identity | None]] = defaultdict(set)
        devices: defaultdict[int, set[int | None]] = defaultdict(set)
        for folder in self._folders:
            place = self._places[folder]
            found_on = set().union(*(self._devices[inner] for inner in self._within[folder]))
            devices[place.root_id] |= found_on
            if found_on and not place.prefix:
                look = self._sure_look(folder)
                seen[place.root_id].add(look.root if look is not None else None)
        doubtful = self._roots_with(absent) | self._roots_with(unreadable)
        return {
            id: identity
            for id, (identity, *others) in seen.items()
            if identity is not None and not others and id not in doubtful and devices[id] == {identity[0]}
        }

    def _roots_with(self, paths: Collection[Path]) -> set[int]:
        """Give the roots in which some paths lie."""
        around = (
            folder for path in paths for folder in self._folders if relative_to(path, folder) is not None
        )
        return {self._places[folder].root_id for folder in around}

    def _spare(self, connection: Connection, path: Path) -> None:
        for folder in self._folders:
            place = self._places[folder]
            below = relative_to(path, folder)
            if below is not None:
                inside = at_or_below(place.root_id, place.locate(below).rstrip("/"))
                connection.execute(delete(_gone).where(_gone.c.file_id.in_(select(file.c.id).where(inside))))


def _within(folders: Collection[Path]) -> dict[Path, list[Path]]:
    """Give for each folder those of them that are it or inside it; there may be thousands."""
    by_place: defaultdict[Path, list[Path]] = defaultdict(list)
    for folder in folders:
        by_place[real(folder)].append(folder)
    within: dict[Path, list[Path]] = {folder: [] for folder in folders}
    for place, inner in by_place.items():
        for above in (place, *place.parents):
            for folder in by_place.get(above, ()):
                within[folder] += inner
    return within


def _classify(
    connection: Connection, place: Place, files: Sequence[FoundFile], encoder_id: int
) -> list[Known]:
    paths = [place.locate(found.relative) for found in files]
    rows = _known_rows(connection, place.root_id, paths, encoder_id)
    if rows:
        seen = [{"file_id": row.id} for row in rows.values()]
        connection.execute(insert(_seen).prefix_with("OR IGNORE"), seen)
    known = [_compare(found, rows.get(path)) for found, path in zip(files, paths, strict=True)]
    sizes = [item.file.size for item in known if item.state == "hash-first"]
    embedded = sizes_embedded(driver_of(connection), encoder_id, sizes) if sizes else set()
    return [
        Known(item.file, "new") if item.state == "hash-first" and item.file.size not in embedded else item
        for item in known
    ]


def _compare(found: FoundFile, row: Any | None) -> Known:
    """Compare a file with its row; "hash-first" stands for any change until the sizes are looked up."""
    if row is None or row.size != found.size or row.mtime_ns != found.mtime_ns:
        return Known(found, "hash-first")
    if row.skip_reason is not None:
        return Known(found, "skipped", row.skip_reason)
    return Known(found, "new" if row.embedded is None else "unchanged")


def _known_rows(
    connection: Connection, root_id: int, paths: Sequence[str], encoder_id: int
) -> dict[str, Any]:
    """Give the rows of the known paths, with `embedded` set where the content has a vector."""
    has_vector = (embedding.c.content_id == file.c.content_id) & (embedding.c.encoder_id == encoder_id)
    query = (
        select(
            file.c.path,
            file.c.id,
            file.c.size,
            file.c.mtime_ns,
            file.c.skip_reason,
            embedding.c.content_id.label("embedded"),
        )
        .outerjoin(embedding, has_vector)
        .where(file.c.root_id == root_id, file.c.path.in_(paths))
    )
    return {row.path: row for row in connection.execute(query).all()}


def _mark_paths(connection: Connection, paths: list[tuple[int, str]]) -> None:
    for root_id in {root_id for root_id, _ in paths}:
        for portion in portions([path for id, path in paths if id == root_id]):
            known = select(file.c.id).where(file.c.root_id == root_id, file.c.path.in_(portion))
            connection.execute(insert(_seen).prefix_with("OR IGNORE").from_select(["file_id"], known))


def _inside(place: Place) -> ColumnElement[bool]:
    return at_or_below(place.root_id, place.prefix.rstrip("/"))


def _any_known(connection: Connection, place: Place) -> bool:
    return connection.execute(select(file.c.id).where(_inside(place)).limit(1)).first() is not None


def _device_of(folder: Path) -> int | None:
    """Give the device a folder is on; None where it cannot be told."""
    identity = identity_of(folder)
    return identity[0] if identity is not None else None


def _collect_gone(connection: Connection, place: Place, *, only_linked: bool = False) -> None:
    unseen = select(file.c.id, file.c.content_id).where(
        _inside(place), file.c.id.not_in(select(_seen.c.file_id))
    )
    if only_linked:
        unseen = unseen.where(file.c.content_id.in_(select(_linked.c.content_id)))
    connection.execute(insert(_gone).prefix_with("OR IGNORE").from_select(["file_id", "content_id"], unseen))


def _remove_gone(connection: Connection, now: int) -> tuple[int, int]:
    """Delete the files that are gone; count them, and those of all that had but moved."""
    removed = int(connection.execute(select(func.count()).select_from(_gone)).scalar_one())
    with_content = select(_gone.c.content_id).where(_gone.c.content_id.is_not(None))
    connection.execute(insert(_lost).from_select(["content_id"], with_content))
    moved = _count_moved(connection)
    if removed:
        connection.execute(delete(file).where(file.c.id.in_(select(_gone.c.file_id))))
        former = connection.execute(with_content.distinct()).scalars().all()
        orphan(connection, former, next_generation(connection), now)
    return removed, moved


def _count_moved(connection: Connection) -> int:
    """Pair the links of each content with the paths it lost: so many files have moved."""
    count = func.count().label("files")
    linked = select(_linked.c.content_id, count).group_by(_linked.c.content_id).subquery()
    lost = select(_lost.c.content_id, count).group_by(_lost.c.content_id).subquery()
    pairs = select(func.sum(func.min(linked.c.files, lost.c.files))).select_from(
        linked.join(lost, linked.c.content_id == lost.c.content_id)
    )
    return int(connection.execute(pairs).scalar() or 0)
