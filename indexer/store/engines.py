"""Engines: SQLAlchemy on top of our own connections, with transactions that begin when they should."""

from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection as DriverConnection
from typing import Any

from sqlalchemy import Connection, Engine, Pool, QueuePool, StaticPool, create_engine, event

from .opening import connect_to_read, connect_to_write


def engine_to_read(library: Path) -> Engine:
    """Give an engine whose transactions each read the catalog as of one commit; for any thread."""
    return _engine(lambda: connect_to_read(library), QueuePool)


def engine_to_write(library: Path) -> Engine:
    """Give an engine of one connection that may write."""
    return _engine(lambda: connect_to_write(library), StaticPool)


def _engine(connect: Callable[[], DriverConnection], pool: type[Pool]) -> Engine:
    engine = create_engine("sqlite://", creator=connect, poolclass=pool)
    # The driver would begin a transaction only before a change: reading would see several commits, and a
    # failed migration would leave half of itself.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def run_pragma(connection: Connection, pragma: str) -> list[Any]:
    """Run a pragma outside of any transaction, where SQLite wants some of them."""
    driver = connection.connection.driver_connection
    assert driver is not None
    return list(driver.execute(f"PRAGMA {pragma}"))
