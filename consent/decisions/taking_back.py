"""What a person takes back, in whole, in part, or for a while. No reason is asked for, and each takes effect at once.

Spec: Law 27/2022 (UU PDP) articles 9, 40 and 41; GDPR article 7(3).
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from consent.decisions.decision import BY_PERSON, How
from consent.decisions.writing import Change, change, lock, write_events
from consent.errors import CannotFollow, DecisionRefused
from consent.event_store import events_of
from consent.models import ConsentRecord
from keys.entropy import Entropy


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A consent was withdrawn: whoever holds data by it must now stop."""

    consent_id: str
    subject_id: str
    client_id: str
    agency_id: str
    purpose_id: str
    at: datetime


async def withdraw(
    session: AsyncSession,
    *,
    consent_id: str,
    subject_id: str,
    actor: str = "subject",
    now: datetime,
    entropy: Entropy,
    reason: str | None = None,
    channel: str = "web",
    document_sha256: bytes | None = None,
    entered_by: str | None = None,
) -> Withdrawn:
    """Takes a consent back. Effective with the commit of the caller's transaction.

    Errors: `NotYours` when it is not `subject_id`'s; `NothingToWithdraw` when it is not in force; `NotAChoice`.
    """
    row = await lock(session, consent_id, kind="withdrawn", subject_id=subject_id, choice=True)
    record = await change(session, consent_id, status="withdrawn", ended_at=now)
    how = How(actor=actor, channel=channel, reason=reason, document_sha256=document_sha256, entered_by=entered_by)
    withdrawn = Change(record=record, kind="withdrawn", how=how, items_lost=row.granted)
    await write_events(session, [withdrawn], now=now, entropy=entropy)
    return Withdrawn(
        consent_id=row.id,
        subject_id=row.subject_id,
        client_id=row.client_id,
        agency_id=row.agency_id,
        purpose_id=row.purpose_id,
        at=now,
    )


async def let_go(
    session: AsyncSession,
    *,
    consent_id: str,
    subject_id: str,
    item: str,
    now: datetime,
    entropy: Entropy,
    how: How = BY_PERSON,
) -> None:
    """Takes one item back, and leaves the rest. Errors: `NotYours`; `CannotFollow`; `NotAChoice`; `DecisionRefused`."""
    row = await lock(session, consent_id, kind="changed", subject_id=subject_id, choice=True)
    _must_be_current(row.id, row.status, "changed")
    if item not in row.granted:
        raise DecisionRefused(f"{item} was not granted")
    if any(one["required"] for one in row.version_items if one["claim"] == item):
        raise DecisionRefused(f"{item} is required: without it only the whole can be taken back")
    record = await change(
        session,
        consent_id,
        granted=sorted(set(row.granted) - {item}),
        refused=sorted({*row.refused, item}),
    )
    changed = Change(record=record, kind="changed", how=how, items_lost=[item])
    await write_events(session, [changed], now=now, entropy=entropy)


async def shorten(
    session: AsyncSession,
    *,
    consent_id: str,
    subject_id: str,
    until: datetime,
    now: datetime,
    entropy: Entropy,
    how: How = BY_PERSON,
) -> None:
    """Sets an earlier end. Errors: `NotYours`; `CannotFollow`; `NotAChoice`; `DecisionRefused`."""
    row = await lock(session, consent_id, kind="changed", subject_id=subject_id, choice=True)
    _must_be_current(row.id, row.status, "changed")
    if until <= now:
        raise DecisionRefused("the new end has passed already")
    if row.valid_until is not None and until >= row.valid_until:
        raise DecisionRefused("the new end is not before the old one")
    record = await change(session, consent_id, valid_until=until)
    await write_events(session, [Change(record=record, kind="changed", how=how)], now=now, entropy=entropy)


async def pause(
    session: AsyncSession,
    *,
    consent_id: str,
    subject_id: str,
    now: datetime,
    entropy: Entropy,
    how: How = BY_PERSON,
) -> None:
    """Stops the data until the person resumes. Errors: `NotYours`; `CannotFollow`; `NotAChoice`.

    Spec: Law 27/2022 (UU PDP) article 41.
    """
    row = await lock(session, consent_id, kind="paused", subject_id=subject_id, choice=True)
    if row.valid_until is not None and row.valid_until <= now:
        raise CannotFollow(consent_id, "paused", "expired")
    record = await change(session, consent_id, status="paused")
    paused = Change(record=record, kind="paused", how=how, items_lost=row.granted)
    await write_events(session, [paused], now=now, entropy=entropy)


async def resume(
    session: AsyncSession,
    *,
    consent_id: str,
    subject_id: str,
    now: datetime,
    entropy: Entropy,
    how: How = BY_PERSON,
) -> None:
    """Lets a paused consent go on as what it was. Errors: `NotYours`; `CannotFollow`, also when its time is up."""
    row = await lock(session, consent_id, kind="resumed", subject_id=subject_id, choice=True)
    if row.valid_until is not None and row.valid_until <= now:
        raise CannotFollow(consent_id, "resumed", "expired")
    # Whether it was given or renewed is what the event before the pause says; the row has only the pause.
    before = next(event for event in reversed(await events_of(session, consent_id)) if event.status != "paused")
    record = await change(session, consent_id, status=before.status)
    await write_events(session, [Change(record=record, kind="resumed", how=how)], now=now, entropy=entropy)


async def lift_refusal(
    session: AsyncSession,
    *,
    consent_id: str,
    subject_id: str,
    now: datetime,
    entropy: Entropy,
    how: How = BY_PERSON,
) -> None:
    """Lets the app ask again before the time: the person wants to be asked. The no stays in the history.

    Lifts every no of theirs to this app and version, for any of them would keep the question away. Errors: `NotYours`;
    `CannotFollow` when it is no refusal, or is not remembered any more.
    """
    row = await lock(session, consent_id, kind="changed", subject_id=subject_id)
    if row.status != "refused" or row.valid_until is None or row.valid_until <= now:
        raise CannotFollow(consent_id, "changed", row.status)
    ids = await session.scalars(
        select(ConsentRecord.id)
        .where(
            ConsentRecord.subject_id == subject_id,
            ConsentRecord.client_id == row.client_id,
            ConsentRecord.purpose_version_id == row.purpose_version_id,
            ConsentRecord.status == "refused",
            ConsentRecord.valid_until > now,
        )
        .order_by(ConsentRecord.id)
        .with_for_update()
    )
    changes = [Change(record=await change(session, one, valid_until=now), kind="changed", how=how) for one in ids.all()]
    await write_events(session, changes, now=now, entropy=entropy)


def _must_be_current(consent_id: str, status: str, kind: str) -> None:
    # A refusal changes too, when it is lifted; but it has nothing to let go of and no end to bring nearer.
    if status == "refused":
        raise CannotFollow(consent_id, kind, status)
