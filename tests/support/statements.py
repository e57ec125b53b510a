"""Counts the statements that reach the database, so that a test can hold an endpoint to few."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from idp.database import Database
from idp.driver.postgresql import PostgresqlDriver


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """The statements that are sent while the block runs, without BEGIN, which costs no look-up."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    # On SQLite, hot statements pass through the engine and are seen there.
    listeners = database.driver.listeners if isinstance(database.driver, PostgresqlDriver) else []
    listeners.append(seen.append)
    try:
        yield seen
    finally:
        listeners.remove(seen.append)
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
