"""The officer's list as a file that streams: it costs the same memory for ten events and for a billion."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from types import MappingProxyType
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from consent.event_list import EventFilter, count_events
from consent.export import csv_rows, json_lines
from consent.http.ports import Ports, Viewer
from consent.oversight import record_officer_action


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One way to write the list down. `pieces` is what `consent.export` writes it with."""

    name: str
    media_type: str
    pieces: Callable[..., AsyncIterator[str]]


FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        "csv": Format(name="csv", media_type="text/csv; charset=utf-8; header=present", pieces=csv_rows),
        "jsonl": Format(name="jsonl", media_type="application/jsonl; charset=utf-8", pieces=json_lines),
    }
)


async def export(
    ports: Ports, chosen: Format, *, officer: Viewer, filters: EventFilter, reason: str | None = None
) -> Response:
    """Records that the officer takes the list away, and how much of it; once that is committed, the list."""
    now = ports.clock()
    # What is written later than the record of the export is not part of it: the record says how many rows left.
    end = now + timedelta(microseconds=1)
    frozen = replace(filters, until=end if filters.until is None else min(filters.until, end))
    async with ports.transaction() as session:
        rows = await count_events(session, filters=frozen)
        described: dict[str, Any] = {**filters.as_json(), "format": chosen.name}
        await record_officer_action(
            session,
            officer_id=officer.subject_id,
            action="export",
            filters=described,
            reason=reason,
            rows=rows,
            now=now,
            entropy=ports.entropy,
        )
    name = f"satupintu-consent-events-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.{chosen.name}"
    return StreamingResponse(
        _stream(ports, chosen, frozen),
        media_type=chosen.media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
        },
    )


async def _stream(ports: Ports, chosen: Format, filters: EventFilter) -> AsyncIterator[str]:
    async with ports.reading() as session:
        async for piece in chosen.pieces(session, filters=filters):
            # The connection goes back before the piece leaves: whoever reads slowly, or stops, keeps none from others.
            # The session takes one again for the next batch.
            await session.close()
            yield piece
