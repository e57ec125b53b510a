"""Receipts as pages and files: for the person at once, for the officer on the record, and for whoever holds the paper.

Spec: Law 27/2022 (UU PDP) article 24; ISO/IEC TS 27560:2023 §6.2.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from markupsafe import Markup
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consent.http.console import for_officers
from consent.http.ports import Ports, Viewer
from consent.identifiers import is_id
from consent.log.encoding import LARGEST
from consent.models import ShownText
from consent.oversight import record_officer_action
from consent.receipts.errors import NoReceipt
from consent.receipts.formats import FORMATS
from consent.receipts.look_up import Found, look_up
from consent.receipts.office import Issued, ReceiptOffice
from consent.receipts.qr import check_address, qr_svg
from consent.receipts.receipt import IssuedReceipt
from keys.encoding import b64url_decode
from keys.errors import MalformedEncoding

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FILE_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"


def routes(ports: Ports, office: ReceiptOffice) -> list[Route]:
    """The addresses. The last two are for everybody."""
    pages = Receipts(ports, office)
    return [
        Route("/my/consents/{consent_id}/receipt", pages.show, methods=["GET"]),
        Route("/my/consents/{consent_id}/receipt.json", pages.download, methods=["GET"]),
        Route(
            "/console/consents/{consent_id}/receipt.json",
            for_officers(ports, pages.download_for_officer),
            methods=["GET"],
        ),
        Route("/notices/{sha256}", pages.notice, methods=["GET"]),
        Route("/receipts/check", pages.check, methods=["GET"]),
    ]


class Receipts:
    """The handlers."""

    def __init__(self, ports: Ports, office: ReceiptOffice) -> None:
        self._ports = ports
        self._office = office

    async def show(self, request: Request) -> Response:
        """A page to read and to print. The proof is on it as soon as the log has the event."""
        viewer = await self._ports.viewer(request)
        if viewer is None:
            return self._ports.require_login(request)
        try:
            issued = await self._of_the_viewer(request, viewer)
        except NoReceipt:
            return self._missing(request, viewer)
        receipt = issued.receipt
        names = await self._ports.client_names({receipt.event.client_id}, viewer.locale)
        address = check_address(self._office.addresses.base, receipt)
        return self._ports.render(
            request,
            "my_receipt.html",
            {
                "viewer": viewer,
                "receipt": receipt,
                "record": receipt.record,
                "event": receipt.event,
                "events": issued.events,
                "app_name": names.get(receipt.event.client_id, receipt.event.client_id),
                "formats": tuple(FORMATS),
                "address": address,
                "square": None if address is None else Markup(qr_svg(address)),  # noqa: S704 - an address of ours
            },
            locale=viewer.locale,
        )

    async def download(self, request: Request) -> Response:
        """The receipt as a file, or the record in one of the other formats."""
        viewer = await self._ports.viewer(request)
        if viewer is None:
            return self._ports.require_login(request)
        try:
            return _file(request, (await self._of_the_viewer(request, viewer)).receipt)
        except NoReceipt:
            return self._missing(request, viewer)

    async def download_for_officer(self, request: Request, officer: Viewer) -> Response:
        """The same for an officer. It is written down before anything leaves."""
        consent_id = request.path_params["consent_id"]
        try:
            issued = await self._office.issue(consent_id, _seq(request), may=lambda _event: True)
            answer = _file(request, issued.receipt)
        except NoReceipt:
            answer = self._missing(request, officer, for_officer=True)
        async with self._ports.transaction() as session:
            await record_officer_action(
                session,
                officer_id=officer.subject_id,
                action="export",
                filters={"of": "receipt", **dict(request.query_params)},
                consent_id=consent_id if is_id(consent_id) else None,
                rows=1 if answer.status_code == 200 else 0,
                now=self._ports.clock(),
                entropy=self._ports.entropy,
            )
        return answer

    async def notice(self, request: Request) -> Response:
        """A text that was shown, found by what it says: whoever has a receipt can read what its fingerprint is of.

        It names an app, an agency and a purpose, and nobody who read it.
        """
        digest = request.path_params["sha256"]
        body = None
        if _DIGEST.fullmatch(digest):
            async with self._ports.reading() as session:
                body = await session.scalar(select(ShownText.body).where(ShownText.sha256 == bytes.fromhex(digest)))
        if body is None:
            headers = {**_FILE_HEADERS, "Content-Type": "text/plain; charset=utf-8"}
            return Response("There is no text with this fingerprint.\n", 404, headers)
        # To the byte, and with no charset added: this is what was hashed.
        headers = {**_FILE_HEADERS, "Cache-Control": _FOR_EVER, "Content-Type": "application/json"}
        return Response(body.encode(), 200, headers)

    async def check(self, request: Request) -> Response:
        """What a square on paper leads to: whether the log has that leaf at that place. No login, and no person."""
        asked = _leaf(request)
        found = await look_up(self._office.log(), asked[0], asked[1]) if asked else None
        locale = self._ports.locale_of(request)
        return self._ports.render(
            request,
            "receipt_check.html",
            {"asked": bool(request.query_params), "found": found, "is_found": isinstance(found, Found)},
            locale=locale,
            status=200 if isinstance(found, Found) or not request.query_params else 404,
        )

    async def _of_the_viewer(self, request: Request, viewer: Viewer) -> Issued:
        return await self._office.issue(
            request.path_params["consent_id"], _seq(request), may=lambda event: event.subject_id == viewer.subject_id
        )

    def _missing(self, request: Request, viewer: Viewer, *, for_officer: bool = False) -> Response:
        # One answer for another person's consent and for none, so that nobody can probe for ids.
        return self._ports.render(
            request, "consent_missing.html", {"for_officer": for_officer}, locale=viewer.locale, status=404
        )


def _seq(request: Request) -> int | None:
    """Which event's receipt is wanted; None: the newest one's. Error: `NoReceipt` for what is no number."""
    said = request.query_params.get("event")
    if said is not None and not _NUMBER.fullmatch(said):
        raise NoReceipt("there is no such event")
    return None if said is None else int(said)


def _leaf(request: Request) -> tuple[int, bytes] | None:
    index, commitment = (request.query_params.get(name, "") for name in ("index", "commitment"))
    try:
        value = b64url_decode(commitment)
    except MalformedEncoding:
        return None
    if not _INDEX.fullmatch(index) or int(index) > LARGEST or len(value) != 32:
        return None
    return int(index), value


def _file(request: Request, receipt: IssuedReceipt) -> Response:
    """The receipt file; with `format`, the record in that one. Error: `NoReceipt` for a format that there is not."""
    name = request.query_params.get("format")
    if name is None:
        return _attachment(receipt.file(), "application/json", receipt.file_name)
    chosen = FORMATS.get(name)
    if chosen is None:
        raise NoReceipt("there is no such format")
    stem = receipt.file_name.removesuffix(".json")
    return _attachment(chosen.export(receipt.record), chosen.media_type, f"{stem}.{chosen.name}.json")


def _attachment(content: Mapping[str, Any], media_type: str, name: str) -> Response:
    headers = {
        **_FILE_HEADERS,
        "Content-Type": media_type,
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    return Response(json.dumps(content, ensure_ascii=False, indent=2).encode(), 200, headers)
