"""Where events and shown texts are added. They are only ever added: nothing here updates or deletes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from consent.errors import ConsentError
from consent.events import GENESIS, STATUS_AFTER, Event
from consent.locking import dialect_of
from consent.models import ConsentEvent, ConsentRecord, ShownText
from consent.notice import Notice
from keys.entropy import Entropy, new_row_id

_KIND_OF: Final = {status: kind for kind, status in STATUS_AFTER.items()}


async def keep_text(session: AsyncSession, notice: Notice, *, now: datetime) -> bytes:
    """Keeps the exact text that was shown, unless it is kept already. Returns its SHA-256."""
    values = {
        "sha256": notice.sha256,
        "language": notice.language,
        "body": notice.canonical().decode(),
        "first_shown_at": now,
    }
    if dialect_of(session) == "postgresql":
        await session.execute(postgresql.insert(ShownText).values(values).on_conflict_do_nothing())
    else:
        await session.execute(sqlite.insert(ShownText).values(values).on_conflict_do_nothing())
    return notice.sha256


async def append_first(
    session: AsyncSession,
    *,
    consent_id: str,
    kind: str,
    record: Mapping[str, Any],
    actor: str,
    language: str,
    text_sha256: bytes,
    channel: str,
    acr: str | None,
    now: datetime,
    entropy: Entropy,
) -> None:
    """Adds the decision that a consent begins with. `record` has what the row says of it."""
    event = Event(
        id=new_row_id(entropy, now),
        consent_id=consent_id,
        seq=1,
        kind=kind,
        at=now,
        actor=actor,
        **_as_event_has_it(record),
        language=language,
        text_sha256=text_sha256,
        channel=channel,
        acr=acr,
        reason=None,
        previous_hash=GENESIS,
    )
    await _insert(session, [event])


async def append_endings(
    session: AsyncSession,
    ended: Sequence[Row[Any]],
    *,
    actor: str,
    channel: str,
    reason: str | None,
    now: datetime,
    entropy: Entropy,
) -> None:
    """Adds the event that ended each of these `ConsentRecord` rows, as they are after the update that ended them.

    A consent whose time was up has been ended by time, whoever came upon it.
    """
    if not ended:
        return
    heads = await _heads(session, [row.id for row in ended])
    events = []
    for row in ended:
        if row.id not in heads:
            raise ConsentError(f"the consent {row.id} has no event {row.last_seq - 1} to follow")
        by_time = row.status == "expired"
        events.append(
            Event(
                id=new_row_id(entropy, now),
                consent_id=row.id,
                seq=row.last_seq,
                kind=_KIND_OF[row.status],
                at=now,
                actor="system" if by_time else actor,
                **_as_event_has_it({name: getattr(row, name) for name in _CARRIED}),
                language=None,
                text_sha256=None,
                channel="system" if by_time else channel,
                acr=None,
                reason=None if by_time else reason,
                previous_hash=heads[row.id],
            )
        )
    await _insert(session, events)


# What an event repeats of its consent, so that it can be read, filtered and proven without the row.
_CARRIED: Final = (
    "subject_id",
    "client_id",
    "agency_id",
    "purpose_id",
    "purpose_version_id",
    "granted",
    "refused",
    "offline_access",
    "valid_until",
)


def _as_event_has_it(record: Mapping[str, Any]) -> dict[str, Any]:
    return {**record, "granted": tuple(record["granted"]), "refused": tuple(record["refused"])}


async def _heads(session: AsyncSession, consent_ids: Sequence[str]) -> dict[str, bytes]:
    rows = await session.execute(
        select(ConsentEvent.consent_id, ConsentEvent.hash)
        .join(
            ConsentRecord,
            and_(ConsentRecord.id == ConsentEvent.consent_id, ConsentRecord.last_seq == ConsentEvent.seq + 1),
        )
        .where(ConsentEvent.consent_id.in_(consent_ids))
    )
    return {row.consent_id: row.hash for row in rows}


async def _insert(session: AsyncSession, events: Sequence[Event]) -> None:
    rows = []
    for event in events:
        hashed = replace(event, hash=event.computed_hash())
        values = {name: getattr(hashed, name) for name in hashed.__dataclass_fields__}
        rows.append({**values, "granted": list(event.granted), "refused": list(event.refused)})
    await session.execute(insert(ConsentEvent), rows)
