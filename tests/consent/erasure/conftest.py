"""People with consents, uses and looks at them, to be erased."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from consent.decisions import grant
from consent.erasure.person import Keep
from consent.log.audit import audit
from consent.log.audit_sources import SOURCES, missing_rightly
from consent.log.entries import append
from consent.log.findings import Report
from consent.models import Base
from consent.oversight import record_officer_action
from consent.purposes import PurposeVersionView
from consent.uses.disclosure import Disclosure, write
from consent.uses.models import Use
from consent.vault import key_of
from consent.withdrawal.models import Delivery
from idp.database import Database
from keys.entropy import Entropy, new_row_id
from tests.consent.log.running import RunningLog, open_log
from tests.consent.registry import APP, decision, notice_of
from tests.support.clock import FakeClock

KEEP = Keep(evidence=timedelta(days=5 * 365), uses=timedelta(days=3 * 365))
WAIT = timedelta(days=30)
OFFICER = "0f000000-0000-4000-8000-000000000001"


@dataclass
class Country:
    """A database with a log, and what is done in it."""

    database: Database
    version: PurposeVersionView
    clock: FakeClock
    entropy: Entropy
    running: RunningLog

    async def consent(self, subject_id: str, *, client_id: str = APP, ref: str | None = None) -> str:
        """A consent of a person's; `ref` is how the app's agency knows them."""
        version = self.version
        async with self.database.transaction() as session:
            return await grant(
                session,
                who=decision(version, subject_id=subject_id, client_id=client_id, subject_ref=ref),
                granted=("name", "email"),
                refused=version.claims - {"name", "email"},
                offline_access=False,
                notice=notice_of(version, client_id=client_id),
                now=self.clock(),
                entropy=self.entropy,
            )

    async def use(self, subject_id: str, consent_id: str | None, *, reference: str | None = None) -> str:
        """A recorded use."""
        now = self.clock()
        async with self.database.transaction() as session:
            key = await key_of(session, subject_id, now=now)
            disclosure = Disclosure(
                id=new_row_id(self.entropy, now),
                at=now,
                subject_id=subject_id,
                consent_id=consent_id,
                purpose_version_id=self.version.id,
                agency_id=self.version.agency_id,
                client_id=APP,
                action="userinfo",
                items=["email", "name"],
                reference=reference,
            )
            written = write(disclosure, key, entropy=self.entropy)
            await session.execute(insert(Use).values(written.use))
            await append(session, [written.entry])
        return disclosure.id

    async def look(self, subject_id: str, *, reason: str = "asked by phone") -> str:
        """An officer looks for a person."""
        async with self.database.transaction() as session:
            return await record_officer_action(
                session,
                officer_id=OFFICER,
                action="find",
                subject_id=subject_id,
                reason=reason,
                rows=1,
                now=self.clock(),
                entropy=self.entropy,
            )

    async def told(self) -> None:
        """Every recipient has taken the news."""
        async with self.database.transaction() as session:
            await session.execute(update(Delivery).values(sent_at=self.clock()))

    async def audit(self) -> Report:
        """The monitor's report."""
        async with self.database.reading() as session:
            return await audit(
                session,
                keys=self.running.published.keys,
                guard=self.running.published.guard,
                sources=SOURCES,
                by_rule=missing_rightly,
            )

    async def where(self, *needles: str) -> list[str]:
        """Every table and column of `consent` in which one of these texts is found, in any form that it could have."""
        forms = {form for needle in needles for form in (needle, needle.replace("-", ""))}
        found = []
        async with self.database.reading() as session:
            for table in Base.metadata.sorted_tables:
                for row in (await session.execute(select(table))).mappings():
                    found += [f"{table.name}.{name}" for name, value in row.items() if _holds(value, forms)]
        return sorted(set(found))


def _holds(value: Any, forms: set[str]) -> bool:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return any(form in text for form in forms)


@pytest.fixture
def country(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy, tmp_path: Path
) -> Country:
    """The country, whose registry is in the log already."""
    running = open_log(database, tmp_path, clock)
    return Country(database, version, clock, entropy, running)
