"""The board: everybody who still has to stop or to erase, the most urgent first; and those who are done.

Read by keyset: a page costs the same whether a hundred or a million are waiting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from consent.cursor import Cursor, newer_than, older_than
from consent.identifiers import is_id
from consent.models import Agency
from consent.withdrawal.errors import NoDelivery
from consent.withdrawal.models import Attestation, Delivery, Escalation
from consent.withdrawal.recipients import state_of

ESCALATIONS: Final = ("none", "amber", "red", "breach")
STATES: Final = ("waiting", "sent", "acknowledged", "stopped", "contradicted", "closed")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardFilter:
    """What is looked for; what is None is not asked about. Without a state: all that is open."""

    state: str | None = None
    escalation: str | None = None
    agency_id: str | None = None
    client_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardRow:
    """One recipient's duty."""

    id: str
    jti: str
    consent_id: str
    role: str
    client_id: str
    agency_id: str
    agency_code: str
    agency_names: Mapping[str, str]
    kind: str
    items: Sequence[str]
    awaits: str
    created_at: datetime
    due_at: datetime
    sent_at: datetime | None
    acknowledged_at: datetime | None
    stopped_at: datetime | None
    erased_at: datetime | None
    closed_at: datetime | None
    contradicted_at: datetime | None
    escalation: str
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None

    @property
    def state(self) -> str:
        """How far it is."""
        return state_of(self)


@dataclass(frozen=True, slots=True)
class BoardPage:
    """One page, and where the next one begins."""

    rows: tuple[BoardRow, ...]
    next: Cursor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryDetail:
    """One duty, what was attested about it, and when the clock struck."""

    row: BoardRow
    attestations: tuple[Attestation, ...]
    escalations: tuple[Escalation, ...]


async def board(
    session: AsyncSession, *, filters: BoardFilter, after: Cursor | None = None, limit: int = 50
) -> BoardPage:
    """A page of the board: what is due soonest first, and of what is closed the newest first."""
    closed = filters.state == "closed"
    statement = _rows().where(*_conditions(filters))
    if closed:
        statement = statement.order_by(Delivery.closed_at.desc(), Delivery.id.desc())
        if after is not None:
            # Only rows that are closed get here, so the column is as good as never empty.
            statement = statement.where(older_than(Delivery.closed_at, Delivery.id, after))  # type: ignore[arg-type]
    else:
        statement = statement.order_by(Delivery.due_at, Delivery.id)
        if after is not None:
            statement = statement.where(newer_than(Delivery.due_at, Delivery.id, after))
    found = [BoardRow(**row._mapping) for row in await session.execute(statement.limit(limit + 1))]
    rows = tuple(found[:limit])
    if len(found) <= limit:
        return BoardPage(rows, None)
    last = rows[-1]
    return BoardPage(rows, Cursor(last.closed_at if closed and last.closed_at else last.due_at, last.id))


async def how_many(session: AsyncSession) -> Mapping[str, int]:
    """How many are open, by how far their clock is; and how many were found to have lied."""
    rows = await session.execute(
        select(Delivery.escalation, func.count())
        .where(Delivery.stopped_at.is_(None), Delivery.closed_at.is_(None), Delivery.awaits != "acknowledged")
        .group_by(Delivery.escalation)
    )
    counts = dict.fromkeys(ESCALATIONS, 0)
    for row in rows:
        counts[row[0]] = row[1]
    contradicted = await session.scalar(
        select(func.count()).select_from(Escalation).where(Escalation.level == "contradicted")
    )
    return {**counts, "contradicted": contradicted or 0}


async def delivery_by_id(session: AsyncSession, delivery_id: str) -> DeliveryDetail:
    """One duty with all that happened to it. Error: `NoDelivery`."""
    row = None
    if is_id(delivery_id):
        row = (await session.execute(_rows().where(Delivery.id == delivery_id))).one_or_none()
    if row is None:
        raise NoDelivery(f"there is no delivery {delivery_id}")
    attestations = await session.scalars(
        select(Attestation).where(Attestation.delivery_id == delivery_id).order_by(Attestation.at, Attestation.id)
    )
    escalations = await session.scalars(
        select(Escalation).where(Escalation.delivery_id == delivery_id).order_by(Escalation.at, Escalation.id)
    )
    return DeliveryDetail(
        row=BoardRow(**row._mapping), attestations=tuple(attestations), escalations=tuple(escalations)
    )


def _rows() -> Select[*tuple[Any, ...]]:
    own = [
        getattr(Delivery, name) for name in BoardRow.__dataclass_fields__ if name not in {"agency_code", "agency_names"}
    ]
    return select(*own, Agency.code.label("agency_code"), Agency.names.label("agency_names")).join(
        Agency, Agency.id == Delivery.agency_id
    )


# What a state has behind it, and what it has still before it.
_BETWEEN: Final[Mapping[str, tuple[Any, Any]]] = {
    "waiting": (None, Delivery.sent_at),
    "sent": (Delivery.sent_at, Delivery.acknowledged_at),
    "acknowledged": (Delivery.acknowledged_at, Delivery.stopped_at),
    "stopped": (Delivery.stopped_at, Delivery.erased_at),
}


def _conditions(filters: BoardFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.state == "contradicted":
        # Also one that is closed: it is not done.
        found.append(Delivery.contradicted_at.is_not(None))
    elif filters.state == "closed":
        found.append(Delivery.closed_at.is_not(None))
    else:
        found.append(Delivery.closed_at.is_(None))
    if filters.state is not None and filters.state in _BETWEEN:
        behind, before = _BETWEEN[filters.state]
        found += [before.is_(None), Delivery.contradicted_at.is_(None)]
        if behind is not None:
            found.append(behind.is_not(None))
    if filters.escalation is not None:
        found.append(Delivery.escalation == filters.escalation)
    if filters.agency_id is not None:
        found.append(Delivery.agency_id == filters.agency_id)
    if filters.client_id is not None:
        found.append(Delivery.client_id == filters.client_id)
    return found
