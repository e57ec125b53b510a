"""One consent on its person's dashboard: what it says, all that happened, who has stopped, and what can be done now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from consent.attributes import DataItem
from consent.decisions import standing
from consent.errors import NotYours
from consent.history import ConsentDetail, ConsentSummary, assisted_among, consent_of
from consent.http.ports import Ports, Viewer
from consent.http.shown import Card, beyond_the_account, card, history, shown_text, spoken
from consent.registry.attributes import attributes_named
from consent.statuses import PERMITTING
from consent.withdrawal.recipients import Stopping, recipients_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What is read of one consent."""

    detail: ConsentDetail
    registered: Mapping[str, DataItem]
    stopping: Stopping
    assisted: str | None
    is_last: bool


async def open_own(session: AsyncSession, *, consent_id: str, subject_id: str) -> Opened:
    """One of the person's own consents. Error: `NotYours`."""
    detail = await consent_of(session, consent_id=consent_id, subject_id=subject_id)
    consent = detail.consent
    elsewhere = beyond_the_account([consent])
    last = await standing(session, subject_id=subject_id, client_id=consent.client_id, purpose_id=consent.purpose_id)
    return Opened(
        detail=detail,
        registered=await attributes_named(session, elsewhere) if elsewhere else {},
        stopping=await recipients_of(session, consent_id),
        assisted=(await assisted_among(session, [consent])).get(consent_id),
        is_last=last is not None and last.consent_id == consent_id,
    )


def offers(opened: Opened, now: datetime) -> frozenset[str]:
    """What the person can do about it now. About what is no choice of theirs, nothing: they are told whom to ask."""
    consent = opened.detail.consent
    if consent.status == "requested":
        return frozenset({"answer"})
    if not consent.is_choice:
        return frozenset()
    if consent.status == "refused":
        return frozenset() if consent.is_over(now) or consent.valid_until is None else frozenset({"lift"})
    found = set()
    if consent.is_current(now):
        found |= {"withdraw", "shorten", "pause" if consent.status in PERMITTING else "resume"}
    if _may_be_renewed(consent) and opened.is_last:
        found.add("renew")
    return frozenset(found)


def _may_be_renewed(consent: ConsentSummary) -> bool:
    return consent.status in {*PERMITTING, "expired"}


async def show_consent(
    ports: Ports,
    request: Request,
    viewer: Viewer,
    *,
    problem: str | None = None,
    typed: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    """The page of one consent. `problem` says (by a word that the page has a sentence for) why nothing was changed."""
    now = ports.clock()
    try:
        async with ports.reading() as session:
            opened = await open_own(session, consent_id=request.path_params["consent_id"], subject_id=viewer.subject_id)
    except NotYours:
        return missing(ports, request, viewer)
    return ports.render(
        request,
        "my_consent.html",
        {
            "viewer": viewer,
            **await _shown(ports, opened, viewer, now),
            "offers": offers(opened, now),
            "problem": problem,
            "typed": typed or {},
        },
        locale=viewer.locale,
        status=status,
    )


async def _shown(ports: Ports, opened: Opened, viewer: Viewer, now: datetime) -> dict[str, Any]:
    consent = opened.detail.consent
    ids = {consent.client_id, *(one.client_id for one in opened.stopping.recipients if one.client_id)}
    names = await ports.client_names(ids, viewer.locale)
    shown: Card = card(
        consent,
        client_names=names,
        locale=viewer.locale,
        now=now,
        registered=opened.registered,
        assisted=opened.assisted,
    )
    return {
        "card": shown,
        "text": shown_text(opened.detail),
        "steps": history(opened.detail, locale=viewer.locale, registered=opened.registered),
        "stopping": opened.stopping,
        "hours_left": opened.stopping.hours_left(now),
        "client_names": names,
        "text_language": spoken(viewer.locale),
    }


def missing(ports: Ports, request: Request, viewer: Viewer) -> Response:
    """One answer for another person's consent and for none, so that nobody can probe for ids."""
    return ports.render(request, "consent_missing.html", {"for_officer": False}, locale=viewer.locale, status=404)
