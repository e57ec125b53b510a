"""The events of a consent: what they say, how they are chained, and what they add up to.

Every event carries the commitment of the one before it, so that an event cannot be changed, removed or slipped in
without breaking the chain from there on; its own commitment is its leaf in the log. An event says the whole state after
it, so `rebuild` is what a consent's row must equal.

Spec: ISO/IEC TS 27560 (event time, type, state, entity); GovStack Consent Building Block (Revision.predecessorHash).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Final

from consent.errors import ConsentError
from consent.log.entry import commit
from consent.statuses import DECIDING, ENDED, status_after

# What the first event of every consent has in front of it.
GENESIS: Final = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, as stored in `ConsentEvent`. `granted` and `refused` are sorted claims.

    `opening` is what hides the commitment, from the person's key; None for an event that could not be opened: then
    `erased` says that its person was erased, or `fault` what is wrong, and the personal members are empty.
    """

    id: str
    consent_id: str
    seq: int
    kind: str
    at: datetime
    subject_id: str
    client_id: str
    agency_id: str
    purpose_id: str
    purpose_version_id: str
    channel: str
    language: str | None
    text_sha256: bytes | None
    previous_hash: bytes = GENESIS
    # What is sealed: the state after the event, and who brought it about.
    status: str
    actor: str
    subject_ref: str | None
    granted: tuple[str, ...]
    refused: tuple[str, ...]
    offline_access: bool
    valid_until: datetime | None
    agreement_version_id: str | None
    fetch_type: str
    use_limit: int | None
    use_window_days: int | None
    acr: str | None
    reason: str | None
    representative_id: str | None
    mandate_id: str | None
    document_sha256: bytes | None
    entered_by: str | None
    # What is known about the event, and no part of it.
    hash: bytes = b""
    opening: bytes | None = field(default=None, repr=False)
    erased: bool = False
    fault: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The event in plain JSON values, which is what its commitment is of: times in UTC, bytes in hex."""
        return {name: plain(getattr(self, name)) for name in COMMITTED}

    def personal_json(self) -> dict[str, Any]:
        """The part of it that is sealed."""
        return {name: plain(getattr(self, name)) for name in PERSONAL}

    def computed_hash(self) -> bytes:
        """The commitment to what the event says. Error: `ConsentError` when it is not open."""
        if self.opening is None:
            raise ConsentError("an event that is not open cannot be committed to")
        return commit(self.opening, self.as_json())


_ABOUT: Final = frozenset({"hash", "opening", "erased", "fault"})
COMMITTED: Final = tuple(one.name for one in fields(Event) if one.name not in _ABOUT)
PERSONAL: Final = (
    "status",
    "actor",
    "subject_ref",
    "granted",
    "refused",
    "offline_access",
    "valid_until",
    "agreement_version_id",
    "fetch_type",
    "use_limit",
    "use_window_days",
    "acr",
    "reason",
    "representative_id",
    "mandate_id",
    "document_sha256",
    "entered_by",
)
# What stays readable in the row: what lists are filtered by, and the chain.
OPEN: Final = tuple(name for name in COMMITTED if name not in PERSONAL)


def plain(value: Any) -> Any:
    """A member as JSON has it: a moment in UTC to the microsecond, bytes in hex, a list."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, bytes):
        return value.hex()
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class Intact:
    """The chain holds. `head` is the hash of its last event. `erased`: what the events said cannot be read any more."""

    events: int
    head: bytes
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """The chain breaks. `event_id` is the first event that does not fit; None when it is the end that is missing."""

    event_id: str | None
    seq: int
    why: str


def verify_chain(
    events: Iterable[Event], *, expected_last_seq: int | None = None, expected_erased: bool | None = None
) -> Intact | Broken:
    """Recomputes the chain of one consent's events, in the order of `seq`, and names the first that breaks it.

    `expected_last_seq` (the row's `last_seq`) tells a chain whose end was cut off; `expected_erased` whether the row
    says that its person was erased. Of events that cannot be opened, the links and the order are still checked.
    """
    previous = GENESIS
    first: Event | None = None
    seq = 0
    for event in events:
        seq += 1
        first = first or event
        why = _fault(event, seq=seq, first=first, previous=previous, expected_erased=expected_erased)
        if why is not None:
            return Broken(event.id, event.seq, why)
        previous = event.hash
    if expected_last_seq is not None and seq != expected_last_seq:
        return Broken(None, seq + 1, f"the record counts {expected_last_seq} events, and there are {seq}")
    return Intact(seq, previous, first is not None and first.erased)


def _fault(event: Event, *, seq: int, first: Event, previous: bytes, expected_erased: bool | None) -> str | None:
    if event.consent_id != first.consent_id:
        return "it belongs to another consent"
    if event.seq != seq:
        return f"event {seq} is missing"
    if event.previous_hash != previous:
        return "it does not follow the event before it"
    # Without this, whoever moved an event to nobody could say that its person had been erased.
    if event.erased != (first.erased if expected_erased is None else expected_erased):
        return "it cannot be opened, and its person was not erased" if event.erased else "its person should be erased"
    if event.fault is not None:
        return event.fault
    if not event.erased and event.computed_hash() != event.hash:
        return "its content is not what was written"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Projected:
    """What a consent's row must say, if its events are the truth. How often it was used is the uses' to say."""

    id: str
    subject_id: str
    subject_ref: str | None
    client_id: str
    agency_id: str
    purpose_id: str
    purpose_version_id: str
    agreement_version_id: str | None
    status: str
    granted: tuple[str, ...]
    refused: tuple[str, ...]
    offline_access: bool
    fetch_type: str
    use_limit: int | None
    use_window_days: int | None
    representative_id: str | None
    mandate_id: str | None
    decided_at: datetime
    valid_until: datetime | None
    ended_at: datetime | None
    last_seq: int


# The members that a row has from its last event as they are.
CARRIED: Final = tuple(
    one.name for one in fields(Projected) if one.name not in {"id", "decided_at", "ended_at", "last_seq"}
)


def rebuild(events: Iterable[Event]) -> Projected:
    """The state that one consent's events add up to. Error: `ConsentError` when they tell no possible story."""
    story = list(events)
    status: str | None = None
    before_pause: str | None = None
    for event in story:
        if event.erased or event.fault is not None:
            raise ConsentError("what these events said cannot be read")
        after = status_after(event.kind, before=status, before_pause=before_pause)
        if event.status != after:
            raise ConsentError(f"after {event.kind} a consent is {after}, not {event.status}")
        if event.kind == "paused":
            before_pause = status
        status = after
    if not story:
        raise ConsentError("a consent begins with a decision, or with a request for one")
    last = story[-1]
    return Projected(
        id=last.consent_id,
        decided_at=next(event.at for event in reversed(story) if event.kind in DECIDING),
        ended_at=last.at if last.status in ENDED else None,
        last_seq=last.seq,
        **{name: getattr(last, name) for name in CARRIED},
    )
