"""SQLite: through SQLAlchemy, for it serves one process and is for trying. The promises are those of PostgreSQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from idp.driver.statement import Batch, Once, Row, Statement, Then, Values


class SqliteDriver:
    """Runs hot statements on the engine's own connections. `reading` is the engine that never takes the write lock."""

    def __init__(self, writing: AsyncEngine, reading: AsyncEngine) -> None:
        self._writing = writing
        self._reading = reading

    async def row(self, statement: Statement, values: Values) -> Row | None:
        """Runs a statement in a transaction of its own."""
        if isinstance(statement.core, Select):
            async with self._reading.connect() as connection:
                return (await connection.execute(statement.core, values)).first()
        async with self._writing.begin() as connection:
            result = await connection.execute(statement.core, values)
            return result.first() if result.returns_rows else None

    async def once(self, once: Once, values: Values, then: Then) -> Row | None:
        """The update and what follows, in one transaction. SQLite has no updates inside a WITH."""
        async with self._writing.begin() as connection:
            row = (await connection.execute(once.update, values)).first()
            if row is not None:
                for table, inserted in then.items():
                    await connection.execute(insert(table), inserted)
            return row

    async def batch(self, batch: Batch, rows: Sequence[Values], *, waits: bool = False) -> frozenset[Any]:  # noqa: ARG002 - one writer at a time leaves nothing to choose
        """A look at what stands and then the rows, in one transaction that nobody else can write beside."""
        async with self._writing.begin() as connection:
            asked = {tuple(row[name] for name in batch.stands) for row in rows}
            standing = select(*batch.stands.values()).where(tuple_(*batch.stands.values()).in_(asked), batch.holds)
            found = {tuple(row) for row in await connection.execute(standing)}
            written = [{**batch.fixed, **row} for row in rows if tuple(row[name] for name in batch.stands) in found]
            for table in batch.tables if written else ():
                names = table.c.keys()
                await connection.execute(insert(table), [{name: row[name] for name in names} for row in written])
        return frozenset(row[batch.key] for row in written)

    async def close(self) -> None:
        """Nothing: the engine has the connections."""
