"""The public register: every purpose in plain words, its legal basis said honestly, its versions and what changed.

Anybody may read it, without a login; the machine's form is at `/register.json`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consent.attributes import ITEMS
from consent.http.ports import Ports
from consent.http.shown import spoken
from consent.notice import Notice, compose
from consent.purposes import PurposeVersionView
from consent.registry.differences import Change, differences
from consent.registry.register import Register, RegisteredPurpose, read_register, register_as_json
from consent.registry.vocabulary import OPERATIONS
from keys.encoding import canonical_json

# A register that changes a few times a month need not be read for every reader.
_CACHED: Final = {"Cache-Control": "public, max-age=60"}


def routes(ports: Ports) -> list[Route]:
    """The register's addresses."""
    pages = RegisterPages(ports)
    return [
        Route("/register", pages.show_all, methods=["GET"]),
        Route("/register.json", pages.for_machines, methods=["GET"]),
        Route("/register/{code}", pages.show_purpose, methods=["GET"]),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One version on a page: in the words of its notice, and what it changed of the one before."""

    version: PurposeVersionView
    notice: Notice
    changes: tuple[Change, ...]
    is_first: bool


class RegisterPages:
    """The handlers."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def show_all(self, request: Request) -> Response:
        """Every purpose, by agency; the agreements; the data items that agencies hold."""
        register, locale = await self._read(), self._ports.locale_of(request)
        language = spoken(locale)
        return self._ports.render(
            request,
            "register.html",
            {
                "language": language,
                "agencies": _by_agency(register, language),
                "agreements": register.agreements,
                "attributes": register.attributes,
                "labels": _labels(register, language),
            },
            locale=locale,
        )

    async def show_purpose(self, request: Request) -> Response:
        """One purpose: what the version in force says, and every version with what it changed."""
        register, locale = await self._read(), self._ports.locale_of(request)
        language = spoken(locale)
        purpose = register.purposes.get(request.path_params["code"])
        if purpose is None:
            return self._ports.render(request, "register_missing.html", {}, locale=locale, status=404)
        versions = shown_versions(purpose, language)
        return self._ports.render(
            request,
            "register_purpose.html",
            {
                "language": language,
                "purpose": purpose,
                "agency": register.agencies[purpose.newest.agency_id],
                "current": next(one for one in versions if one.version is purpose.newest),
                "operations": operations_of(purpose.newest, language),
                "versions": versions,
                "agreements": purpose.agreements,
                "labels": _labels(register, language),
            },
            locale=locale,
        )

    async def for_machines(self, _request: Request) -> Response:
        """GET /register.json."""
        body = canonical_json(register_as_json(await self._read()))
        return Response(
            body,
            media_type="application/json",
            headers={**_CACHED, "Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff"},
        )

    async def _read(self) -> Register:
        async with self._ports.reading() as session:
            return await read_register(session)


def notice_for_the_register(version: PurposeVersionView, language: str) -> Notice:
    """The words of the notice that people get, with the agency where an app's name would stand."""
    return compose(
        version,
        client_id="",
        client_name=version.agency_names[language],
        client_is_verified=True,
        language=language,
        asked=version.claims,
        offline_access=False,
    )


def shown_versions(purpose: RegisteredPurpose, language: str) -> tuple[Shown, ...]:
    """Every public version of a purpose, newest first."""
    return tuple(
        Shown(
            version=version,
            notice=notice_for_the_register(version, language),
            changes=() if earlier is None else differences(earlier.as_draft(), version.as_draft()),
            is_first=earlier is None,
        )
        for version, earlier in zip(purpose.versions, (*purpose.versions[1:], None), strict=True)
    )


def operations_of(version: PurposeVersionView, language: str) -> tuple[str, ...]:
    """What is done with the data, in words."""
    return tuple(OPERATIONS[one][language] for one in version.terms.processing or ())


def _by_agency(register: Register, language: str) -> list[Mapping[str, Any]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for purpose in register.purposes.values():
        notice = notice_for_the_register(purpose.newest, language)
        found.setdefault(purpose.newest.agency_id, []).append({"purpose": purpose, "notice": notice})
    return [
        {"agency": agency, "purposes": found[agency_id]}
        for agency_id, agency in register.agencies.items()
        if agency_id in found
    ]


def _labels(register: Register, language: str) -> Mapping[str, str]:
    """What every data item is called."""
    every = {**ITEMS, **{item.claim: item for item in register.attributes}}
    return {claim: item.label(language) for claim, item in every.items()}
