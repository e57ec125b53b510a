"""What the database holds, read past the functions that are being tested."""

from typing import Any

from sqlalchemy import select

from consent.events import Event, Intact, rebuild, verify_chain
from consent.history import as_event
from consent.models import ConsentEvent, ConsentRecord
from idp.database import Database


async def records(database: Database) -> list[Any]:
    """Every consent's row, oldest first."""
    async with database.reading() as session:
        return list(await session.execute(select(*ConsentRecord.__table__.columns).order_by(ConsentRecord.decided_at)))


async def events(database: Database, consent_id: str) -> list[Event]:
    """One consent's events, oldest first."""
    async with database.reading() as session:
        statement = select(*ConsentEvent.__table__.columns).where(ConsentEvent.consent_id == consent_id)
        return [as_event(row) for row in await session.execute(statement.order_by(ConsentEvent.seq))]


async def every_row_is_what_its_events_say(database: Database) -> None:
    """Compares every row with what its events rebuild, and checks every chain."""
    for row in await records(database):
        story = await events(database, row.id)
        projected = rebuild(story)
        for name in projected.__dataclass_fields__:
            stored = getattr(row, name)
            assert getattr(projected, name) == (tuple(stored) if isinstance(stored, list) else stored), name
        assert isinstance(verify_chain(story, expected_last_seq=row.last_seq), Intact)
