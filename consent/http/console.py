"""The privacy officer's window: every consent event, filtered, opened, proven, taken away. Every look is recorded.

A look is written down in a transaction that commits before anything is shown. If that fails, nothing is shown.

Spec: Law 27/2022 (UU PDP) articles 24 and 31.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from consent.agencies import list_agencies
from consent.cursor import Cursor
from consent.errors import UnknownConsent, UnknownCursor
from consent.event_list import EventsPage, list_events
from consent.history import ConsentDetail, consent_by_id
from consent.http.export import FORMATS, export
from consent.http.filters import Register, Typed, read_filters
from consent.http.ports import Ports, Viewer
from consent.http.shown import agrees_with_events, card, history, shown_text, spoken
from consent.identifiers import is_id
from consent.oversight import list_looks, record_officer_action
from consent.purposes import list_purposes
from consent.statuses import KINDS

OFFICER: Final = "privacy_officer"
PAGE: Final = 50

Handler = Callable[[Request, Viewer], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def routes(ports: Ports) -> list[Route]:
    """The officer's pages. None is reached without the role."""
    console = Console(ports)
    pages: dict[str, Handler] = {
        "/console": console.show_events,
        "/console/consents": console.to_list,
        "/console/consents/{consent_id}": console.open_consent,
        "/console/export": console.export_events,
        "/console/actions": console.show_actions,
    }
    return [Route(path, for_officers(ports, handler), methods=["GET"]) for path, handler in pages.items()]


def for_officers(ports: Ports, handler: Handler, *, role: str = OFFICER) -> Endpoint:
    """The handler, behind the one door of the console: it gets an officer of that role, or it is not called."""

    async def endpoint(request: Request) -> Response:
        viewer = await ports.viewer(request)
        if viewer is None:
            return ports.require_login(request)
        if role not in viewer.roles:
            return ports.render(request, "console_refused.html", {"role": role}, locale=viewer.locale, status=403)
        return await handler(request, viewer)

    return endpoint


