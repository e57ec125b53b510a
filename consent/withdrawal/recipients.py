"""What a person sees of those who must stop: who took the news, who stopped, who erased, and how much time is left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from consent.models import Agency, ConsentEvent
from consent.withdrawal.models import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One app or agency that must stop, and how far it is. `client_id` is empty for an agency that gave data."""

    role: str
    client_id: str
    agency_id: str
    agency_names: Mapping[str, str]
    kind: str
    due_at: datetime
    awaits: str
    escalation: str
    sent_at: datetime | None
    acknowledged_at: datetime | None
    stopped_at: datetime | None
    erased_at: datetime | None
    contradicted_at: datetime | None

    @property
    def state(self) -> str:
        """How far it is: `contradicted`, `erased`, `stopped`, `acknowledged`, `sent` or `waiting`."""
        return state_of(self)

    @property
    def has_stopped(self) -> bool:
        """Whether it attested that it stopped, and nothing is known that says otherwise."""
        return self.stopped_at is not None and self.contradicted_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """All who must stop after the last event of a consent."""

    recipients: tuple[Recipient, ...]

    @property
    def stopped(self) -> int:
        """How many of them have stopped."""
        return sum(recipient.has_stopped for recipient in self.recipients)

    @property
    def last_due_at(self) -> datetime | None:
        """When the last of those who have not stopped must have; None when all have."""
        return max((one.due_at for one in self.recipients if not one.has_stopped), default=None)

    def hours_left(self, now: datetime) -> int:
        """Whole hours until then, rounded up; 0 when the time is over or all have stopped."""
        if self.last_due_at is None or self.last_due_at <= now:
            return 0
        return -((now - self.last_due_at) // timedelta(hours=1))


def state_of(duty: Any) -> str:
    """How far a duty is, from its moments."""
    for state in ("contradicted", "erased", "stopped", "acknowledged", "sent"):
        if getattr(duty, f"{state}_at") is not None:
            return state
    return "waiting"


async def recipients_of(session: AsyncSession, consent_id: str) -> Stopping:
    """Who must stop after the newest event of this consent that anybody was told of, and how far each is.

    Nobody, when nothing was taken back, or when a pause was ended by going on.
    """
    newest = (
        select(Delivery.event_id)
        .join(ConsentEvent, ConsentEvent.id == Delivery.event_id)
        .where(Delivery.consent_id == consent_id)
        .order_by(ConsentEvent.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = await session.execute(
        select(*_COLUMNS, Agency.names.label("agency_names"))
        .join(Agency, Agency.id == Delivery.agency_id)
        .where(Delivery.event_id == newest, Delivery.kind != "resumed")
        # The app first: it is whom the person knows.
        .order_by(Delivery.role.desc(), Delivery.id)
    )
    return Stopping(recipients=tuple(Recipient(**row._mapping) for row in rows))


_COLUMNS: Sequence[Any] = tuple(
    getattr(Delivery, name) for name in Recipient.__dataclass_fields__ if name != "agency_names"
)
