"""One writer at a time for one thing, until its transaction ends."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession


async def hold(session: AsyncSession, key: str) -> None:
    """Waits until no other transaction holds `key`, and holds it until this one ends.

    On PostgreSQL an advisory lock: the row that two decisions would fight for may not exist yet, so there is nothing
    to lock FOR UPDATE. On SQLite the transaction is the database's only writer already (BEGIN IMMEDIATE).
    """
    if dialect_of(session) == "postgresql":
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


def dialect_of(session: AsyncSession) -> str:
    """`postgresql` or `sqlite`."""
    return session.get_bind().dialect.name
