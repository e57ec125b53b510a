"""SQLite: through SQLAlchemy, for it serves one process and is for trying. The promises are those of PostgreSQL."""

from collections.abc import Mapping

from sqlalchemy import Select, Table, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from idp.driver.statement import Once, Row, Statement, Values


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

    async def once(self, once: Once, values: Values, then: Mapping[Table, Values]) -> Row | None:
        """The update and what follows, in one transaction. SQLite has no updates inside a WITH."""
        async with self._writing.begin() as connection:
            row = (await connection.execute(once.update, values)).first()
            if row is not None:
                for table, inserted in then.items():
                    await connection.execute(insert(table), inserted)
            return row

    async def close(self) -> None:
        """Nothing: the engine has the connections."""
