from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.sql import select

from keys.columns import Id, Json, UtcDateTime
from tests.keys.making import NOW

pytestmark = pytest.mark.anyio


class Base(DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "things"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    moment: Mapped[datetime | None] = mapped_column(UtcDateTime)
    data: Mapped[Any] = mapped_column(Json, nullable=True)


ID = "0198b3a0-0000-7000-8000-00000000000f"
EXACT = [
    datetime(2026, 8, 17, 3, 0, 0, 1, tzinfo=UTC),
    datetime(2026, 8, 17, 3, 0, 0, 999_999, tzinfo=UTC),
    datetime(1945, 8, 17, 10, 0, 0, 123_457, tzinfo=timezone(timedelta(hours=7))),
    datetime(2999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
]


@pytest.fixture
async def session(empty_database_url: str) -> Any:
    engine = create_async_engine(empty_database_url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as opened:
        yield opened
    await engine.dispose()


@pytest.mark.parametrize("moment", EXACT, ids=str)
async def test_a_moment_comes_back_to_the_microsecond_and_in_utc(session: AsyncSession, moment: datetime) -> None:
    session.add(Thing(id=ID, moment=moment))
    await session.commit()
    kept = await session.scalar(select(Thing.moment))
    assert kept == moment
    assert kept is not None
    assert kept.utcoffset() == timedelta(0)


async def test_moments_compare_in_the_database_as_they_do_here(session: AsyncSession) -> None:
    session.add(Thing(id=ID, moment=NOW))
    await session.commit()
    jakarta = timezone(timedelta(hours=7))
    for bound, found in ((NOW, True), ((NOW + timedelta(microseconds=1)).astimezone(jakarta), False)):
        assert (await session.scalar(select(Thing.id).where(Thing.moment >= bound)) is not None) is found


async def test_a_moment_without_a_time_zone_is_refused(session: AsyncSession) -> None:
    session.add(Thing(id=ID, moment=datetime(2026, 8, 17)))
    with pytest.raises(StatementError, match="naive") as refused:
        await session.flush()
    assert isinstance(refused.value.orig, ValueError)


async def test_nothing_is_null_and_not_a_json_null(session: AsyncSession) -> None:
    session.add(Thing(id=ID, moment=None, data=None))
    await session.commit()
    count = await session.scalar(text("SELECT count(*) FROM things WHERE data IS NULL AND moment IS NULL"))
    assert count == 1


async def test_json_and_ids_come_back_as_they_went_in(session: AsyncSession) -> None:
    data = {"b": [1, True, None, "é"], "a": {}}
    session.add(Thing(id=ID, data=data))
    await session.commit()
    row = (await session.execute(select(Thing.id, Thing.data))).one()
    assert tuple(row) == (ID, data)
