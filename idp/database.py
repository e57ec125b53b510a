"""One engine, two kinds of transaction, and when they end.

A transaction ends before the answer leaves: handlers write `async with database.transaction() as session:` and build
their response after the block, so a commit that fails is an error and never a quiet 200.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import MetaData, event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from consent.vault import VAULT, Vault
from idp.driver.sqlite import SqliteDriver
from idp.driver.statement import Driver
from idp.errors import Refusal
from keys.models import NAMING_CONVENTION


class Base(DeclarativeBase):
    """The tables of `idp`. There is no foreign key from `consent` to these: evidence outlives accounts."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Database:
    """The provider's database: SQLite for one process, PostgreSQL for many.

    `driver` is for the statements of the hot paths; it has as many connections of its own as the engine has. `vault`
    has the keys of the people in it, and every session knows it.
    """

    def __init__(self, url: str, *, vault: Vault, pool_size: int = 10, synchronous: str = "full") -> None:
        self.url = url
        self.vault = vault
        self.is_sqlite = url.startswith("sqlite")
        self.engine = _sqlite_engine(url, synchronous) if self.is_sqlite else _postgresql_engine(url, pool_size)
        self._writing = async_sessionmaker(self.engine, expire_on_commit=False, info={VAULT: vault})
        reading = self.engine.execution_options(**_reading_options(self.is_sqlite))
        self._reading = async_sessionmaker(reading, expire_on_commit=False, info={VAULT: vault})
        self.driver: Driver = SqliteDriver(self.engine, reading) if self.is_sqlite else _driver(self.engine, pool_size)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A transaction that commits at the end of the block, also when a `Refusal` leaves it; a bug rolls back."""
        async with self._writing() as session:
            try:
                yield session
            except Refusal:
                await session.commit()
                raise
            except BaseException:
                await session.rollback()
                raise
            await session.commit()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Statements that read, each on its own: no BEGIN and COMMIT to pay for, and no writer kept waiting."""
        async with self._reading() as session:
            yield session

    async def dispose(self) -> None:
        """Closes every connection."""
        await self.driver.close()
        await self.engine.dispose()


def _reading_options(is_sqlite: bool) -> dict[str, Any]:
    return {"satupintu_reading": True} if is_sqlite else {"isolation_level": "AUTOCOMMIT"}


def _driver(engine: AsyncEngine, connections: int) -> Driver:
    # asyncpg is there for CPython only; SQLite does without.
    from idp.driver.postgresql import PostgresqlDriver  # noqa: PLC0415 - see above

    return PostgresqlDriver(engine, connections=connections)


def _postgresql_engine(url: str, pool_size: int) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=False,
        pool_use_lifo=True,
        hide_parameters=True,  # an error's text goes to the log, and the values are people's data
    )


def _sqlite_engine(url: str, synchronous: str) -> AsyncEngine:
    engine = create_async_engine(url, connect_args={"timeout": 30}, pool_size=5, max_overflow=0, hide_parameters=True)

    @event.listens_for(engine.sync_engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        # The driver's own transaction control commits behind one's back; we say BEGIN ourselves (see below).
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON", "busy_timeout=30000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        # IMMEDIATE takes the write lock at once: a transaction that read first and wrote later would fail with
        # SQLITE_BUSY half-way, and FOR UPDATE does not exist here.
        reading = connection.get_execution_options().get("satupintu_reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine
