"""What the database holds, read past the functions that are being tested."""

from typing import Any

from sqlalchemy import select

from consent.event_store import events_of
from consent.events import Event, Intact, rebuild, verify_chain
from consent.log.models import LogEntry
from consent.models import ConsentEvent, ConsentRecord
from idp.database import Database


async def records(database: Database) -> list[Any]:
    """Every consent's row, oldest first."""
    async with database.reading() as session:
        return list(await session.execute(select(*ConsentRecord.__table__.columns).order_by(ConsentRecord.decided_at)))


async def events(database: Database, consent_id: str) -> list[Event]:
    """One consent's events, oldest first."""
    async with database.reading() as session:
        return list(await events_of(session, consent_id))


async def every_row_is_what_its_events_say(database: Database) -> None:
    """Compares every row with what its events rebuild, checks every chain, and that each event is a leaf."""
    leaves: dict[str, bytes] = {}
    for row in await records(database):
        story = await events(database, row.id)
        projected = rebuild(story)
        for name in projected.__dataclass_fields__:
            stored = getattr(row, name)
            assert getattr(projected, name) == (tuple(stored) if isinstance(stored, list) else stored), name
        assert isinstance(verify_chain(story, expected_last_seq=row.last_seq), Intact)
        leaves |= {event.id: event.hash for event in story}
    async with database.reading() as session:
        logged = await session.execute(select(LogEntry.id, LogEntry.commitment).where(LogEntry.kind == 1))
        assert {row.id: row.commitment for row in logged} == leaves, "what is logged is not what was written"
        assert set(await session.scalars(select(ConsentEvent.id))) == leaves.keys(), "events of no consent"
