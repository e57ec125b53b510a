"""Every consent event, filtered, newest first: the privacy officer's list.

Lists are read by keyset, never by offset: a page costs the same at the first and at the billionth event, and nothing
is skipped or repeated while new events arrive.

Spec: Law 27/2022 (UU PDP) articles 24 and 31.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from consent.cursor import Cursor, newer_than, older_than
from consent.event_store import EVENT_COLUMNS, read_events
from consent.events import Event
from consent.identifiers import is_id
from consent.models import Agency, ConsentEvent, Purpose, PurposeVersion


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
        statement = statement.where(newer_than(ConsentEvent.at, ConsentEvent.id, before))
        statement = statement.order_by(ConsentEvent.at, ConsentEvent.id)
    else:
        if after is not None:
            statement = statement.where(older_than(ConsentEvent.at, ConsentEvent.id, after))
        statement = statement.order_by(ConsentEvent.at.desc(), ConsentEvent.id.desc())
    rows = (await session.execute(statement.limit(limit + 1))).all()
    more = len(rows) > limit
    events = await _listed(session, rows[:limit])
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


def _filtered(filters: EventFilter) -> Select[Any]:
    statement = (
        select(
            *EVENT_COLUMNS,
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


async def _listed(session: AsyncSession, rows: Sequence[Row[Any]]) -> tuple[ListedEvent, ...]:
    return tuple(
        ListedEvent(
            event=event,
            agency_code=row.agency_code,
            agency_names=row.agency_names,
            purpose_code=row.purpose_code,
            purpose_version=row.purpose_version,
            texts=row.texts,
        )
        for row, event in zip(rows, await read_events(session, rows), strict=True)
    )
