"""What was decided, read back through two windows: the person's own, and the privacy officer's.

Lists are read by keyset, never by offset: a page costs the same at the first and at the billionth event, and nothing
is skipped or repeated while new events arrive.

Spec: Law 27/2022 (UU PDP) articles 24, 31 and 32.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from consent.errors import NotYours, UnknownConsent, UnknownCursor
from consent.events import Broken, Event, Intact, verify_chain
from consent.identifiers import is_id
from consent.models import (
    Agency,
    ConsentEvent,
    ConsentRecord,
    OfficerAction,
    Purpose,
    PurposeVersion,
    ShownText,
)
from keys.entropy import Entropy, new_row_id, sha256

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR: Final = re.compile(r"(\d{1,19})-([0-9a-f]{32})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list: the moment and the id of the last row that was read."""

    at: datetime
    id: str

    def __str__(self) -> str:
        microseconds = (self.at - _EPOCH) // timedelta(microseconds=1)
        return f"{microseconds}-{UUID(self.id).hex}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what `str(cursor)` wrote into an address. Error: `UnknownCursor`."""
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise UnknownCursor("this is no place in the list")
        try:
            at = _EPOCH + timedelta(microseconds=int(match[1]))
        except OverflowError as error:
            raise UnknownCursor("this is no place in the list") from error
        return cls(at, str(UUID(match[2])))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentSummary:
    """One consent in a person's list. `texts` and `items` are those of the version that was agreed to."""

    id: str
    subject_id: str
    client_id: str
    agency_id: str
    agency_code: str
    agency_names: Mapping[str, str]
    privacy_contact: str
    purpose_id: str
    purpose_code: str
    purpose_version_id: str
    purpose_version: int
    texts: Mapping[str, Mapping[str, str]]
    items: tuple[Mapping[str, Any], ...]
    legal_basis: str
    legal_citation: str
    retention_days: int
    status: str
    granted: tuple[str, ...]
    refused: tuple[str, ...]
    offline_access: bool
    decided_at: datetime
    valid_until: datetime | None
    ended_at: datetime | None
    last_seq: int

    def in_force(self, now: datetime) -> bool:
        """Whether it lets data through at this moment."""
        return self.status == "given" and (self.valid_until is None or now < self.valid_until)


@dataclass(frozen=True, slots=True)
class ConsentsPage:
    """Some of a person's consents, newest first; `next` is where to go on, None at the end."""

    consents: tuple[ConsentSummary, ...]
    next: Cursor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptText:
    """A text as it was shown: the canonical JSON of a `Notice`. `intact` is False when it is not what was hashed."""

    sha256: bytes
    language: str
    body: str
    first_shown_at: datetime
    intact: bool


@dataclass(frozen=True, slots=True)
class ConsentDetail:
    """One consent, its events (oldest first), the texts that were shown (by SHA-256), and whether the chain holds."""

    consent: ConsentSummary
    events: tuple[Event, ...]
    texts: Mapping[bytes, KeptText]
    chain: Intact | Broken


async def consents_of(
    session: AsyncSession,
    *,
    subject_id: str,
    in_force_at: datetime | None = None,
    after: Cursor | None = None,
    limit: int = 100,
) -> ConsentsPage:
    """A person's consents and refusals, newest first; with `in_force_at` only those in force at that moment."""
    statement = _summaries().where(ConsentRecord.subject_id == subject_id)
    if in_force_at is not None:
        statement = statement.where(
            ConsentRecord.status == "given",
            or_(ConsentRecord.valid_until.is_(None), ConsentRecord.valid_until > in_force_at),
        )
    if after is not None:
        statement = statement.where(_before(ConsentRecord.decided_at, ConsentRecord.id, after))
    statement = statement.order_by(ConsentRecord.decided_at.desc(), ConsentRecord.id.desc())
    rows = (await session.execute(statement.limit(limit + 1))).all()
    consents = tuple(_summary(row) for row in rows[:limit])
    more = len(rows) > limit
    return ConsentsPage(consents, Cursor(consents[-1].decided_at, consents[-1].id) if more else None)


