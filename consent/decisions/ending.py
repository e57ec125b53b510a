"""What others end: time, a use where one was agreed to, another party, an authority.

Spec: Law 27/2022 (UU PDP) articles 22(3), 23 and 43; W3C DPV (ConsentRevoked, ConsentInvalidated, ConsentExpired).
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.decisions.decision import BY_SYSTEM, How
from consent.decisions.writing import Change, change, lock, write_events
from consent.errors import CannotFollow, DecisionRefused, NotYours, UnknownConsent
from consent.locking import dialect_of
from consent.models import ConsentRecord
from consent.statuses import CURRENT
from keys.entropy import Entropy

_CURRENT: Final = sorted(CURRENT)
_LONGEST_REASON: Final = 500
USED_ONCE: Final = "used once, as agreed"


async def revoke(
    session: AsyncSession, *, consent_id: str, actor: str, reason: str, now: datetime, entropy: Entropy
) -> None:
    """Ends a consent because another party ended what it is for.

    Errors: `UnknownConsent`; `CannotFollow`; `DecisionRefused` without a reason.
    """
    await _end(session, consent_id, "revoked", actor=actor, reason=reason, now=now, entropy=entropy)


async def invalidate(
    session: AsyncSession, *, consent_id: str, actor: str, citation: str, now: datetime, entropy: Entropy
) -> None:
    """Ends a consent because a court or an authority found that it does not hold; `citation` says by which act.

    Errors: those of `revoke`.
    """
    await _end(session, consent_id, "invalidated", actor=actor, reason=citation, now=now, entropy=entropy)


async def revoke_all(
    session: AsyncSession,
    *,
    consent_ids: Collection[str],
    actor: str,
    reason: str,
    now: datetime,
    entropy: Entropy,
) -> list[str]:
    """Ends those of these consents that are in force, or waited for, all for one reason. Returns their ids."""
    _must_say(reason, "a reason")
    return await _end_many(
        session, consent_ids, "revoked", how=How(actor=actor, channel="system", reason=reason), now=now, entropy=entropy
    )


async def expire_due(session: AsyncSession, *, now: datetime, entropy: Entropy, limit: int = 500) -> list[str]:
    """Ends at most `limit` consents whose time is up, oldest first, and returns their ids. Call again while it is full.

    Nothing waits for this, for the gate reads `valid_until` itself: it makes the history say what happened.
    """
    due = (
        select(ConsentRecord.id)
        .where(ConsentRecord.status.in_(_CURRENT), ConsentRecord.valid_until <= now, ConsentRecord.erased_at.is_(None))
        .order_by(ConsentRecord.valid_until)
        .limit(limit)
    )
    if dialect_of(session) == "postgresql":
        # Two sweepers share the work instead of waiting for each other. SQLite has one writer anyway.
        due = due.with_for_update(skip_locked=True)
    ids = (await session.scalars(due)).all()
    return await _end_many(session, ids, "expired", how=BY_SYSTEM, now=now, entropy=entropy)


async def expire_after_use(session: AsyncSession, *, consent_id: str, now: datetime, entropy: Entropy) -> None:
    """Ends a consent to one use, once that use is recorded, in the transaction that records it.

    Errors: `UnknownConsent`; `CannotFollow` when it is not in force, or was not for one use.
    """
    try:
        row = await lock(session, consent_id, kind="expired")
    except NotYours:
        raise UnknownConsent("there is no such consent") from None
    if row.fetch_type != "onetime":
        raise CannotFollow(consent_id, "expired", row.status)
    record = await change(session, consent_id, status="expired", ended_at=now)
    used = How(actor=BY_SYSTEM.actor, channel=BY_SYSTEM.channel, reason=USED_ONCE)
    # The app knows: it agreed to one use, and has just had it. There is nothing that it would have to stop.
    expired = Change(record=record, kind="expired", how=used, items_lost=row.granted, tells=False)
    await write_events(session, [expired], now=now, entropy=entropy)


async def _end(
    session: AsyncSession, consent_id: str, kind: str, *, actor: str, reason: str, now: datetime, entropy: Entropy
) -> None:
    _must_say(reason, "a reason" if kind == "revoked" else "a citation")
    try:
        row = await lock(session, consent_id, kind=kind)
    except NotYours:
        raise UnknownConsent("there is no such consent") from None
    record = await change(session, consent_id, status=kind, ended_at=now)
    ended = Change(
        record=record,
        kind=kind,
        how=How(actor=actor, channel="system", reason=reason),
        items_lost=row.granted,
        # Of what was only asked for, nobody has anything.
        tells=row.status != "requested",
    )
    await write_events(session, [ended], now=now, entropy=entropy)


async def _end_many(
    session: AsyncSession, consent_ids: Collection[str], kind: str, *, how: How, now: datetime, entropy: Entropy
) -> list[str]:
    if not consent_ids:
        return []
    ends = (
        update(ConsentRecord)
        .where(ConsentRecord.id.in_(consent_ids), ConsentRecord.erased_at.is_(None))
        .values(status=kind, ended_at=now, last_seq=ConsentRecord.last_seq + 1)
        .returning(*ConsentRecord.__table__.columns)
    )
    changes = [
        Change(record=row, kind=kind, how=how, items_lost=row.granted)
        for row in await session.execute(ends.where(ConsentRecord.status.in_(_CURRENT)))
    ]
    if kind != "expired":
        changes += [
            Change(record=row, kind=kind, how=how, tells=False)
            for row in await session.execute(ends.where(ConsentRecord.status == "requested"))
        ]
    await write_events(session, changes, now=now, entropy=entropy)
    return [one.record.id for one in changes]


def _must_say(text: str, what: str) -> None:
    if not text.strip() or len(text) > _LONGEST_REASON:
        raise DecisionRefused(f"an end by somebody else has {what}, of at most {_LONGEST_REASON} characters")
