"""Engines: SQLAlchemy on top of the connection that writes, with transactions that begin when they should.

Reading goes without (connections.py): importing SQLAlchemy takes a good part of a cold search.
"""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event

from .opening import connect_to_write


def engine_to_write(library: Path) -> Engine:
    """Give an engine of one connection that may write."""
    engine = create_engine("sqlite://", creator=lambda: connect_to_write(library), poolclass=StaticPool)
    # The driver would begin a transaction only before a change: reading would see several commits, and a
    # failed migration would leave half of itself.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def driver_of(connection: Connection) -> sqlite3.Connection:
    """Give the connection below, to put the questions of a reader to it within the same transaction."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def run_pragma(connection: Connection, pragma: str) -> list[Any]:
    """Run a pragma outside of any transaction, where SQLite wants some of them."""
    return list(driver_of(connection).execute(f"PRAGMA {pragma}"))
