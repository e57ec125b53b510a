"""Where each app, and each agency that gives data, wants to be told.

Spec: RFC 8935 (push); RFC 8936 (poll); OpenID Shared Signals Framework 1.0 §8.1.1 and §8.1.2.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import CursorResult, delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.locking import hold
from consent.vault import vault_of
from consent.withdrawal.errors import NoStream, StreamRefused
from consent.withdrawal.models import Delivery, Stream
from keys.entropy import Entropy, new_row_id

PUSH: Final = "push"
POLL: Final = "poll"
STATUSES: Final = ("enabled", "paused")
_HEADER: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,998}[\x21-\x7e])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamView:
    """A stream as its owner and the operators see it. The header that it sends is not shown."""

    id: str
    agency_id: str
    client_id: str
    delivery: str
    endpoint: str | None
    has_authorization: bool
    status: str
    failures: int
    rests_until: datetime | None
    last_error: str | None
    created_at: datetime
    updated_at: datetime


async def put_stream(
    session: AsyncSession,
    *,
    agency_id: str,
    client_id: str,
    delivery: str,
    endpoint: str | None = None,
    authorization: str | None = None,
    now: datetime,
    entropy: Entropy,
) -> StreamView:
    """Says where an app wants to be told, or an agency with an empty `client_id`; in place of what was said before.

    Whoever calls has checked that `endpoint` may be sent to. What waits is sent at once. Error: `StreamRefused`.
    """
    if delivery not in {PUSH, POLL} or (delivery == PUSH) != (endpoint is not None):
        raise StreamRefused("push needs an endpoint, and poll has none")
    if authorization is not None and (delivery == POLL or _HEADER.fullmatch(authorization) is None):
        raise StreamRefused("the authorization header is one line of at most 1000 printable characters, for push only")
    await hold(session, f"stream {agency_id} {client_id}")
    known = await _row(session, agency_id, client_id)
    stream = known or Stream(
        id=new_row_id(entropy, now), agency_id=agency_id, client_id=client_id, status="enabled", created_at=now
    )
    stream.delivery, stream.endpoint, stream.updated_at = delivery, endpoint, now
    stream.authorization = (
        None
        if authorization is None
        else vault_of(session).nobodys.seal(authorization.encode(), context=_context(stream.id), entropy=entropy)
    )
    stream.failures, stream.rests_until, stream.last_error = 0, None, None
    session.add(stream)
    await session.flush()
    await _wake(session, stream, now=now)
    return _view(stream)


async def stream_of(session: AsyncSession, *, agency_id: str, client_id: str) -> StreamView:
    """An app's or agency's stream. Error: `NoStream`."""
    return _view(await _known(session, agency_id, client_id))


async def list_streams(session: AsyncSession) -> Sequence[StreamView]:
    """Every stream, by agency and app."""
    rows = await session.scalars(select(Stream).order_by(Stream.agency_id, Stream.client_id))
    return [_view(stream) for stream in rows]


async def set_status(
    session: AsyncSession, *, agency_id: str, client_id: str, status: str, now: datetime
) -> StreamView:
    """Pauses a stream, or goes on. A pause stops the telling, never the clock. Errors: `NoStream`, `StreamRefused`."""
    if status not in STATUSES:
        raise StreamRefused(f"the status is one of {', '.join(STATUSES)}")
    stream = await _known(session, agency_id, client_id)
    stream.status, stream.updated_at = status, now
    stream.failures, stream.rests_until = 0, None
    await session.flush()
    await _wake(session, stream, now=now)
    return _view(stream)


async def remove_stream(session: AsyncSession, *, agency_id: str, client_id: str) -> None:
    """Forgets where somebody wanted to be told. What they were not told waits to be polled. Error: `NoStream`."""
    done = await session.execute(delete(Stream).where(Stream.agency_id == agency_id, Stream.client_id == client_id))
    assert isinstance(done, CursorResult)
    if done.rowcount == 0:
        raise NoStream("there is no such stream")


async def wake_forgotten(session: AsyncSession, *, now: datetime, limit: int = 1000) -> int:
    """Queues what was written while its recipient's stream was being made, which neither of the two could see."""
    waiting = (
        select(Delivery.id)
        .where(
            Delivery.sent_at.is_(None),
            Delivery.closed_at.is_(None),
            Delivery.next_attempt_at.is_(None),
            exists().where(
                Stream.agency_id == Delivery.agency_id,
                Stream.client_id == Delivery.client_id,
                Stream.delivery == PUSH,
                Stream.status == "enabled",
            ),
        )
        .limit(limit)
        .scalar_subquery()
    )
    done = await session.execute(update(Delivery).where(Delivery.id.in_(waiting)).values(next_attempt_at=now))
    assert isinstance(done, CursorResult)
    return done.rowcount


def open_authorization(session: AsyncSession, stream_id: str, sealed: bytes | None) -> str | None:
    """The header that an endpoint wants, opened."""
    if sealed is None:
        return None
    return vault_of(session).nobodys.unseal(sealed, context=_context(stream_id)).decode()


async def _wake(session: AsyncSession, stream: Stream, *, now: datetime) -> None:
    if stream.delivery == PUSH and stream.status == "enabled":
        await session.execute(
            update(Delivery)
            .where(
                Delivery.agency_id == stream.agency_id,
                Delivery.client_id == stream.client_id,
                Delivery.sent_at.is_(None),
                Delivery.closed_at.is_(None),
            )
            .values(next_attempt_at=now)
        )


async def _row(session: AsyncSession, agency_id: str, client_id: str) -> Stream | None:
    return (
        await session.scalars(select(Stream).where(Stream.agency_id == agency_id, Stream.client_id == client_id))
    ).one_or_none()


async def _known(session: AsyncSession, agency_id: str, client_id: str) -> Stream:
    stream = await _row(session, agency_id, client_id)
    if stream is None:
        raise NoStream("there is no such stream")
    return stream


def _context(stream_id: str) -> bytes:
    return b"consent_streams/" + stream_id.encode()


def _view(stream: Stream) -> StreamView:
    values = {name: getattr(stream, name) for name in StreamView.__dataclass_fields__ if name != "has_authorization"}
    return StreamView(**values, has_authorization=stream.authorization is not None)
