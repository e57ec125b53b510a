"""The citizen's window: what I agreed to, in the words that I read, and one button to take it back.

Spec: Law 27/2022 (UU PDP) articles 9 and 32; GDPR article 7(3): taking back is as easy as giving.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from consent.decisions import withdraw
from consent.errors import NothingToWithdraw, NotYours, UnknownCursor
from consent.history import ConsentsPage, Cursor, consent_of, consents_of
from consent.http.forms import read_form
from consent.http.ports import Ports, Viewer
from consent.http.shown import by_agency, card, history, shown_text

MOST_IN_FORCE: Final = 500
PAGE: Final = 100


def routes(ports: Ports) -> list[Route]:
    """The citizen's pages."""
    dashboard = Dashboard(ports)
    return [
        Route("/my/consents", dashboard.list_consents, methods=["GET"]),
        Route("/my/consents/{consent_id}", dashboard.open_consent, methods=["GET"]),
        Route("/my/consents/{consent_id}/withdraw", dashboard.withdraw_consent, methods=["GET", "POST"]),
    ]


class Dashboard:
    """The handlers. Each reads only what belongs to the person who is signed in."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def list_consents(self, request: Request) -> Response:
        """Everything in force, by agency; then what has ended or was refused, newest first."""
        viewer = await self._ports.viewer(request)
        if viewer is None:
            return self._ports.require_login(request)
        try:
            place = Cursor.parse(request.query_params["older"]) if "older" in request.query_params else None
        except UnknownCursor:
            return self._missing(request, viewer)
        now = self._ports.clock()
        async with self._ports.reading() as session:
            in_force = ConsentsPage((), None)
            if place is None:
                in_force = await consents_of(
                    session, subject_id=viewer.subject_id, in_force_at=now, limit=MOST_IN_FORCE
                )
            page = await consents_of(session, subject_id=viewer.subject_id, after=place, limit=PAGE)
        ended = [consent for consent in page.consents if not consent.in_force(now)]
        names = await self._ports.client_names(
            {consent.client_id for consent in (*in_force.consents, *ended)}, viewer.locale
        )
        current, past = (
            [card(one, client_names=names, locale=viewer.locale, now=now) for one in consents]
            for consents in (in_force.consents, ended)
        )
        return self._ports.render(
            request,
            "my_consents.html",
            {
                "viewer": viewer,
                "agencies": by_agency(current),
                "ended": past,
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
        try:
            async with self._ports.reading() as session:
                detail = await consent_of(
                    session, consent_id=request.path_params["consent_id"], subject_id=viewer.subject_id
                )
        except NotYours:
            return self._missing(request, viewer)
        names = await self._ports.client_names({detail.consent.client_id}, viewer.locale)
        return self._ports.render(
            request,
            "my_consent.html",
            {
                "viewer": viewer,
                "card": card(detail.consent, client_names=names, locale=viewer.locale, now=self._ports.clock()),
                "text": shown_text(detail),
                "steps": history(detail),
            },
            locale=viewer.locale,
        )

    async def withdraw_consent(self, request: Request) -> Response:
        """Takes a consent back; everything that rests on it dies in the same transaction.

        A GET changes nothing: it is where a person lands who had to log in again before their POST counted.
        """
        viewer = await self._ports.viewer(request)
        if viewer is None:
            return self._ports.require_login(request)
        consent_id = request.path_params["consent_id"]
        # Relative, because only the root of the composition knows under which path all this is mounted.
        back = RedirectResponse(f"../{consent_id}", status_code=303, headers={"Cache-Control": "no-store"})
        if request.method != "POST":
            return back
        if not self._ports.csrf_ok(request, await read_form(request)):
            return self._ports.render(request, "consent_form_refused.html", {}, locale=viewer.locale, status=403)
        now = self._ports.clock()
        try:
            async with self._ports.transaction() as session:
                await withdraw(
                    session,
                    consent_id=consent_id,
                    subject_id=viewer.subject_id,
                    now=now,
                    entropy=self._ports.entropy,
                )
                await self._ports.after_withdrawal(session, consent_id, now)
        except NotYours:
            return self._missing(request, viewer)
        except NothingToWithdraw:
            # A second press of the button, or time was quicker: the page says what ended it.
            return back
        return back

    def _missing(self, request: Request, viewer: Viewer) -> Response:
        # One answer for another person's consent and for none, so that nobody can probe for ids.
        return self._ports.render(
            request, "consent_missing.html", {"for_officer": False}, locale=viewer.locale, status=404
        )
