"""The sender's side of the outbox: claim, and record what came of it. Each call is one short transaction.

Why nobody is forgotten, whenever a sender is killed. A row is due until `record_sent` says otherwise, and only an
answer of the endpoint leads there.

    before `claim` commits            the row is as it was
    after it, before the sending      the row is leased: free again when the lease is over
    after the sending, before the     the same; the recipient gets the token once more, and knows its `jti`
    recording
    after the recording               done

Why a dead endpoint holds up nobody else. A failure of the endpoint itself lets its stream rest, and `claim` passes over
the rows of a stream that rests; of one that does not, a process has at most one task at a time (`busy`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.locking import dialect_of
from consent.withdrawal.models import Delivery, Stream
from consent.withdrawal.streams import PUSH, open_authorization
from keys.entropy import Entropy

LEASE: Final = timedelta(minutes=5)
FIRST_PAUSE: Final = timedelta(seconds=20)
LONGEST_PAUSE: Final = timedelta(hours=1)
_TOLD: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """One delivery that this sender has for the time of its lease, and where it goes."""

    delivery_id: str
    stream_id: str
    endpoint: str
    authorization: str | None
    attempts: int
    failures: int
    until: datetime


async def is_anything_due(session: AsyncSession, *, now: datetime) -> bool:
    """Whether a claim might find something."""
    due = select(Delivery.id).where(
        Delivery.next_attempt_at <= now, or_(Delivery.claimed_until.is_(None), Delivery.claimed_until <= now)
    )
    return await session.scalar(due.limit(1)) is not None


async def claim(
    session: AsyncSession,
    *,
    now: datetime,
    limit: int,
    busy: Collection[str] = (),
    lease: timedelta = LEASE,
) -> list[Claimed]:
    """Takes at most `limit` deliveries that are due, the longest waiting first, of streams that are not `busy` here.

    Two senders never have the same one at the same time; on SQLite the transaction is the only writer anyway.
    """
    due = (
        select(Delivery.id)
        .join(
            Stream,
            and_(Stream.agency_id == Delivery.agency_id, Stream.client_id == Delivery.client_id),
        )
        .where(
            Delivery.next_attempt_at <= now,
            or_(Delivery.claimed_until.is_(None), Delivery.claimed_until <= now),
            Stream.delivery == PUSH,
            Stream.status == "enabled",
            or_(Stream.rests_until.is_(None), Stream.rests_until <= now),
            Stream.id.not_in(list(busy)),
        )
        .order_by(Delivery.next_attempt_at, Delivery.id)
        .limit(limit)
    )
    if dialect_of(session) == "postgresql":
        due = due.with_for_update(skip_locked=True, of=Delivery)
    ids = (await session.scalars(due)).all()
    if not ids:
        return []
    await session.execute(
        update(Delivery).where(Delivery.id.in_(ids)).values(claimed_until=now + lease, attempts=Delivery.attempts + 1)
    )
    rows = await session.execute(
        select(
            Delivery.id.label("delivery_id"),
            Delivery.attempts,
            Stream.id.label("stream_id"),
            Stream.endpoint,
            Stream.authorization,
            Stream.failures,
        )
        .join(Stream, and_(Stream.agency_id == Delivery.agency_id, Stream.client_id == Delivery.client_id))
        .where(Delivery.id.in_(ids))
        .order_by(Delivery.id)
    )
    return [
        Claimed(
            delivery_id=row.delivery_id,
            stream_id=row.stream_id,
            endpoint=row.endpoint or "",
            authorization=open_authorization(session, row.stream_id, row.authorization),
            attempts=row.attempts,
            failures=row.failures,
            until=now + lease,
        )
        for row in rows
    ]


async def record_sent(session: AsyncSession, claimed: Claimed, *, now: datetime) -> None:
    """The endpoint took it."""
    await session.execute(
        update(Delivery)
        .where(Delivery.id == claimed.delivery_id, Delivery.sent_at.is_(None))
        .values(sent_at=now, next_attempt_at=None, claimed_until=None, last_error=None)
    )
    await session.execute(
        update(Stream)
        .where(Stream.id == claimed.stream_id, or_(Stream.failures > 0, Stream.rests_until.is_not(None)))
        .values(failures=0, rests_until=None, last_error=None)
    )


async def record_refused(
    session: AsyncSession, claimed: Claimed, *, why: str, now: datetime, entropy: Entropy
) -> datetime:
    """The endpoint answered, and did not take this one. Returns when it is tried again."""
    again = now + pause(claimed.attempts, entropy)
    await session.execute(
        update(Delivery)
        .where(Delivery.id == claimed.delivery_id, Delivery.sent_at.is_(None), Delivery.closed_at.is_(None))
        .values(next_attempt_at=again, claimed_until=None, last_error=why[:_TOLD])
    )
    return again


async def record_unreachable(
    session: AsyncSession, claimed: Claimed, *, why: str, now: datetime, entropy: Entropy
) -> datetime:
    """The endpoint itself fails: its stream rests. Returns until when."""
    until = now + pause(claimed.failures + 1, entropy)
    await record_refused(session, claimed, why=why, now=now, entropy=entropy)
    await session.execute(
        update(Stream)
        .where(Stream.id == claimed.stream_id)
        .values(failures=Stream.failures + 1, rests_until=until, last_error=why[:_TOLD])
    )
    return until


async def release(session: AsyncSession, untried: Sequence[Claimed]) -> None:
    """Gives back what was claimed and not tried, unless the lease was over and it is somebody else's by now."""
    for until in {claimed.until for claimed in untried}:
        ids = [claimed.delivery_id for claimed in untried if claimed.until == until]
        await session.execute(
            update(Delivery)
            .where(Delivery.id.in_(ids), Delivery.claimed_until == until, Delivery.sent_at.is_(None))
            .values(claimed_until=None, attempts=Delivery.attempts - 1)
        )


def pause(times: int, entropy: Entropy) -> timedelta:
    """How long to wait after so many failures: twice as long after each, up to an hour.

    Half of it is left to chance, so that those who failed together do not come back together.
    """
    longest: timedelta = min(FIRST_PAUSE * (1 << min(max(times, 1) - 1, 12)), LONGEST_PAUSE)
    share = int.from_bytes(entropy.token_bytes(2), "big") / 65536
    return longest / 2 + longest / 2 * share
