"""The officer's list, taken away as CSV or JSON Lines: written in batches, so that a billion events need no memory.

A line of JSON Lines has an event's whole content, its hash and the opening of that commitment, so that others can
recompute the chain, and find the leaf in the log.
"""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from consent.cursor import Cursor
from consent.event_list import EventFilter, ListedEvent, list_events

# The columns of the CSV, in order.
COLUMNS: Final = (
    "at",
    "kind",
    "agency",
    "purpose",
    "purpose_version",
    "client_id",
    "subject",
    "consent_id",
    "seq",
    "status",
    "granted",
    "refused",
    "offline_access",
    "valid_until",
    "actor",
    "representative_id",
    "entered_by",
    "document_sha256",
    "channel",
    "acr",
    "language",
    "text_sha256",
    "reason",
    "event_id",
    "previous_hash",
    "hash",
)

Counts = Callable[[int], None]


async def csv_rows(
    session: AsyncSession, *, filters: EventFilter, batch: int = 500, count: Counts | None = None
) -> AsyncIterator[str]:
    """The filtered events as CSV (RFC 4180, a header first), newest first, in pieces of up to `batch` rows.

    `count` is called with the number of rows of each piece.
    """
    yield _csv([list(COLUMNS)])
    async for events in _batches(session, filters=filters, batch=batch, count=count):
        yield _csv([[_cell(value) for value in _columns(listed)] for listed in events])


async def json_lines(
    session: AsyncSession, *, filters: EventFilter, batch: int = 500, count: Counts | None = None
) -> AsyncIterator[str]:
    """The filtered events as JSON Lines, newest first, in pieces of up to `batch` lines.

    `count` is called with the number of lines of each piece.
    """
    async for events in _batches(session, filters=filters, batch=batch, count=count):
        yield "".join(json.dumps(_line(listed), ensure_ascii=False, separators=(",", ":")) + "\n" for listed in events)


async def _batches(
    session: AsyncSession, *, filters: EventFilter, batch: int, count: Counts | None
) -> AsyncIterator[tuple[ListedEvent, ...]]:
    after: Cursor | None = None
    while True:
        page = await list_events(session, filters=filters, after=after, limit=batch)
        if count is not None:
            count(len(page.events))
        if page.events:
            yield page.events
        if page.next is None:
            return
        after = page.next


def _line(listed: ListedEvent) -> dict[str, Any]:
    return {
        "agency": listed.agency_code,
        "purpose": listed.purpose_code,
        "purpose_version": listed.purpose_version,
        "event": listed.event.as_json(),
        "erased": listed.event.erased,
        "opening": listed.event.opening.hex() if listed.event.opening is not None else None,
        "hash": listed.event.hash.hex(),
    }


def _columns(listed: ListedEvent) -> list[Any]:
    said = listed.event.as_json()
    values = {
        **said,
        "agency": listed.agency_code,
        "purpose": listed.purpose_code,
        "purpose_version": listed.purpose_version,
        "subject": listed.event.subject_id,
        "event_id": listed.event.id,
        "granted": " ".join(listed.event.granted),
        "refused": " ".join(listed.event.refused),
        "offline_access": "yes" if listed.event.offline_access else "no",
        "hash": listed.event.hash.hex(),
    }
    return [values[name] for name in COLUMNS]


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    # A spreadsheet runs a cell that begins like this as a formula, on the officer's machine and with their rights.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text


def _csv(rows: list[list[str]]) -> str:
    piece = io.StringIO()
    csv.writer(piece, lineterminator="\r\n").writerows(rows)
    return piece.getvalue()
