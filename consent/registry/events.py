"""What happened to each registered thing: appended, chained by commitment, queued for the log in the same transaction.

Rows about nobody: their commitments are opened by the vault's key of nobody, so that whoever keeps the registry can
show what any leaf of it says.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from consent.locking import hold
from consent.log.entries import append as append_to_log
from consent.log.entries import entry_of
from consent.log.entry import Kind, commit
from consent.registry.models import RegistryEvent
from consent.registry.people import Person
from consent.vault import vault_of
from keys.entropy import Entropy, new_row_id
from keys.personal import PersonalKey

# What the first event of every thing has in front of it.
GENESIS: Final = bytes(32)

AGENCY: Final = "agency"
ATTRIBUTE: Final = "attribute"
PURPOSE_VERSION: Final = "purpose_version"
AGREEMENT_VERSION: Final = "agreement_version"

# A data item belongs to the agency that holds it, and is logged as a matter of that agency.
LOG_KIND: Final[Mapping[str, Kind]] = {
    AGENCY: Kind.AGENCY,
    ATTRIBUTE: Kind.AGENCY,
    PURPOSE_VERSION: Kind.PURPOSE,
    AGREEMENT_VERSION: Kind.AGREEMENT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryEntry:
    """One event of the registry, as stored in `RegistryEvent`."""

    id: str
    object_kind: str
    object_id: str
    seq: int
    kind: str
    at: datetime
    actor: str
    detail: Mapping[str, Any]
    previous_hash: bytes
    hash: bytes = b""

    def as_json(self) -> dict[str, Any]:
        """What the commitment commits to: everything but the commitment itself."""
        return {
            "id": self.id,
            "object_kind": self.object_kind,
            "object_id": self.object_id,
            "seq": self.seq,
            "kind": self.kind,
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "actor": self.actor,
            "detail": dict(self.detail),
            "previous_hash": self.previous_hash.hex(),
        }

    @property
    def by(self) -> Person:
        """Who did it."""
        who = self.detail.get("by") or {}
        return Person(name=who.get("name", self.actor), account_id=who.get("account_id"))

    def committed(self, key: PersonalKey) -> bytes:
        """The commitment to this event: the leaf that the log has of it."""
        return commit(key.opening(self.id), self.as_json())


_COLUMNS: Final = tuple(getattr(RegistryEvent, field.name) for field in fields(RegistryEntry))


async def append_event(
    session: AsyncSession,
    *,
    object_kind: str,
    object_id: str,
    kind: str,
    by: Person,
    detail: Mapping[str, Any] | None = None,
    now: datetime,
    entropy: Entropy,
) -> RegistryEntry:
    """Adds one event, and its leaf. Whoever writes the row that it is about calls this in the same transaction."""
    await hold(session, f"{object_kind} {object_id}")
    last = (
        await session.execute(
            select(RegistryEvent.seq, RegistryEvent.hash)
            .where(RegistryEvent.object_kind == object_kind, RegistryEvent.object_id == object_id)
            .order_by(RegistryEvent.seq.desc())
            .limit(1)
        )
    ).one_or_none()
    key = vault_of(session).nobodys
    entry = RegistryEntry(
        id=new_row_id(entropy, now),
        object_kind=object_kind,
        object_id=object_id,
        seq=1 if last is None else last.seq + 1,
        kind=kind,
        at=now,
        actor=by.actor,
        detail={**(detail or {}), "by": by.as_json()},
        previous_hash=GENESIS if last is None else last.hash,
    )
    leaf = entry_of(LOG_KIND[object_kind], entry.id, entry.as_json(), key, at=now)
    entry = replace(entry, hash=leaf["commitment"])
    await session.execute(
        insert(RegistryEvent).values({field.name: getattr(entry, field.name) for field in fields(entry)})
    )
    await append_to_log(session, [leaf])
    return entry


async def events_of(session: AsyncSession, object_kind: str, *object_ids: str) -> list[RegistryEntry]:
    """What happened to these things, each one's events in their order."""
    rows = await session.execute(
        select(*_COLUMNS)
        .where(RegistryEvent.object_kind == object_kind, RegistryEvent.object_id.in_(object_ids))
        .order_by(RegistryEvent.object_id, RegistryEvent.seq)
    )
    return [RegistryEntry(**row._mapping) for row in rows]


async def all_events(session: AsyncSession) -> dict[tuple[str, str], list[RegistryEntry]]:
    """Every event of the registry, by the thing that it is about."""
    rows = await session.execute(
        select(*_COLUMNS).order_by(RegistryEvent.object_kind, RegistryEvent.object_id, RegistryEvent.seq)
    )
    found: dict[tuple[str, str], list[RegistryEntry]] = {}
    for row in rows:
        found.setdefault((row.object_kind, row.object_id), []).append(RegistryEntry(**row._mapping))
    return found


def fault_in_chain(events: Iterable[RegistryEntry], key: PersonalKey) -> str | None:
    """What is wrong with one thing's events, in the order of `seq`; None if the chain holds."""
    previous = GENESIS
    for seq, event in enumerate(events, start=1):
        if event.seq != seq:
            return f"event {seq} is missing"
        if event.previous_hash != previous:
            return f"event {seq} does not follow the event before it"
        if event.committed(key) != event.hash:
            return f"event {seq} does not say what was written"
        previous = event.hash
    return None
