"""Where events and shown texts are added, and read back. They are only ever added: nothing here updates or deletes.

What an event says of the person is sealed under their key; its commitment is queued for the log in the transaction that
writes it. So neither is ever there without the other, and both are erased by destroying one key.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from consent.errors import ConsentError
from consent.events import GENESIS, OPEN, PERSONAL, Event
from consent.locking import dialect_of
from consent.log import entries
from consent.log.entry import Kind
from consent.models import ConsentEvent, ConsentRecord, ShownText
from consent.notice import Notice
from consent.statuses import STATUS_AFTER
from consent.vault import key_of, keys_of, vault_of
from keys.encoding import canonical_json
from keys.errors import SealBroken
from keys.personal import PersonalKey

EVENT_COLUMNS: Final = tuple(ConsentEvent.__table__.columns)


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


async def append(session: AsyncSession, events: Sequence[Event], *, now: datetime) -> list[Event]:
    """Adds events, at most one of each consent, once the rows of their consents say what they say.

    Each is linked to the one before it, committed to, sealed, written, and queued for the log. Returns them so.
    Error: `Erased` when a person's key was destroyed.
    """
    if not events:
        return []
    heads = await _heads(session, [event.consent_id for event in events if event.seq > 1])
    keys = await _keys(session, {event.subject_id for event in events}, now=now)
    entropy = vault_of(session).entropy
    added, rows, leaves = [], [], []
    for event in events:
        previous = GENESIS if event.seq == 1 else heads.get(event.consent_id)
        if previous is None:
            raise ConsentError(f"the consent {event.consent_id} has no event {event.seq - 1} to follow")
        key = keys[event.subject_id]
        linked = replace(event, previous_hash=previous, opening=key.opening(event.id))
        leaf = entries.entry_of(Kind.CONSENT, event.id, linked.as_json(), key, at=event.at)
        linked = replace(linked, hash=leaf["commitment"])
        body = key.seal(canonical_json(linked.personal_json()), context=context_of(event.id), entropy=entropy)
        added.append(linked)
        leaves.append(leaf)
        rows.append({**{name: getattr(linked, name) for name in OPEN}, "hash": linked.hash, "body": body})
    await session.execute(insert(ConsentEvent), rows)
    await entries.append(session, leaves)
    return added


async def read_events(session: AsyncSession, rows: Iterable[Row[Any]]) -> tuple[Event, ...]:
    """The events of rows that have `EVENT_COLUMNS`, opened with one more query. None is left out, erased or damaged."""
    found = list(rows)
    if not found:
        return ()
    keys = await keys_of(session, {row.subject_id for row in found})
    return tuple(open_event(row, keys.get(row.subject_id)) for row in found)


async def events_of(session: AsyncSession, consent_id: str) -> tuple[Event, ...]:
    """One consent's events, oldest first."""
    statement = select(*EVENT_COLUMNS).where(ConsentEvent.consent_id == consent_id).order_by(ConsentEvent.seq)
    return await read_events(session, await session.execute(statement))


def context_of(event_id: str) -> bytes:
    """What the seal of an event's body is bound to, so that no two bodies can be exchanged."""
    return b"consent_events/" + event_id.encode()


def open_event(row: Row[Any], key: PersonalKey | None) -> Event:
    """One row's event. Without a key its person was erased: it happened, and what it said is gone."""
    readable = {name: getattr(row, name) for name in (*OPEN, "hash")}
    if key is None:
        return Event(**readable, **_nothing(row.kind), erased=True)
    try:
        body = key.unseal(row.body, context=context_of(row.id))
        sealed = _read_body(body)
    except (SealBroken, ValueError, KeyError, TypeError):
        return Event(**readable, **_nothing(row.kind), fault="what it says does not open with its person's key")
    return Event(**readable, **sealed, opening=key.opening(row.id))


def _read_body(body: bytes) -> dict[str, Any]:
    said: Mapping[str, Any] = json.loads(body)
    values = {name: said[name] for name in PERSONAL}
    values["granted"], values["refused"] = tuple(said["granted"]), tuple(said["refused"])
    if said["valid_until"] is not None:
        values["valid_until"] = datetime.fromisoformat(said["valid_until"])
    if said["document_sha256"] is not None:
        values["document_sha256"] = bytes.fromhex(said["document_sha256"])
    return values


def _nothing(kind: str) -> dict[str, Any]:
    """The personal members of an event that cannot be opened: empty, but for what its kind says anyway."""
    empty: dict[str, Any] = dict.fromkeys(PERSONAL)
    return {
        **empty,
        "status": STATUS_AFTER.get(kind) or "unknown",
        "actor": "",
        "granted": (),
        "refused": (),
        "offline_access": False,
        "fetch_type": "",
    }


async def _keys(session: AsyncSession, subject_ids: set[str], *, now: datetime) -> dict[str, PersonalKey]:
    keys = dict(await keys_of(session, subject_ids)) if len(subject_ids) > 1 else {}
    for subject_id in sorted(subject_ids - keys.keys()):
        keys[subject_id] = await key_of(session, subject_id, now=now)
    return keys


async def _heads(session: AsyncSession, consent_ids: Sequence[str]) -> dict[str, bytes]:
    if not consent_ids:
        return {}
    rows = await session.execute(
        select(ConsentEvent.consent_id, ConsentEvent.hash)
        .join(
            ConsentRecord,
            and_(ConsentRecord.id == ConsentEvent.consent_id, ConsentRecord.last_seq == ConsentEvent.seq + 1),
        )
        .where(ConsentEvent.consent_id.in_(consent_ids))
    )
    return {row.consent_id: row.hash for row in rows}
