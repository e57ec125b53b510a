"""Where things are done to Siti's consents, one transaction each."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from consent.decisions import refuse, renew
from consent.purposes import PurposeVersionView
from consent.withdrawal.models import Delivery
from idp.database import Database
from keys.entropy import Entropy
from tests.consent.registry import SITI, decision, grant_to, notice_of
from tests.consent.stored import records
from tests.support.clock import FakeClock


@dataclass
class Desk:
    """Where things are done to Siti's consents, one transaction each."""

    database: Database
    version: PurposeVersionView
    clock: FakeClock
    entropy: Entropy

    async def give(self, **changes: Any) -> str:
        """Siti agrees to name and email and refuses gender."""
        async with self.database.transaction() as session:
            return await grant_to(session, self.version, now=self.clock(), entropy=self.entropy, **changes)

    async def deny(self, **changes: Any) -> str:
        """Siti refuses."""
        async with self.database.transaction() as session:
            return await refuse(
                session,
                who=decision(self.version),
                refused=self.version.claims,
                notice=notice_of(self.version),
                now=self.clock(),
                entropy=self.entropy,
                **changes,
            )

    async def act(
        self, what: Callable[..., Coroutine[Any, Any, Any]], consent_id: str, *, subject_id: str = SITI, **more: Any
    ) -> Any:
        """Does something to a consent."""
        async with self.database.transaction() as session:
            return await what(
                session, consent_id=consent_id, subject_id=subject_id, now=self.clock(), entropy=self.entropy, **more
            )

    async def renew(self, consent_id: str, **notice: Any) -> datetime:
        """Siti lets it go on."""
        async with self.database.transaction() as session:
            return await renew(
                session,
                consent_id=consent_id,
                who=decision(self.version),
                notice=notice_of(self.version, **notice),
                now=self.clock(),
                entropy=self.entropy,
            )

    async def row(self, consent_id: str) -> Any:
        """The consent's row."""
        return next(row for row in await records(self.database) if row.id == consent_id)

    async def told(self) -> list[tuple[str, list[str]]]:
        """What recipients are owed, oldest first: the kind of event, and the items."""
        async with self.database.reading() as session:
            rows = await session.execute(select(Delivery.kind, Delivery.items).order_by(Delivery.id))
            return [(row.kind, row.items) for row in rows]
