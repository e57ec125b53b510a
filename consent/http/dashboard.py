"""The citizen's window: what I agreed to, in the words that I read, and one button to take it back.

Spec: Law 27/2022 (UU PDP) articles 9 and 32; GDPR article 7(3): taking back is as easy as giving.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consent.cursor import Cursor
from consent.errors import UnknownCursor
from consent.history import ConsentsPage, ConsentSummary, assisted_among, consents_of
from consent.http.changes import Changes
from consent.http.my_consent import missing, show_consent
from consent.http.my_questions import Questions
from consent.http.ports import Ports, Viewer
from consent.http.shown import Card, beyond_the_account, by_agency, card
from consent.oversight import list_looks
from consent.registry.attributes import attributes_named

MOST_IN_FORCE: Final = 500
PAGE: Final = 100


def routes(ports: Ports) -> list[Route]:
    """The citizen's pages."""
    dashboard = Dashboard(ports)
    changes, questions = Changes(ports), Questions(ports)
    one = "/my/consents/{consent_id}"
    return [
        Route("/my/consents", dashboard.list_consents, methods=["GET"]),
        Route("/my/officers", dashboard.list_officers, methods=["GET"]),
        Route(one, dashboard.open_consent, methods=["GET"]),
        *(Route(f"{one}/{name}", act, methods=["GET", "POST"]) for name, act in changes.endpoints().items()),
        *(Route(f"{one}/{name}", ask, methods=["GET", "POST"]) for name, ask in questions.endpoints().items()),
    ]


class Dashboard:
    """The handlers. Each reads only what belongs to the person who is signed in."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def list_consents(self, request: Request) -> Response:
        """What waits for an answer, everything current, by agency; then what ended or was refused, newest first."""
        viewer = await self._ports.viewer(request)
        if viewer is None:
            return self._ports.require_login(request)
        try:
            place = Cursor.parse(request.query_params["older"]) if "older" in request.query_params else None
        except UnknownCursor:
            return missing(self._ports, request, viewer)
        now = self._ports.clock()
        async with self._ports.reading() as session:
            current = ConsentsPage((), None)
            if place is None:
                current = await consents_of(session, subject_id=viewer.subject_id, current_at=now, limit=MOST_IN_FORCE)
            page = await consents_of(session, subject_id=viewer.subject_id, after=place, limit=PAGE)
            others = [consent for consent in page.consents if not consent.is_current(now)]
            cards = await self._cards(session, viewer, [*current.consents, *others])
        waiting = [one for one in cards if one.status == "requested"]
        ended = [one for one in cards if not one.is_current and one.status != "requested"]
        return self._ports.render(
            request,
            "my_consents.html",
            {
                "viewer": viewer,
                "waiting": waiting,
                "agencies": by_agency(one for one in cards if one.is_current),
                "ended": ended,
                "older": str(page.next) if page.next is not None else None,
                "first_page": place is None,
            },
            locale=viewer.locale,
        )

    async def open_consent(self, request: Request) -> Response:
        """One consent: the text as it was shown, what was granted and refused, all that happened, and the way out."""
        viewer = await self._ports.viewer(request)
        if viewer is None:
            return self._ports.require_login(request)
        return await show_consent(self._ports, request, viewer)

    async def list_officers(self, request: Request) -> Response:
        """Which officers looked for this person, when and why: whoever is looked at may know."""
        viewer = await self._ports.viewer(request)
        if viewer is None:
            return self._ports.require_login(request)
        try:
            place = Cursor.parse(request.query_params["older"]) if "older" in request.query_params else None
        except UnknownCursor:
            return missing(self._ports, request, viewer)
        async with self._ports.reading() as session:
            page = await list_looks(session, subject_id=viewer.subject_id, after=place, limit=PAGE)
        return self._ports.render(
            request,
            "my_officers.html",
            {
                "viewer": viewer,
                "looks": page.looks,
                "older": str(page.next) if page.next is not None else None,
                "first_page": place is None,
            },
            locale=viewer.locale,
        )

    async def _cards(self, session: AsyncSession, viewer: Viewer, consents: Sequence[ConsentSummary]) -> list[Card]:
        elsewhere = beyond_the_account(consents)
        registered = await attributes_named(session, elsewhere) if elsewhere else {}
        assisted = await assisted_among(session, consents) if consents else {}
        names = await self._ports.client_names({consent.client_id for consent in consents}, viewer.locale)
        now = self._ports.clock()
        return [
            card(
                one,
                client_names=names,
                locale=viewer.locale,
                now=now,
                registered=registered,
                assisted=assisted.get(one.id),
            )
            for one in consents
        ]
