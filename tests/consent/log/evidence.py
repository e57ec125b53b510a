"""A little evidence of every kind, in the log: two people, their consents, uses, an officer, and a registry."""

from dataclasses import dataclass

from sqlalchemy import insert, select

from consent.decisions import withdraw
from consent.log.audit import audit
from consent.log.audit_sources import SOURCES, missing_rightly
from consent.log.entry import Kind
from consent.log.findings import Report
from consent.log.models import LogEntry
from consent.models import ConsentEvent
from consent.oversight import record_officer_action
from consent.uses.disclosure import Disclosure, write
from consent.uses.models import Use
from consent.vault import key_of
from keys.entropy import SystemEntropy, new_row_id
from tests.consent.log.running import RunningLog
from tests.consent.registry import APP, BUDI, SITI, grant_to, write_registry

ENTROPY = SystemEntropy()


@dataclass
class Evidence:
    """What was written, by its ids; `log` has it all in its tree."""

    log: RunningLog
    siti: str
    budi: str
    uses: list[str]
    look: str

    async def audit(self, *brought: str) -> Report:
        """The monitor's report."""
        async with self.log.database.reading() as session:
            return await audit(
                session,
                keys=self.log.published.keys,
                guard=self.log.published.guard,
                sources=SOURCES,
                by_rule=missing_rightly,
                brought=brought,
            )

    async def use(self, subject_id: str, consent_id: str, version_id: str, agency_id: str) -> str:
        """One use, as the recorder writes it."""
        now = self.log.clock()
        async with self.log.database.transaction() as session:
            key = await key_of(session, subject_id, now=now)
            disclosure = Disclosure(
                id=new_row_id(ENTROPY, now),
                at=now,
                subject_id=subject_id,
                consent_id=consent_id,
                purpose_version_id=version_id,
                agency_id=agency_id,
                client_id=APP,
                action="userinfo",
                items=("email", "name"),
            )
            written = write(disclosure, key, entropy=ENTROPY)
            await session.execute(insert(Use).values(written.use))
            await session.execute(insert(LogEntry).values(written.entry))
        return disclosure.id

    async def events_of(self, consent_id: str) -> list[str]:
        """The ids of a consent's events, oldest first."""
        async with self.log.database.reading() as session:
            ids = select(ConsentEvent.id).where(ConsentEvent.consent_id == consent_id).order_by(ConsentEvent.seq)
            return list((await session.scalars(ids)).all())

    async def place_of(self, row_id: str) -> int | None:
        """Where the log has it."""
        async with self.log.database.reading() as session:
            return await session.scalar(select(LogEntry.log_index).where(LogEntry.id == row_id))


async def write_evidence(log: RunningLog) -> Evidence:
    """Writes it, and sequences it in three turns."""
    database, clock = log.database, log.clock
    async with database.transaction() as session:
        version = await write_registry(session, now=clock(), entropy=ENTROPY)
        siti = await grant_to(session, version, now=clock(), entropy=ENTROPY)
    await log.sequence()
    async with database.transaction() as session:
        budi = await grant_to(session, version, now=clock.advance(5), entropy=ENTROPY, subject_id=BUDI)
    evidence = Evidence(log, siti, budi, [], "")
    for _ in range(2):
        clock.advance(1)
        evidence.uses.append(await evidence.use(SITI, siti, version.id, version.agency_id))
    evidence.uses.append(await evidence.use(BUDI, budi, version.id, version.agency_id))
    await log.sequence()
    async with database.transaction() as session:
        await withdraw(session, consent_id=siti, subject_id=SITI, now=clock.advance(60), entropy=ENTROPY)
        evidence.look = await record_officer_action(
            session,
            officer_id=BUDI,
            action="find",
            subject_id=SITI,
            reason="asked",
            rows=1,
            now=clock(),
            entropy=ENTROPY,
        )
        await record_officer_action(session, officer_id=BUDI, action="list", rows=3, now=clock(), entropy=ENTROPY)
    await log.sequence()
    assert Kind.ACCESS in {source_kind for source in SOURCES for source_kind in source.kinds}
    return evidence
