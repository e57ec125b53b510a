"""How a change is written: the row as it now is, its event, its leaf, and who must be told; all of it, or nothing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from consent.decisions.decision import How
from consent.errors import CannotFollow, NotAChoice, NothingToWithdraw, NotYours
from consent.event_store import append
from consent.events import CARRIED, Event
from consent.identifiers import is_id
from consent.models import ConsentRecord, PurposeVersion
from consent.statuses import may_follow
from consent.withdrawal.outbox import Ended, stage_all
from keys.entropy import Entropy, new_row_id

_COLUMNS: Final = tuple(ConsentRecord.__table__.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happened to a consent. `record` is its row as it is afterwards; `items_lost` may not flow any more.

    `tells` is False where nobody has to hear of it, although the kind of event would want it.
    """

    record: Row[Any]
    kind: str
    how: How
    items_lost: Collection[str] = ()
    tells: bool = True


async def write_events(
    session: AsyncSession, changes: Sequence[Change], *, now: datetime, entropy: Entropy
) -> list[Event]:
    """Adds the event of each change, and the deliveries that it owes."""
    events = await append(session, [_event(change, now=now, entropy=entropy) for change in changes], now=now)
    owed = [
        Ended(
            event_id=event.id,
            consent_id=event.consent_id,
            kind=event.kind,
            client_id=event.client_id,
            agency_id=event.agency_id,
            agreement_version_id=event.agreement_version_id,
            items_lost=tuple(sorted(change.items_lost)),
        )
        for change, event in zip(changes, events, strict=True)
        if change.tells
    ]
    await stage_all(session, owed, now=now, entropy=entropy)
    return events


def _event(change: Change, *, now: datetime, entropy: Entropy) -> Event:
    row, how = change.record, change.how
    carried = {name: getattr(row, name) for name in CARRIED}
    carried["granted"], carried["refused"] = tuple(row.granted), tuple(row.refused)
    return Event(
        id=new_row_id(entropy, now),
        consent_id=row.id,
        seq=row.last_seq,
        kind=change.kind,
        at=now,
        actor=how.actor,
        channel=how.channel,
        language=how.language,
        text_sha256=how.text_sha256,
        acr=how.acr,
        reason=how.reason,
        document_sha256=how.document_sha256,
        entered_by=how.entered_by,
        **carried,
    )


async def lock(
    session: AsyncSession, consent_id: str, *, kind: str, subject_id: str | None = None, choice: bool = False
) -> Row[Any]:
    """A consent's row, held until the transaction ends, to which an event of this kind may happen now.

    With `subject_id` only if it is that person's. With `choice` only if the person has a choice about it. Errors:
    `NotYours`; `NotAChoice`; `CannotFollow`.
    """
    row: Row[*tuple[Any, ...]] | None = None
    if is_id(consent_id):
        statement = (
            select(*_COLUMNS, PurposeVersion.legal_basis, PurposeVersion.items.label("version_items"))
            .join(PurposeVersion, PurposeVersion.id == ConsentRecord.purpose_version_id)
            .where(ConsentRecord.id == consent_id, ConsentRecord.erased_at.is_(None))
            # SQLite has one writer, which is us already; it ignores FOR UPDATE.
            .with_for_update(of=ConsentRecord)
        )
        if subject_id is not None:
            statement = statement.where(ConsentRecord.subject_id == subject_id)
        row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotYours("you have no such consent")
    if choice and row.legal_basis != "consent":
        raise NotAChoice(consent_id, row.legal_basis)
    if not may_follow(kind, row.status):
        error = NothingToWithdraw if kind == "withdrawn" else CannotFollow
        raise error(consent_id, kind, row.status)
    return row


async def change(session: AsyncSession, consent_id: str, **values: Any) -> Row[Any]:
    """The row of a consent that is locked, with these values, counting one more event. Returned as it is then."""
    return (
        await session.execute(
            update(ConsentRecord)
            .where(ConsentRecord.id == consent_id)
            .values(**values, last_seq=ConsentRecord.last_seq + 1)
            .returning(*_COLUMNS)
        )
    ).one()
