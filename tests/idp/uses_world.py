"""What tests of the record of use ask for: the uses of a person, opened, and purposes whose uses are counted."""

from typing import Any

from sqlalchemy import select, update

from consent.log.entry import commit
from consent.log.models import LogEntry
from consent.models import ConsentRecord
from consent.uses.disclosure import Disclosure, read
from consent.uses.models import Use
from consent.vault import key_of
from tests.support.token_world import World


async def uses_of(world: World, subject_id: str) -> list[Disclosure]:
    """The person's uses in the order of time, each with a leaf that commits to it."""
    provider = world.provider
    async with provider.database.transaction() as session:
        key = await key_of(session, subject_id, now=provider.clock())
        rows = (await session.execute(select(Use).where(Use.subject_id == subject_id).order_by(Use.id))).scalars()
        found = []
        for row in rows:
            use = read(row, key)
            commitment = await session.scalar(select(LogEntry.commitment).where(LogEntry.id == use.id))
            assert commitment == commit(key.opening(use.id), use.as_json()), "a use without its leaf"
            found.append(use)
    return found


async def limit(world: World, consent_id: str, **values: Any) -> None:
    """Makes a consent one whose uses are counted, as if its purpose had said so."""
    async with world.provider.database.transaction() as session:
        await session.execute(update(ConsentRecord).where(ConsentRecord.id == consent_id).values(**values))


async def record_of(world: World, consent_id: str) -> Any:
    """The consent's row."""
    async with world.provider.database.reading() as session:
        return (await session.execute(select(ConsentRecord).where(ConsentRecord.id == consent_id))).scalar_one()
