"""Root identities: which folder each root was when images were last found in it.

They tell a root that was emptied from one whose drive is not mounted: that leaves another folder, its mount
point, in its place. Nothing is known of a root with images on another device too, an inner mount point or
behind a link: it is the same folder when that drive is away. Nor where the numbers are made anew at each
mount, as of some network drives: such a root is taken for one that is not mounted.
"""

import json
from collections.abc import Mapping, Set
from typing import Any

from sqlalchemy import Connection, select

from . import schema
from .catalog import get_setting
from .changes import put_setting
from .engines import driver_of

_KEY = "root_identities"
Identity = tuple[int, int]  # of a folder: its device, and its number there


def get_identities(connection: Connection) -> dict[int, Identity]:
    """Give the identities by their roots' ids."""
    stored: Any = json.loads(get_setting(driver_of(connection), _KEY) or "{}")
    return {int(id): (device, number) for id, (device, number) in stored.items()}


def note_identities(
    connection: Connection,
    seen: Mapping[int, Identity | None],
    devices: Mapping[int, Set[int | None]],
) -> None:
    """Store what the roots are in which images were found, and on which devices; None: better not known."""
    known = get_identities(connection)
    noted = known | {id: identity for id, identity in seen.items() if identity is not None}
    doubtful = {id for id, identity in seen.items() if identity is None}
    doubtful |= {id for id, found_on in devices.items() if id in noted and found_on - {noted[id][0]}}
    living = set(connection.execute(select(schema.root.c.id)).scalars())
    left = {id: noted[id] for id in sorted(noted) if id in living - doubtful}
    if left != known:
        put_setting(connection, _KEY, json.dumps({str(id): list(identity) for id, identity in left.items()}))
