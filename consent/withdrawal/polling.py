"""Telling those who come and ask: what waits for them, and what they have taken.

Spec: RFC 8936 §2.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.withdrawal.models import Delivery, Stream

# What a recipient could not read is not offered again at once: it would stand before all that it could.
AFTER_ERROR: Final = timedelta(minutes=10)
_TOLD: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Whose deliveries: an app's own, or with an empty `client_id` those of an agency that gives data."""

    agency_id: str
    client_id: str

    @property
    def owns(self) -> ColumnElement[bool]:
        """The deliveries that are this listener's."""
        return and_(Delivery.agency_id == self.agency_id, Delivery.client_id == self.client_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What there is to tell, oldest first, and whether there is more."""

    delivery_ids: tuple[str, ...] = field(default=())
    more: bool = False


async def acknowledge(session: AsyncSession, listener: Listener, jtis: Collection[str], *, now: datetime) -> None:
    """The recipient has these. Unknown ones, and other people's, change nothing: it may have acknowledged them before.

    Spec: RFC 8936 §2.2.
    """
    if jtis:
        await session.execute(
            update(Delivery)
            .where(listener.owns, Delivery.jti.in_(jtis), Delivery.sent_at.is_(None))
            .values(sent_at=now, next_attempt_at=None, claimed_until=None, last_error=None)
        )


async def note_errors(session: AsyncSession, listener: Listener, errors: Mapping[str, str], *, now: datetime) -> None:
    """The recipient could not take these; `errors` has its words by `jti`. They are offered again later.

    Spec: RFC 8936 §2.6.
    """
    for jti, said in errors.items():
        await session.execute(
            update(Delivery)
            .where(listener.owns, Delivery.jti == jti, Delivery.sent_at.is_(None))
            .values(last_error=said[:_TOLD], claimed_until=now + AFTER_ERROR, attempts=Delivery.attempts + 1)
        )


async def waiting_for(session: AsyncSession, listener: Listener, *, now: datetime, most: int) -> Waiting:
    """At most `most` of what the recipient has not acknowledged. Nothing while its stream is paused.

    Whoever has an endpoint may poll as well: what is being pushed just now may come twice.
    """
    if most < 1:
        return Waiting()
    ids = (await session.scalars(_unsent(listener, now).limit(most + 1))).all()
    return Waiting(delivery_ids=tuple(ids[:most]), more=len(ids) > most)


def _unsent(listener: Listener, now: datetime) -> Any:
    paused = exists().where(
        Stream.agency_id == listener.agency_id,
        Stream.client_id == listener.client_id,
        Stream.status == "paused",
    )
    refused_lately = and_(Delivery.last_error.is_not(None), Delivery.claimed_until > now)
    return (
        select(Delivery.id)
        .where(
            listener.owns,
            Delivery.sent_at.is_(None),
            Delivery.closed_at.is_(None),
            or_(Delivery.last_error.is_(None), ~refused_lately),
            ~paused,
        )
        .order_by(Delivery.id)
    )
