"""The console's board: who still has to stop or to erase, what is due soonest first. Every look is recorded.

Spec: Law 27/2022 (UU PDP) articles 40 and 41.
"""

from typing import Final

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consent.agencies import list_agencies
from consent.cursor import Cursor
from consent.errors import UnknownCursor
from consent.http.console import for_officers
from consent.http.ports import Ports, Viewer
from consent.http.shown import spoken
from consent.models import ConsentRecord
from consent.oversight import record_officer_action
from consent.withdrawal.board import ESCALATIONS, STATES, BoardFilter, board, delivery_by_id, how_many
from consent.withdrawal.errors import NoDelivery

PAGE: Final = 50
_FIELDS: Final = ("state", "escalation", "agency", "client")
_LONGEST: Final = 200


def routes(ports: Ports) -> list[Route]:
    """The officer's pages about withdrawals."""
    pages = WithdrawalPages(ports)
    return [
        Route("/console/withdrawals", for_officers(ports, pages.show_board), methods=["GET"]),
        Route("/console/withdrawals/{delivery_id}", for_officers(ports, pages.show_delivery), methods=["GET"]),
    ]


class WithdrawalPages:
    """The handlers."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def show_board(self, request: Request, officer: Viewer) -> Response:
        """A page of the board, with the filters that were typed. What means nothing filters nothing."""
        typed = {name: request.query_params.get(name, "").strip()[:_LONGEST] for name in _FIELDS}
        try:
            place = Cursor.parse(request.query_params["older"]) if "older" in request.query_params else None
        except UnknownCursor:
            place = None
        now = self._ports.clock()
        async with self._ports.transaction() as session:
            agencies = {agency.code: agency for agency in await list_agencies(session)}
            chosen = agencies.get(typed["agency"])
            typed["state"] = typed["state"] if typed["state"] in STATES else ""
            typed["escalation"] = typed["escalation"] if typed["escalation"] in ESCALATIONS else ""
            typed["agency"] = typed["agency"] if chosen is not None else ""
            typed["client"] = typed["client"] if typed["client"].isascii() and typed["client"].isprintable() else ""
            filters = BoardFilter(
                state=typed["state"] or None,
                escalation=typed["escalation"] or None,
                agency_id=chosen.id if chosen is not None else None,
                client_id=typed["client"] or None,
            )
            page = await board(session, filters=filters, after=place, limit=PAGE)
            counts = await how_many(session)
            await record_officer_action(
                session,
                officer_id=officer.subject_id,
                action="list",
                filters={"of": "withdrawals"} | {name: value for name, value in typed.items() if value},
                rows=len(page.rows),
                now=now,
                entropy=self._ports.entropy,
            )
        names = await self._ports.client_names({row.client_id for row in page.rows if row.client_id}, officer.locale)
        language = spoken(officer.locale)
        return self._ports.render(
            request,
            "console_withdrawals.html",
            {
                "viewer": officer,
                "rows": page.rows,
                "counts": counts,
                "typed": typed,
                "states": STATES,
                "escalations": ESCALATIONS,
                "agencies": [(code, agency.names[language]) for code, agency in agencies.items()],
                "client_names": names,
                "language": language,
                "now": now,
                "first_page": place is None,
                "older": str(page.next) if page.next is not None else None,
            },
            locale=officer.locale,
        )

    async def show_delivery(self, request: Request, officer: Viewer) -> Response:
        """One duty: what was sent, what was attested, when the clock struck."""
        delivery_id = request.path_params["delivery_id"]
        now = self._ports.clock()
        try:
            async with self._ports.transaction() as session:
                detail = await delivery_by_id(session, delivery_id)
                consent_id = detail.row.consent_id
                # Whose consent it was can see who looked at it.
                subject = select(ConsentRecord.subject_id).where(ConsentRecord.id == consent_id)
                await record_officer_action(
                    session,
                    officer_id=officer.subject_id,
                    action="open",
                    consent_id=consent_id,
                    subject_id=await session.scalar(subject),
                    filters={"of": "withdrawals"},
                    rows=1,
                    now=now,
                    entropy=self._ports.entropy,
                )
        except NoDelivery:
            return self._ports.render(
                request, "consent_missing.html", {"for_officer": True}, locale=officer.locale, status=404
            )
        clients = {detail.row.client_id} - {""}
        return self._ports.render(
            request,
            "console_withdrawal.html",
            {
                "viewer": officer,
                "row": detail.row,
                "attestations": detail.attestations,
                "escalations": detail.escalations,
                "client_names": await self._ports.client_names(clients, officer.locale),
                "language": spoken(officer.locale),
                "now": now,
            },
            locale=officer.locale,
        )
