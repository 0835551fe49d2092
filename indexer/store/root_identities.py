"""Root identities: which folder each root was when images were last found in it.

They tell a root that was emptied from one whose drive is not mounted: that leaves another folder, its mount
point, in its place. What is not known counts as away, for dropping a drive's images is worse than keeping
those of an emptied folder. So nothing is known of

- a root with images on another device too, an inner mount point or behind a link: it is the same folder when
  that drive is away;
- a root that the last run did not scan as a whole, or in which it missed something;
- a root on a drive that holds neither the library nor the system: another one mounted there has the same
  device number, and its folders may have the same ones too; some network drives get new ones at each mount.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert  # PostgreSQL's has the same on_conflict methods

from . import schema
from .catalog import get_setting
from .engines import driver_of

_KEY = "root_identities"
Identity = tuple[int, int]  # of a folder: its device, and its number there


def get_identities(connection: Connection) -> dict[int, Identity]:
    """Give the identities by their roots' ids."""
    stored: Any = json.loads(get_setting(driver_of(connection), _KEY) or "{}")
    return {int(id): (device, number) for id, (device, number) in stored.items()}


def take_identities(connection: Connection, root_ids: Collection[int]) -> dict[int, Identity]:
    """Give the identities of some roots and delete them: who changes what is in a root notes them anew."""
    known = get_identities(connection)
    taken = {id: known[id] for id in known if id in root_ids}
    if taken:
        _put(connection, {id: known[id] for id in known if id not in root_ids})
    return taken


def note_identities(connection: Connection, seen: Mapping[int, Identity]) -> None:
    """Store what roots are, and forget those that the library covers no longer."""
    known = get_identities(connection)
    living = set(connection.execute(select(schema.root.c.id)).scalars())
    left = {id: identity for id, identity in {**known, **seen}.items() if id in living}
    if left != known:
        _put(connection, left)


def _put(connection: Connection, identities: Mapping[int, Identity]) -> None:
    text = json.dumps({str(id): list(identities[id]) for id in sorted(identities)})
    row = insert(schema.setting).values(key=_KEY, value=text)
    connection.execute(row.on_conflict_do_update(index_elements=["key"], set_={"value": text}))