async def consent_of(session: AsyncSession, *, consent_id: str, subject_id: str) -> ConsentDetail:
    """One of the person's own consents. Error: `NotYours`, also when there is no such consent."""
    try:
        detail = await consent_by_id(session, consent_id)
    except UnknownConsent:
        detail = None
    if detail is None or detail.consent.subject_id != subject_id:
        raise NotYours("you have no such consent")
    return detail


async def consent_by_id(session: AsyncSession, consent_id: str) -> ConsentDetail:
    """One consent, for an officer. Error: `UnknownConsent`."""
    if not is_id(consent_id):
        raise UnknownConsent("there is no such consent")
    row = (await session.execute(_summaries().where(ConsentRecord.id == consent_id))).one_or_none()
    if row is None:
        raise UnknownConsent("there is no such consent")
    consent = _summary(row)
    statement = select(*ConsentEvent.__table__.columns).where(ConsentEvent.consent_id == consent_id)
    events = tuple(as_event(row) for row in await session.execute(statement.order_by(ConsentEvent.seq)))
    digests = [event.text_sha256 for event in events if event.text_sha256 is not None]
    texts = await session.execute(select(*ShownText.__table__.columns).where(ShownText.sha256.in_(digests)))
    kept = {
        text.sha256: KeptText(
            sha256=text.sha256,
            language=text.language,
            body=text.body,
            first_shown_at=text.first_shown_at,
            intact=sha256(text.body.encode()) == text.sha256,
        )
        for text in texts
    }
    return ConsentDetail(consent, events, kept, verify_chain(events, expected_last_seq=consent.last_seq))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events an officer wants. `since` is included, `until` is not. Ids are of rows, not codes."""

    agency_id: str | None = None
    purpose_id: str | None = None
    subject_id: str | None = None
    client_id: str | None = None
    kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def as_json(self) -> dict[str, str]:
        """What was filtered by, in plain JSON values, for the record of the look."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(self).items()
            if value is not None
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedEvent:
    """One event in an officer's list, with the names that a person reads."""

    event: Event
    agency_code: str
    agency_names: Mapping[str, str]
    purpose_code: str
    purpose_version: int
    texts: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class EventsPage:
    """Some events, newest first; `next` is where to go on, None at the end; `newer` is where to go back, likewise."""

    events: tuple[ListedEvent, ...]
    next: Cursor | None
    newer: Cursor | None = None


async def list_events(
    session: AsyncSession,
    *,
    filters: EventFilter,
    after: Cursor | None = None,
    before: Cursor | None = None,
    limit: int = 50,
) -> EventsPage:
    """The events that the filters leave, newest first: those next older than `after`, or next newer than `before`."""
    if not _can_match(filters):
        return EventsPage((), None)
    statement = _filtered(filters)
    if before is not None:
        statement = statement.where(_after(ConsentEvent.at, ConsentEvent.id, before))
        statement = statement.order_by(ConsentEvent.at, ConsentEvent.id)
    else:
        if after is not None:
            statement = statement.where(_before(ConsentEvent.at, ConsentEvent.id, after))
        statement = statement.order_by(ConsentEvent.at.desc(), ConsentEvent.id.desc())
    rows = (await session.execute(statement.limit(limit + 1))).all()
    more = len(rows) > limit
    events = tuple(_listed(row) for row in rows[:limit])
    if before is not None:
        events = events[::-1]
    if not events:
        return EventsPage((), None)
    newest, oldest = (Cursor(listed.event.at, listed.event.id) for listed in (events[0], events[-1]))
    if before is not None:
        # Whoever comes from an older page can go back to it.
        return EventsPage(events, oldest, newest if more else None)
    return EventsPage(events, oldest if more else None, newest if after is not None else None)


async def count_events(session: AsyncSession, *, filters: EventFilter) -> int:
    """How many events the filters leave."""
    if not _can_match(filters):
        return 0
    statement = _filtered(filters).with_only_columns(func.count(ConsentEvent.id), maintain_column_froms=True)
    return (await session.scalar(statement)) or 0


def _can_match(filters: EventFilter) -> bool:
    return all(is_id(value) for value in (filters.agency_id, filters.purpose_id, filters.subject_id) if value)


