"""The events of a consent: what they say, how they are chained, and what they add up to.

Every event carries the SHA-256 of the one before it, so that an event cannot be changed, removed or slipped in without
breaking the chain from there on. `rebuild` is what a consent's row must equal.

Spec: ISO/IEC TS 27560 (event time, type, state, entity); GovStack Consent Building Block (Revision.predecessorHash).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from consent.errors import ConsentError
from keys.encoding import canonical_json

# What the first event of every consent has in front of it.
GENESIS: Final = bytes(32)

STATUS_AFTER: Final = {
    "granted": "given",
    "refused": "refused",
    "withdrawn": "withdrawn",
    "expired": "expired",
    "superseded": "superseded",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, as stored in `ConsentEvent`. `granted` and `refused` are sorted claims."""

    id: str
    consent_id: str
    seq: int
    kind: str
    at: datetime
    actor: str
    subject_id: str
    client_id: str
    agency_id: str
    purpose_id: str
    purpose_version_id: str
    granted: tuple[str, ...]
    refused: tuple[str, ...]
    offline_access: bool
    valid_until: datetime | None
    language: str | None
    text_sha256: bytes | None
    channel: str
    acr: str | None
    reason: str | None
    previous_hash: bytes
    hash: bytes = b""

    def as_json(self) -> dict[str, Any]:
        """The event in plain JSON values, without its own hash: times in UTC to the microsecond, bytes in hex."""
        return {name: _plain(getattr(self, name)) for name in _HASHED}

    def computed_hash(self) -> bytes:
        """The SHA-256 of the event's canonical JSON."""
        return hashlib.sha256(canonical_json(self.as_json())).digest()


_HASHED: Final = tuple(field.name for field in fields(Event) if field.name != "hash")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, bytes):
        return value.hex()
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class Intact:
    """The chain holds. `head` is the hash of its last event."""

    events: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Broken:
    """The chain breaks. `event_id` is the first event that does not fit; None when it is the end that is missing."""

    event_id: str | None
    seq: int
    why: str


def verify_chain(events: Iterable[Event], *, expected_last_seq: int | None = None) -> Intact | Broken:
    """Recomputes the chain of one consent's events, in the order of `seq`, and names the first that breaks it.

    `expected_last_seq` (the row's `last_seq`) tells a chain whose end was cut off.
    """
    previous = GENESIS
    consent_id: str | None = None
    seq = 0
    for event in events:
        seq += 1
        consent_id = consent_id or event.consent_id
        why = _fault(event, seq=seq, consent_id=consent_id, previous=previous)
        if why is not None:
            return Broken(event.id, event.seq, why)
        previous = event.hash
    if expected_last_seq is not None and seq != expected_last_seq:
        return Broken(None, seq + 1, f"the record counts {expected_last_seq} events, and there are {seq}")
    return Intact(seq, previous)


def _fault(event: Event, *, seq: int, consent_id: str, previous: bytes) -> str | None:
    if event.consent_id != consent_id:
        return "it belongs to another consent"
    if event.seq != seq:
        return f"event {seq} is missing"
    if event.previous_hash != previous:
        return "it does not follow the event before it"
    if event.computed_hash() != event.hash:
        return "its content is not what was written"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Projected:
    """What a consent's row must say, if its events are the truth."""

    id: str
    subject_id: str
    client_id: str
    agency_id: str
    purpose_id: str
    purpose_version_id: str
    status: str
    granted: tuple[str, ...]
    refused: tuple[str, ...]
    offline_access: bool
    decided_at: datetime
    valid_until: datetime | None
    ended_at: datetime | None
    last_seq: int


def rebuild(events: Iterable[Event]) -> Projected:
    """The state that one consent's events add up to. Error: `ConsentError` when they tell no possible story."""
    story = list(events)
    if not story or story[0].kind not in {"granted", "refused"}:
        raise ConsentError("a consent begins with a decision")
    if len(story) > 2 or (len(story) == 2 and story[0].kind == "refused"):
        raise ConsentError("something happened to a consent that was not in force")
    first, last = story[0], story[-1]
    if len(story) == 2 and last.kind in {"granted", "refused"}:
        raise ConsentError("a consent is decided once; deciding again makes another")
    return Projected(
        id=first.consent_id,
        subject_id=first.subject_id,
        client_id=first.client_id,
        agency_id=first.agency_id,
        purpose_id=first.purpose_id,
        purpose_version_id=first.purpose_version_id,
        status=STATUS_AFTER[last.kind],
        granted=first.granted,
        refused=first.refused,
        offline_access=first.offline_access,
        decided_at=first.at,
        valid_until=first.valid_until,
        ended_at=last.at if len(story) == 2 else None,
        last_seq=last.seq,
    )
