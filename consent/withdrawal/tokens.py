"""The news as a Security Event Token: what it says, in our own event types and, to apps, in CAEP's too.

`docs/integrate/withdrawal.md` is the documentation of the types. A token names its delivery by `jti`, and is the same
however often it is sent: whoever has seen the `jti` has seen it.
Spec: RFC 8417 §2; RFC 9493 §3.2.3 (iss_sub); OpenID Shared Signals Framework 1.0 §4 (no exp, no sub); CAEP 1.0 §3.1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from consent.models import Agency, ConsentEvent, ConsentRecord, Purpose, PurposeVersion
from consent.withdrawal.models import Delivery
from consent.withdrawal.outbox import ENDING, RECIPIENT

TYP: Final = "secevent+jwt"
# One algorithm for all: it is in every library, and every profile allows it.
ALG: Final = "ES256"
CAEP_SESSION_REVOKED: Final = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
_EVENTS: Final = "urn:satupintu:events:"
WITHDRAWN: Final = f"{_EVENTS}consent-withdrawn"
REDUCED: Final = f"{_EVENTS}consent-reduced"
PAUSED: Final = f"{_EVENTS}consent-paused"
RESUMED: Final = f"{_EVENTS}consent-resumed"
EVENT_TYPES: Final = (WITHDRAWN, REDUCED, PAUSED, RESUMED, CAEP_SESSION_REVOKED)
_INITIATED_BY: Final = {"withdrawn": "user", "paused": "user", "expired": "system"}

NamesSubject = Callable[[str, str], str]
"""The `sub` by which an agency (its id, second) knows a person (their id, first)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one delivery's token says.

    `client_id` and `agency_code` are the app's that had the consent, `audience` is who is told. `subject` is the
    person's id, None once they are erased; `subject_ref` the `sub` that the app was given.
    """

    delivery_id: str
    jti: str
    role: str
    audience: str
    told_agency_id: str
    told_client_id: str
    event_id: str
    consent_id: str
    kind: str
    items: tuple[str, ...]
    awaits: str
    created_at: datetime
    due_at: datetime
    happened_at: datetime
    client_id: str
    agency_code: str
    purpose: str
    purpose_version: int
    subject: str | None
    subject_ref: str | None


def audience_of_agency(code: str) -> str:
    """How an agency that gives data is named in `aud`. No `client_id` has a colon."""
    return f"urn:satupintu:agency:{code}"


async def told(session: AsyncSession, delivery_ids: Sequence[str]) -> list[Told]:
    """What these deliveries' tokens say, in the order of their ids."""
    if not delivery_ids:
        return []
    names = {row.id: row.code for row in await session.execute(select(Agency.id, Agency.code))}
    rows = await session.execute(
        select(
            Delivery.id.label("delivery_id"),
            Delivery.jti,
            Delivery.role,
            Delivery.agency_id.label("told_agency_id"),
            Delivery.client_id.label("told_client_id"),
            Delivery.event_id,
            Delivery.consent_id,
            Delivery.kind,
            Delivery.items,
            Delivery.awaits,
            Delivery.created_at,
            Delivery.due_at,
            ConsentEvent.at.label("happened_at"),
            ConsentRecord.client_id,
            ConsentRecord.agency_id,
            ConsentRecord.subject_id,
            ConsentRecord.subject_ref,
            ConsentRecord.erased_at,
            Purpose.code.label("purpose"),
            PurposeVersion.version.label("purpose_version"),
        )
        .join(ConsentEvent, ConsentEvent.id == Delivery.event_id)
        .join(ConsentRecord, ConsentRecord.id == Delivery.consent_id)
        .join(PurposeVersion, PurposeVersion.id == ConsentEvent.purpose_version_id)
        .join(Purpose, Purpose.id == PurposeVersion.purpose_id)
        .where(Delivery.id.in_(delivery_ids))
        .order_by(Delivery.id)
    )
    found = []
    for row in rows:
        values = dict(row._mapping)
        erased = values.pop("erased_at") is not None
        subject, agency_id = values.pop("subject_id"), values.pop("agency_id")
        values["items"] = tuple(values["items"])
        values["subject_ref"] = None if erased else values["subject_ref"]
        is_app = row.role == RECIPIENT
        found.append(
            Told(
                **values,
                audience=row.told_client_id if is_app else audience_of_agency(names[row.told_agency_id]),
                agency_code=names[agency_id],
                subject=None if erased else subject,
            )
        )
    return found


def claims_of(what: Told, *, issuer: str, name: NamesSubject) -> dict[str, Any]:
    """The claims of a delivery's token. `sub_id` is missing when the person was erased meanwhile."""
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": what.audience,
        "iat": int(what.created_at.timestamp()),
        "jti": what.jti,
        "txn": what.event_id,
        "toe": int(what.happened_at.timestamp()),
        "events": _events(what),
    }
    if what.subject is not None:
        sub = (
            what.subject_ref if what.role == RECIPIENT and what.subject_ref else name(what.subject, what.told_agency_id)
        )
        claims["sub_id"] = {"format": "iss_sub", "iss": issuer, "sub": sub}
    return claims


def event_type(kind: str) -> str:
    """Our event type for what happened to a consent."""
    if kind in ENDING:
        return WITHDRAWN
    return {"paused": PAUSED, "resumed": RESUMED}.get(kind, REDUCED)


def _events(what: Told) -> dict[str, Any]:
    ours = {
        "consent_id": what.consent_id,
        "purpose": what.purpose,
        "purpose_version": what.purpose_version,
        "client_id": what.client_id,
        "agency": what.agency_code,
        "items": list(what.items),
        "reason": what.kind,
        "attest": what.awaits,
        "due_at": int(what.due_at.timestamp()),
    }
    events: dict[str, Any] = {event_type(what.kind): ours}
    # Only an app has sessions; and what it may still do with the rest of the items goes on.
    if what.role == RECIPIENT and (what.kind in ENDING or what.kind == "paused"):
        events[CAEP_SESSION_REVOKED] = {
            "event_timestamp": int(what.happened_at.timestamp()),
            "initiating_entity": _INITIATED_BY.get(what.kind, "admin"),
        }
    return events
