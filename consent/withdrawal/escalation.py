"""The clock: a day without a "stopped", two days, three. Each stroke is a row, a leaf of the log, and nobody's secret.

At the third the law is broken, and by rule the app is suspended until an operator says otherwise. An app is suspended
for what a person or an authority took back, not for a consent whose end it has known since its beginning.
Spec: Law 27/2022 (UU PDP) articles 40 and 41 (three times twenty-four hours).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.log import entries
from consent.log.entry import Kind
from consent.vault import vault_of
from consent.withdrawal.models import Delivery, Escalation
from consent.withdrawal.outbox import DUE_AFTER
from keys.entropy import Entropy, new_row_id

AMBER_AFTER: Final = timedelta(hours=24)
RED_AFTER: Final = timedelta(hours=48)
# The last first: whoever comes late to the clock hears the hour that it is.
LEVELS: Final = (
    ("breach", DUE_AFTER, ("none", "amber", "red")),
    ("red", RED_AFTER, ("none", "amber")),
    ("amber", AMBER_AFTER, ("none",)),
)
# What nobody is suspended for.
_NEVER: Final = frozenset({"expired", "resumed"})

Suspends = Callable[[AsyncSession, str, str, datetime], Awaitable[bool]]
"""Suspends an app (its id) for a reason, in the caller's transaction. Returns whether it was in use until now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """One stroke of the clock, or one recipient found out."""

    id: str
    delivery_id: str
    level: str
    role: str
    agency_id: str
    client_id: str
    consent_id: str
    kind: str
    due_at: datetime
    suspended: bool


async def escalate(
    session: AsyncSession, *, suspend: Suspends | None, now: datetime, entropy: Entropy, limit: int = 500
) -> list[Raised]:
    """Strikes for at most `limit` deliveries. Call again while it is full.

    `suspend` is None where the rule is off.
    """
    raised: list[Raised] = []
    for level, after, before in LEVELS:
        due = (
            await session.execute(
                select(*COLUMNS)
                .where(
                    Delivery.stopped_at.is_(None),
                    Delivery.closed_at.is_(None),
                    Delivery.escalation.in_(before),
                    Delivery.due_at <= now + (DUE_AFTER - after),
                    # Good news has no clock.
                    Delivery.awaits != "acknowledged",
                )
                .order_by(Delivery.due_at, Delivery.id)
                .limit(limit - len(raised))
            )
        ).all()
        if due:
            await session.execute(
                update(Delivery)
                .where(Delivery.id.in_([row.id for row in due]))
                .values(escalation=level, escalated_at=now)
            )
            rule = suspend if level == "breach" else None
            raised += await write_raised(session, due, level, suspend=rule, now=now, entropy=entropy)
        if len(raised) >= limit:
            break
    return raised


COLUMNS: Final = (
    Delivery.id,
    Delivery.role,
    Delivery.agency_id,
    Delivery.client_id,
    Delivery.consent_id,
    Delivery.kind,
    Delivery.due_at,
)


async def write_raised(
    session: AsyncSession,
    deliveries: Sequence[Any],
    level: str,
    *,
    suspend: Suspends | None,
    now: datetime,
    entropy: Entropy,
) -> list[Raised]:
    """Writes down what struck, with its leaves, and suspends by `suspend`. The rows have `COLUMNS`."""
    raised, rows, leaves = [], [], []
    key = vault_of(session).nobodys
    for delivery in deliveries:
        suspended = (
            suspend is not None
            and bool(delivery.client_id)
            and delivery.kind not in _NEVER
            and await suspend(session, delivery.client_id, f"{level} of delivery {delivery.id}", now)
        )
        row = Escalation(id=new_row_id(entropy, now), delivery_id=delivery.id, level=level, at=now, suspended=suspended)
        rows.append({"id": row.id, "delivery_id": row.delivery_id, "level": level, "at": now, "suspended": suspended})
        leaves.append(entries.entry_of(Kind.DELIVERY, row.id, row.as_json(), key, at=now))
        raised.append(
            Raised(
                id=row.id,
                delivery_id=delivery.id,
                level=level,
                role=delivery.role,
                agency_id=delivery.agency_id,
                client_id=delivery.client_id,
                consent_id=delivery.consent_id,
                kind=delivery.kind,
                due_at=delivery.due_at,
                suspended=suspended,
            )
        )
    await session.execute(insert(Escalation), rows)
    await entries.append(session, leaves)
    return raised
