"""The outbox: who must be told of an event, written in the event's own transaction, so that nobody is ever forgotten.

A process that is killed between the commit and the telling leaves rows, and whoever comes next tells.
Spec: Law 27/2022 (UU PDP) articles 40, 41 and 43: three times twenty-four hours.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.registry.models import Agreement, AgreementVersion
from consent.uses.models import Use
from consent.withdrawal.models import Delivery, Stream
from keys.entropy import Entropy, new_row_id, new_token

RECIPIENT: Final = "recipient"
PROVIDER: Final = "provider"
DUE_AFTER: Final = timedelta(hours=72)

# After these everything stops; the data goes too, except that of a pause.
ENDING: Final = frozenset({"withdrawn", "revoked", "invalidated", "expired"})
# After these something may stop: only if an item was lost.
SHRINKING: Final = frozenset({"changed", "renewed", "superseded"})
TOLD_OF: Final = ENDING | SHRINKING | {"paused", "resumed"}
_OVERTAKES: Final = {"resumed": "paused", "renewed": "expired"}
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An event after which somebody must stop. `items_lost` is what may not flow any more."""

    event_id: str
    consent_id: str
    kind: str
    client_id: str
    agency_id: str
    agreement_version_id: str | None
    items_lost: tuple[str, ...]


async def stage(
    session: AsyncSession,
    *,
    event_id: str,
    consent_id: str,
    kind: str,
    subject_id: str,  # noqa: ARG001 - whom it is about is read from the record when it is told, not kept twice
    client_id: str,
    agency_id: str,
    agreement_version_id: str | None,
    items_lost: Iterable[str],
    now: datetime,
    entropy: Entropy,
) -> None:
    """Writes who must be told of one event. Nothing, when the event takes nothing away. See `stage_all`."""
    ended = Ended(
        event_id=event_id,
        consent_id=consent_id,
        kind=kind,
        client_id=client_id,
        agency_id=agency_id,
        agreement_version_id=agreement_version_id,
        items_lost=tuple(sorted(items_lost)),
    )
    await stage_all(session, [ended], now=now, entropy=entropy)


async def stage_all(session: AsyncSession, events: Sequence[Ended], *, now: datetime, entropy: Entropy) -> int:
    """Writes who must be told of many events: each one's app, and the agencies that gave data under that consent.

    Returns how many must be told. What was taken back and is given again is owed no longer.
    """
    await _close_overtaken(session, events, now=now)
    owed = [event for event in events if is_owed(event)]
    if not owed:
        return 0
    rows = []
    for start in range(0, len(owed), _AT_ONCE):
        some = owed[start : start + _AT_ONCE]
        providers = await _providers(session, some)
        for event in some:
            rows.append(_row(event, RECIPIENT, event.agency_id, event.client_id, now=now, entropy=entropy))
            rows += [
                _row(event, PROVIDER, agency_id, "", now=now, entropy=entropy)
                for agency_id in sorted(providers.get(event.consent_id, ()))
            ]
    pushed = await _pushed(session, {(row["agency_id"], row["client_id"]) for row in rows})
    for row in rows:
        row["next_attempt_at"] = now if (row["agency_id"], row["client_id"]) in pushed else None
    await session.execute(insert(Delivery), rows)
    return len(rows)


def is_owed(event: Ended) -> bool:
    """Whether anybody has to stop, or may go on again, because of this event."""
    return event.kind in TOLD_OF and (event.kind not in SHRINKING or bool(event.items_lost))


def awaited(kind: str, role: str) -> str:
    """The last that a recipient of this event must attest.

    An agency that gave data stops giving; what it holds itself it holds by a right of its own.
    """
    if kind == "resumed":
        return "acknowledged"
    return "stopped" if role == PROVIDER or kind == "paused" else "erased"


def _row(event: Ended, role: str, agency_id: str, client_id: str, *, now: datetime, entropy: Entropy) -> dict[str, Any]:
    return {
        "id": new_row_id(entropy, now),
        "event_id": event.event_id,
        "consent_id": event.consent_id,
        "agency_id": agency_id,
        "client_id": client_id,
        "role": role,
        "kind": event.kind,
        "items": list(event.items_lost),
        "awaits": awaited(event.kind, role),
        "jti": new_token(entropy, 16),
        "created_at": now,
        "due_at": now + DUE_AFTER,
        "attempts": 0,
        "escalation": "none",
    }


async def _providers(session: AsyncSession, events: Sequence[Ended]) -> dict[str, set[str]]:
    """The agencies that gave data under each consent: its agreement's provider, and whoever a use names."""
    found: dict[str, set[str]] = {}
    versions = {event.agreement_version_id for event in events if event.agreement_version_id is not None}
    if versions:
        rows = await session.execute(
            select(AgreementVersion.id, Agreement.provider_agency_id)
            .join(Agreement, Agreement.id == AgreementVersion.agreement_id)
            .where(AgreementVersion.id.in_(versions))
        )
        provider_of = {row.id: row.provider_agency_id for row in rows}
        for event in events:
            provider = provider_of.get(event.agreement_version_id or "")
            if provider is not None:
                found.setdefault(event.consent_id, set()).add(provider)
    used = await session.execute(
        select(Use.consent_id, Use.provider_agency_id)
        .where(Use.consent_id.in_([event.consent_id for event in events]), Use.provider_agency_id.is_not(None))
        .distinct()
    )
    for consent_id, agency_id in used:
        if consent_id is not None and agency_id is not None:
            found.setdefault(consent_id, set()).add(agency_id)
    return found


async def _pushed(session: AsyncSession, recipients: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of these recipients who have an endpoint that takes events now. The others poll, or have yet to say how."""
    found: set[tuple[str, str]] = set()
    listed = sorted(recipients)
    for start in range(0, len(listed), _AT_ONCE):
        rows = await session.execute(
            select(Stream.agency_id, Stream.client_id).where(
                tuple_(Stream.agency_id, Stream.client_id).in_(listed[start : start + _AT_ONCE]),
                Stream.delivery == "push",
                Stream.status == "enabled",
            )
        )
        found |= {(row.agency_id, row.client_id) for row in rows}
    return found


async def _close_overtaken(session: AsyncSession, events: Sequence[Ended], *, now: datetime) -> None:
    """Whoever has not stopped yet need not any more: the pause is over, or the end was put off."""
    for kind, overtaken in _OVERTAKES.items():
        ids = [event.consent_id for event in events if event.kind == kind]
        for start in range(0, len(ids), _AT_ONCE):
            await session.execute(
                update(Delivery)
                .where(
                    Delivery.consent_id.in_(ids[start : start + _AT_ONCE]),
                    Delivery.kind == overtaken,
                    Delivery.closed_at.is_(None),
                )
                .values(closed_at=now, next_attempt_at=None)
            )
