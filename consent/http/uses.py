"""Who used my data: the citizen's page, and for everybody the numbers of what is hidden or was not reported.

Spec: Law 27/2022 (UU PDP) article 32 (access to the trail of processing).
"""

from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consent.attributes import ITEMS
from consent.cursor import Cursor
from consent.errors import UnknownCursor
from consent.http.ports import Ports
from consent.http.shown import named, spoken
from consent.registry.attributes import attributes_named
from consent.uses.delays import Hidden, hidden_by_agency
from consent.uses.listing import SeenUse, receivers_of, uses_of
from consent.uses.reconciliation import Reconciled, observed, reconcile, usual_period
from consent.uses.report import NO_BASIS

PAGE: Final = 50


def routes(ports: Ports) -> list[Route]:
    """The addresses. `/register/uses` must stand before the register's own."""
    pages = UsesPages(ports)
    return [
        Route("/my/uses", pages.list_mine, methods=["GET"]),
        Route("/register/uses", pages.show_numbers, methods=["GET"]),
    ]


class UsesPages:
    """The handlers."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def list_mine(self, request: Request) -> Response:
        """Every use of the person's data that they may see by now, newest first; also those without a consent."""
        viewer = await self._ports.viewer(request)
        if viewer is None:
            return self._ports.require_login(request)
        agency = request.query_params.get("agency") or None
        try:
            place = Cursor.parse(request.query_params["older"]) if "older" in request.query_params else None
        except UnknownCursor:
            place = None
        now, language = self._ports.clock(), spoken(viewer.locale)
        async with self._ports.reading() as session:
            receivers = await receivers_of(session, subject_id=viewer.subject_id, now=now)
            if agency not in {one.code for one in receivers}:
                agency = None
            page = await uses_of(
                session, subject_id=viewer.subject_id, now=now, agency_code=agency, after=place, limit=PAGE
            )
            elsewhere = {item for seen in page.uses for item in seen.use.items} - ITEMS.keys()
            registered = await attributes_named(session, elsewhere) if elsewhere else {}
        clients = {seen.use.client_id for seen in page.uses if seen.use.client_id is not None}
        names = await self._ports.client_names(clients, viewer.locale)
        return self._ports.render(
            request,
            "my_uses.html",
            {
                "viewer": viewer,
                "uses": [_shown(seen, language, names, registered) for seen in page.uses],
                "agencies": [(one.code, one.names[language]) for one in receivers],
                "agency": agency or "",
                "first_page": place is None,
                "newest": _address(agency, None),
                "older": _address(agency, page.next) if page.next is not None else None,
            },
            locale=viewer.locale,
        )

    async def show_numbers(self, request: Request) -> Response:
        """For each agency that gives data, what it could have given and what it reported; and what is hidden now."""
        locale, now = self._ports.locale_of(request), self._ports.clock()
        period = usual_period(now)
        async with self._ports.reading() as session:
            agencies = await reconcile(session, period)
            hidden = await hidden_by_agency(session, now=now)
            seen = await observed(session, period)
        return self._ports.render(
            request,
            "register_uses.html",
            {"language": spoken(locale), "period": period, "observed": seen, "rows": _rows(agencies, hidden)},
            locale=locale,
        )


def _shown(seen: SeenUse, language: str, names: Any, registered: Any) -> dict[str, Any]:
    use = seen.use
    return {
        "id": use.id,
        "use": use,
        "app_name": names.get(use.client_id, use.client_id) if use.client_id is not None else None,
        "agency_name": seen.agency_names[language],
        "provider_name": seen.provider_names[language] if seen.provider_names is not None else None,
        "privacy_contact": seen.privacy_contact,
        "items": named(use.items, language, registered),
        "purpose_name": seen.purpose_texts[language]["name"] if seen.purpose_texts is not None else None,
        "has_basis": use.legal_basis != NO_BASIS,
        "delay_basis": seen.delay_basis,
    }


def _address(agency: str | None, place: Cursor | None) -> str:
    """The rest of an address of this list."""
    asked = ({"agency": agency} if agency else {}) | ({"older": str(place)} if place is not None else {})
    return f"/my/uses?{urlencode(asked)}" if asked else "/my/uses"


def _rows(agencies: list[Reconciled], hidden: list[Hidden]) -> list[dict[str, Any]]:
    """One row for each agency that is in either list."""
    rows: dict[str, dict[str, Any]] = {}
    for one in agencies:
        rows[one.agency_code] = {"names": one.agency_names, "found": one, "hidden": None}
    for late in hidden:
        rows.setdefault(late.agency_code, {"names": late.agency_names, "found": None, "hidden": None})["hidden"] = late
    return [{"code": code, **rows[code]} for code in sorted(rows)]
