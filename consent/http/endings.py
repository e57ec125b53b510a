"""The console's endings: counted first, proposed by one officer, approved by another.

That they are two people is checked where it is written (`consent.withdrawal.endings`).
"""

from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from consent.agencies import agency_by_code
from consent.errors import ConsentError, UnknownAgreement, UnknownPurpose
from consent.http.console import for_officers
from consent.http.forms import read_form
from consent.http.ports import Form, Ports, Viewer
from consent.http.shown import spoken
from consent.oversight import record_officer_action
from consent.purposes import versions_of
from consent.registry.agreements import agreement_versions_of
from consent.registry.people import Person
from consent.withdrawal.endings import (
    AGENCY,
    AGREEMENT_VERSION,
    CLIENT,
    KINDS,
    PURPOSE_VERSION,
    EndingView,
    ShutsClient,
    approve_ending,
    ending_by_id,
    labels,
    list_endings,
    preview,
    propose_ending,
    reject_ending,
)
from consent.withdrawal.errors import EndingRefused

_SEE_OTHER: Final = 303
_LONGEST: Final = 200


def routes(ports: Ports, *, shut_client: ShutsClient) -> list[Route]:
    """The officer's pages about what ends."""
    pages = EndingPages(ports, shut_client)
    return [
        Route("/console/endings", for_officers(ports, pages.show_all), methods=["GET", "POST"]),
        Route("/console/endings/{ending_id}", for_officers(ports, pages.show_one), methods=["GET", "POST"]),
    ]