@dataclass(frozen=True, slots=True)
class Choices:
    """What the filters offer, as pairs of code and name, and the ids behind the codes."""

    agencies: tuple[tuple[str, str], ...]
    purposes: tuple[tuple[str, str], ...]
    register: Register


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the list a page begins."""

    after: Cursor | None = None
    before: Cursor | None = None


class Console:
    """The handlers."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def show_events(self, request: Request, officer: Viewer) -> Response:
        """The events that the filters leave, newest first."""
        choices = await self._choices(officer)
        typed = read_filters(request.query_params, choices.register)
        place = _place(request)
        if typed.wrong or place is None:
            wrong = {**typed.wrong, **({} if place else {"place": "no_place"})}
            return self._events_page(request, officer, choices, typed, wrong=wrong)
        async with self._ports.transaction() as session:
            page = await list_events(session, filters=typed.filters, after=place.after, before=place.before, limit=PAGE)
            if place.before is not None and page.newer is None:
                # The newest page is a full one, not the few rows that came in since it was last looked at.
                page = await list_events(session, filters=typed.filters, limit=PAGE)
            await record_officer_action(
                session,
                officer_id=officer.subject_id,
                action="list",
                filters=typed.filters,
                reason=typed.reason,
                rows=len(page.events),
                now=self._ports.clock(),
                entropy=self._ports.entropy,
            )
        names = await self._ports.client_names({listed.event.client_id for listed in page.events}, officer.locale)
        return self._events_page(request, officer, choices, typed, page=page, client_names=names)

    async def to_list(self, request: Request, _officer: Viewer) -> Response:
        """The list's other address."""
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"../console{query}", status_code=303, headers={"Cache-Control": "no-store"})

    async def open_consent(self, request: Request, officer: Viewer) -> Response:
        """One consent: the text as it was shown, its history, and whether the chain of its events holds."""
        consent_id = request.path_params["consent_id"]
        now = self._ports.clock()
        detail: ConsentDetail | None = None
        async with self._ports.transaction() as session:
            try:
                detail = await consent_by_id(session, consent_id)
            except UnknownConsent:
                detail = None
            if is_id(consent_id):
                await record_officer_action(
                    session,
                    officer_id=officer.subject_id,
                    action="open",
                    consent_id=consent_id,
                    subject_id=detail.consent.subject_id if detail is not None else None,
                    rows=0 if detail is None else 1,
                    now=now,
                    entropy=self._ports.entropy,
                )
        if detail is None:
            return self._ports.render(
                request, "consent_missing.html", {"for_officer": True}, locale=officer.locale, status=404
            )
        names = await self._ports.client_names({detail.consent.client_id}, officer.locale)
        return self._ports.render(
            request,
            "console_consent.html",
            {
                "viewer": officer,
                "card": card(detail.consent, client_names=names, locale=officer.locale, now=now),
                "text": shown_text(detail),
                "steps": history(detail, locale=officer.locale),
                "chain": detail.chain,
                "agrees": agrees_with_events(detail),
            },
            locale=officer.locale,
        )

    async def export_events(self, request: Request, officer: Viewer) -> Response:
        """The filtered list as a file: every event, not only a page of them."""
        choices = await self._choices(officer)
        typed = read_filters(request.query_params, choices.register)
        chosen = FORMATS.get(request.query_params.get("format", ""))
        if typed.wrong or chosen is None:
            wrong = {**typed.wrong, **({} if chosen else {"format": "no_format"})}
            return self._events_page(request, officer, choices, typed, wrong=wrong)
        return await export(self._ports, chosen, officer=officer, filters=typed.filters, reason=typed.reason)

    async def show_actions(self, request: Request, officer: Viewer) -> Response:
        """What officers looked at before this look."""
        try:
            place = Cursor.parse(request.query_params["older"]) if "older" in request.query_params else None
        except UnknownCursor:
            return self._ports.render(
                request, "consent_missing.html", {"for_officer": True}, locale=officer.locale, status=404
            )
        async with self._ports.transaction() as session:
            page = await list_looks(session, after=place, limit=PAGE)
            await record_officer_action(
                session,
                officer_id=officer.subject_id,
                action="list",
                filters={"of": "officer_actions"},
                rows=len(page.looks),
                now=self._ports.clock(),
                entropy=self._ports.entropy,
            )
        return self._ports.render(
            request,
            "console_actions.html",
            {
                "viewer": officer,
                "looks": page.looks,
                "older": str(page.next) if page.next is not None else None,
                "first_page": place is None,
            },
            locale=officer.locale,
        )

    async def _choices(self, officer: Viewer) -> Choices:
        language = spoken(officer.locale)
        async with self._ports.reading() as session:
            agencies = await list_agencies(session)
            purposes = await list_purposes(session)
        return Choices(
            agencies=tuple((agency.code, agency.names[language]) for agency in agencies),
            purposes=tuple((purpose.code, purpose.texts[language]["name"]) for purpose in purposes),
            register=Register(
                agencies={agency.code: agency.id for agency in agencies},
                purposes={purpose.code: purpose.purpose_id for purpose in purposes},
            ),
        )

    def _events_page(
        self,
        request: Request,
        officer: Viewer,
        choices: Choices,
        typed: Typed,
        *,
        page: EventsPage | None = None,
        client_names: Mapping[str, str] = MappingProxyType({}),
        wrong: Mapping[str, str] = MappingProxyType({}),
    ) -> Response:
        """The list; or, without a page of it, the form as it was filled in and what is `wrong` with it."""
        return self._ports.render(
            request,
            "console_events.html",
            {
                "viewer": officer,
                "agencies": choices.agencies,
                "purposes": choices.purposes,
                "kinds": KINDS,
                "typed": typed.values,
                "wrong": wrong,
                "page": page,
                "language": spoken(officer.locale),
                "client_names": client_names,
                "newer": typed.address(newer=str(page.newer)) if page and page.newer else None,
                "older": typed.address(older=str(page.next)) if page and page.next else None,
                "exports": {name: typed.address(format=name) for name in FORMATS},
            },
            locale=officer.locale,
            status=400 if page is None else 200,
        )


def _place(request: Request) -> Place | None:
    query = request.query_params
    try:
        if "older" in query:
            return Place(after=Cursor.parse(query["older"]))
        if "newer" in query:
            return Place(before=Cursor.parse(query["newer"]))
    except UnknownCursor:
        return None
    return Place()
