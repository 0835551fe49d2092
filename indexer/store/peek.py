"""Peeking: a library's encoder card without heavy imports, so that its model can load meanwhile."""

import json
from pathlib import Path
from typing import Any

from ..records import EncoderCard, Preprocessing
from .failures import explained
from .opening import connect_to_read

_CARD = """
SELECT name, weights_hash, preprocessing, dimension, precision FROM encoder
WHERE id = (SELECT CAST(value AS INTEGER) FROM setting WHERE key = 'default_encoder')
"""


def peek_card(library: Path) -> EncoderCard | None:
    """Give the card of the encoder that searches use; None when there is none, or another schema."""
    with explained(library):
        connection = connect_to_read(library)
        try:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            row = connection.execute(_CARD).fetchone() if {"encoder", "setting"} <= tables else None
        finally:
            connection.close()
    return None if row is None else card_from(*row)


def card_from(
    name: str, weights_hash: str, preprocessing: str, dimension: int, precision: str
) -> EncoderCard:
    """Put a card together from the columns of its row."""
    fields: dict[str, Any] = json.loads(preprocessing)
    fields["mean"], fields["std"] = tuple(fields["mean"]), tuple(fields["std"])
    return EncoderCard(name, weights_hash, Preprocessing(**fields), dimension, precision)