class EndingPages:
    """The handlers."""

    def __init__(self, ports: Ports, shut_client: ShutsClient) -> None:
        self._ports = ports
        self._shut_client = shut_client

    async def show_all(self, request: Request, officer: Viewer) -> Response:
        """The endings, and the count of what one more would end; or, posted, a proposal."""
        if request.method != "POST":
            query = request.query_params
            return await self._show_all(
                request, officer, {name: query.get(name, "").strip()[:_LONGEST] for name in ("kind", "code", "version")}
            )
        form = await read_form(request)
        if not self._ports.csrf_ok(request, form):
            return self._forged(request, officer)
        try:
            async with self._ports.transaction() as session:
                object_id = await object_of(session, form)
                ending = await propose_ending(
                    session,
                    object_kind=form.get("kind", ""),
                    object_id=object_id,
                    reason=form.get("reason", "").strip(),
                    proposed_by=Person(officer.display_name, officer.subject_id),
                    now=self._ports.clock(),
                    entropy=self._ports.entropy,
                )
                await self._record(session, officer, "proposed", ending)
        except ConsentError as refused:
            return await self._show_all(request, officer, form, refused=str(refused))
        return RedirectResponse(f"endings/{ending.id}", status_code=_SEE_OTHER, headers={"Cache-Control": "no-store"})

    async def show_one(self, request: Request, officer: Viewer) -> Response:
        """One ending, and how far it is; or, posted, approved or rejected."""
        ending_id = request.path_params["ending_id"]
        if request.method != "POST":
            return await self._show_one(request, officer, ending_id)
        form = await read_form(request)
        if not self._ports.csrf_ok(request, form):
            return self._forged(request, officer)
        who = Person(officer.display_name, officer.subject_id)
        decide = self._deciding(form.get("decision", ""), ending_id, who)
        if decide is None:
            return await self._show_one(request, officer, ending_id, refused="neither approved nor rejected")
        try:
            async with self._ports.transaction() as session:
                ending = await decide(session)
                await self._record(session, officer, form["decision"], ending)
        except ConsentError as refused:
            return await self._show_one(request, officer, ending_id, refused=str(refused))
        return RedirectResponse(ending_id, status_code=_SEE_OTHER, headers={"Cache-Control": "no-store"})

    def _deciding(
        self, decision: str, ending_id: str, who: Person
    ) -> Callable[[AsyncSession], Awaitable[EndingView]] | None:
        now, entropy = self._ports.clock(), self._ports.entropy

        async def approve(session: AsyncSession) -> EndingView:
            shut = self._shut_client
            return await approve_ending(session, ending_id, by=who, shut_client=shut, now=now, entropy=entropy)

        async def reject(session: AsyncSession) -> EndingView:
            return await reject_ending(session, ending_id, by=who, now=now)

        return {"approve": approve, "reject": reject}.get(decision)

    async def _show_all(
        self, request: Request, officer: Viewer, typed: Form, *, refused: str | None = None
    ) -> Response:
        counted = None
        async with self._ports.reading() as session:
            endings = await list_endings(session)
            named = await labels(session, endings)
            if typed.get("kind") and typed.get("code"):
                try:
                    counted = await preview(session, typed["kind"], await object_of(session, typed))
                except ConsentError as unknown:
                    refused = refused or str(unknown)
        clients = {ending.object_id for ending in endings if ending.object_kind == CLIENT}
        names = await self._ports.client_names({*clients, *(counted.by_app if counted else ())}, officer.locale)
        return self._ports.render(
            request,
            "console_endings.html",
            {
                "viewer": officer,
                "endings": endings,
                "labels": named,
                "kinds": KINDS,
                "typed": {name: typed.get(name, "") for name in ("kind", "code", "version", "reason")},
                "preview": counted,
                "refused": refused,
                "client_names": names,
                "language": spoken(officer.locale),
            },
            locale=officer.locale,
            status=200 if refused is None else 400,
        )

    async def _show_one(
        self, request: Request, officer: Viewer, ending_id: str, *, refused: str | None = None
    ) -> Response:
        try:
            async with self._ports.reading() as session:
                ending = await ending_by_id(session, ending_id)
                named = await labels(session, [ending])
        except EndingRefused:
            return self._ports.render(
                request, "consent_missing.html", {"for_officer": True}, locale=officer.locale, status=404
            )
        names = await self._ports.client_names(set(ending.preview["by_app"]), officer.locale)
        return self._ports.render(
            request,
            "console_ending.html",
            {
                "viewer": officer,
                "ending": ending,
                "labels": named,
                "is_own": ending.proposed_by.get("account_id") == officer.subject_id,
                "refused": refused,
                "client_names": names,
                "language": spoken(officer.locale),
            },
            locale=officer.locale,
            status=200 if refused is None else 400,
        )

    async def _record(self, session: AsyncSession, officer: Viewer, did: str, ending: EndingView) -> None:
        await record_officer_action(
            session,
            officer_id=officer.subject_id,
            action="act",
            reason=ending.reason,
            filters={"of": "endings", "did": did, "ending": ending.id},
            rows=int(ending.preview["consents"]),
            now=self._ports.clock(),
            entropy=self._ports.entropy,
        )

    def _forged(self, request: Request, officer: Viewer) -> Response:
        return self._ports.render(request, "consent_form_refused.html", {}, locale=officer.locale, status=403)


async def object_of(session: AsyncSession, typed: Form) -> str:
    """The id of what was named by its kind, its code, and its version where it has any. Error: `EndingRefused`."""
    kind, code, version = typed.get("kind", ""), typed.get("code", ""), typed.get("version", "")
    if kind == CLIENT:
        return code
    if kind == AGENCY:
        agency = await agency_by_code(session, code)
        if agency is not None:
            return agency.id
    try:
        if kind == PURPOSE_VERSION:
            found = {str(one.version): one.id for one in await versions_of(session, code)}
        elif kind == AGREEMENT_VERSION:
            found = {str(one.version): one.id for one in await agreement_versions_of(session, code)}
        else:
            found = {}
    except (UnknownPurpose, UnknownAgreement):
        found = {}
    if version not in found:
        raise EndingRefused("there is nothing of that code and version")
    return found[version]
