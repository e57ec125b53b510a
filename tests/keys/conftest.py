"""The tables of `keys` in a database of the test's own, on SQLite and then on PostgreSQL."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from keys.entropy import SystemEntropy
from keys.models import Base
from keys.sealing import MasterKey
from tests.keys.operating import Operator


@pytest.fixture
async def session_factory(empty_database_url: str) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    engine = create_async_engine(empty_database_url)
    if empty_database_url.startswith("sqlite"):
        _say_begin_ourselves(engine)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield async_sessionmaker(engine, expire_on_commit=False)
    await engine.dispose()


@pytest.fixture
def master() -> MasterKey:
    return MasterKey.generate(SystemEntropy())


@pytest.fixture
def operator(session_factory: async_sessionmaker[AsyncSession], master: MasterKey) -> Operator:
    return Operator(session_factory, master)


def _say_begin_ourselves(engine: AsyncEngine) -> None:
    # As the product does it: the driver's own transaction control knows nothing of savepoints.
    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