async def record_officer_action(
    session: AsyncSession,
    *,
    officer_id: str,
    action: str,
    filters: EventFilter | Mapping[str, Any] | None = None,
    consent_id: str | None = None,
    rows: int,
    now: datetime,
    entropy: Entropy,
) -> str:
    """Records that an officer looked (`list`, `open`, `export`), in the transaction that looks. Returns the row's id.

    `rows` is how many rows they got to see. There is no way to look that does not leave this behind.
    """
    action_id = new_row_id(entropy, now)
    described = filters.as_json() if isinstance(filters, EventFilter) else dict(filters or {})
    session.add(
        OfficerAction(
            id=action_id,
            at=now,
            officer_id=officer_id,
            action=action,
            consent_id=consent_id,
            filters=described,
            rows=rows,
        )
    )
    await session.flush()
    return action_id


def as_event(row: Row[Any]) -> Event:
    """The event of a row that has `ConsentEvent`'s columns."""
    values = {name: getattr(row, name) for name in _EVENT_FIELDS}
    return Event(**{**values, "granted": tuple(row.granted), "refused": tuple(row.refused)})


_EVENT_FIELDS: Final = tuple(field.name for field in fields(Event))


def _before(at: InstrumentedAttribute[datetime], row_id: InstrumentedAttribute[str], place: Cursor) -> Any:
    # `at <= …` first: an index on (at, id) can start there, which an OR alone would not let it.
    return and_(at <= place.at, or_(at < place.at, row_id < place.id))


def _after(at: InstrumentedAttribute[datetime], row_id: InstrumentedAttribute[str], place: Cursor) -> Any:
    return and_(at >= place.at, or_(at > place.at, row_id > place.id))


def _summaries() -> Select[Any]:
    return (
        select(
            *ConsentRecord.__table__.columns,
            Agency.code.label("agency_code"),
            Agency.names.label("agency_names"),
            Agency.privacy_contact,
            Purpose.code.label("purpose_code"),
            PurposeVersion.version.label("purpose_version"),
            PurposeVersion.texts,
            PurposeVersion.items,
            PurposeVersion.legal_basis,
            PurposeVersion.legal_citation,
            PurposeVersion.retention_days,
        )
        .join(PurposeVersion, PurposeVersion.id == ConsentRecord.purpose_version_id)
        .join(Purpose, Purpose.id == ConsentRecord.purpose_id)
        .join(Agency, Agency.id == ConsentRecord.agency_id)
    )


def _summary(row: Row[Any]) -> ConsentSummary:
    values = dict(row._mapping)
    for name in ("items", "granted", "refused"):
        values[name] = tuple(values[name])
    return ConsentSummary(**values)


def _filtered(filters: EventFilter) -> Select[Any]:
    statement = (
        select(
            *ConsentEvent.__table__.columns,
            Agency.code.label("agency_code"),
            Agency.names.label("agency_names"),
            Purpose.code.label("purpose_code"),
            PurposeVersion.version.label("purpose_version"),
            PurposeVersion.texts,
        )
        .join(PurposeVersion, PurposeVersion.id == ConsentEvent.purpose_version_id)
        .join(Purpose, Purpose.id == ConsentEvent.purpose_id)
        .join(Agency, Agency.id == ConsentEvent.agency_id)
    )
    for column, value in (
        (ConsentEvent.agency_id, filters.agency_id),
        (ConsentEvent.purpose_id, filters.purpose_id),
        (ConsentEvent.subject_id, filters.subject_id),
        (ConsentEvent.client_id, filters.client_id),
        (ConsentEvent.kind, filters.kind),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if filters.since is not None:
        statement = statement.where(ConsentEvent.at >= filters.since)
    if filters.until is not None:
        statement = statement.where(ConsentEvent.at < filters.until)
    return statement


def _listed(row: Row[Any]) -> ListedEvent:
    return ListedEvent(
        event=as_event(row),
        agency_code=row.agency_code,
        agency_names=row.agency_names,
        purpose_code=row.purpose_code,
        purpose_version=row.purpose_version,
        texts=row.texts,
    )
