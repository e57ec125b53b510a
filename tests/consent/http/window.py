"""The two windows on consent, opened over a real database, with doubles of what only a whole provider has: logins."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

import httpx2
from sqlalchemy import Column, MetaData, String, Table, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from consent.http import assisted, console, dashboard, registry, registry_review
from consent.http.ports import App, Citizen, Form, Ports, Viewer
from consent.models import ConsentEvent, ConsentRecord, OfficerAction
from consent.purposes import PurposeVersionView
from idp.database import Database
from idp.pages import Pages
from keys.entropy import Entropy
from tests.consent.registry import APP, SITI
from tests.support.clock import FakeClock

OFFICER = "0f000000-0000-4000-8000-000000000001"
AS_OFFICER = {"x-subject": OFFICER, "x-roles": "privacy_officer"}

# The agency of each app; `*` is every other's. Set by the fixture.
AGENCY_OF: dict[str, str] = {}

# Stands for the tokens that die with a consent: a table of someone else's in the same database.
DEAD_TOKENS = Table("test_dead_tokens", MetaData(), Column("consent_id", String(40), primary_key=True))


@cache
def pages() -> Pages:
    """The real templates, the real languages."""
    return Pages(issuer="https://idp.test")


def csrf_of(subject_id: str) -> str:
    """The token that a person's forms carry."""
    return f"csrf-of-{subject_id}"


async def viewer(request: Request) -> Viewer | None:
    """Who is signed in, from headers: a login is not what is tried here."""
    subject_id = request.headers.get("x-subject")
    if subject_id is None:
        return None
    return Viewer(
        subject_id=subject_id,
        display_name="Siti",
        roles=frozenset(request.headers.get("x-roles", "").split()),
        locale=request.headers.get("x-locale", "en"),
        csrf=csrf_of(subject_id),
    )


def require_login(request: Request) -> Response:
    """To the login."""
    return RedirectResponse(f"/sign-in?to={request.url.path}", status_code=303)


def csrf_ok(request: Request, form: Form) -> bool:
    """Whether the form has its person's token."""
    return form.get("csrf") == csrf_of(request.headers["x-subject"])


def render(
    request: Request, template: str, context: Mapping[str, Any], /, *, locale: str, status: int = 200
) -> Response:
    """A real page."""
    return pages().render(request, template, context, locale=locale, status=status)


async def client_names(client_ids: Collection[str], locale: str, /) -> Mapping[str, str]:
    """The one app that has a name, and it is not a nice one."""
    assert locale in {"id", "en"}
    return {APP: "Sehat <b>Bersama</b>"} if APP in client_ids else {}


async def app(_session: AsyncSession, client_id: str, locale: str, /) -> App | None:
    """The one app there is; its agency is that of whatever version there is."""
    assert locale in {"id", "en"}
    if client_id == "gone":
        return None
    agency_id = AGENCY_OF.get(client_id, AGENCY_OF["*"])
    return App(
        client_id=client_id,
        name="Sehat Bersama",
        is_verified=True,
        agency_id=agency_id,
        purpose_codes=("kunjungan",),
    )


async def apps(session: AsyncSession, locale: str, /) -> list[App]:
    """Every app."""
    known = await app(session, APP, locale)
    assert known is not None
    return [known]


async def subject_ref(_session: AsyncSession, subject_id: str, client_id: str, /) -> str | None:
    """The name of a person at an app."""
    return f"{subject_id[:8]}-at-{client_id}"


async def find_citizen(_session: AsyncSession, by: str, identifier: str, /) -> Citizen | None:
    """Siti and the officer, by name, by number or by our id."""
    people = {
        ("username", "siti"): Citizen(subject_id=SITI, display_name="Siti"),
        ("national_id", "3201010101010001"): Citizen(subject_id=SITI, display_name="Siti"),
        ("subject_id", SITI): Citizen(subject_id=SITI, display_name="Siti"),
        ("username", "dewi"): Citizen(subject_id=OFFICER, display_name="Dewi"),
        ("subject_id", OFFICER): Citizen(subject_id=OFFICER, display_name="Dewi"),
    }
    return people.get((by, identifier))


async def carry_over(_session: AsyncSession, _consent_id: str, /) -> None:
    """Nothing rests on a consent here but `DEAD_TOKENS`."""


async def bury_tokens(session: AsyncSession, consent_id: str, _now: datetime, /) -> None:
    """Writes that the tokens are dead."""
    await session.execute(insert(DEAD_TOKENS).values(consent_id=consent_id))


@dataclass
class Window:
    """What a test has in its hands."""

    database: Database
    clock: FakeClock
    entropy: Entropy
    version: PurposeVersionView
    ports: Ports

    def with_ports(self, **changes: Any) -> "Window":
        """The same window with other ports."""
        return replace(self, ports=replace(self.ports, **changes))

    @asynccontextmanager
    async def browser(
        self, headers: Mapping[str, str] | None = None, *, faults_are_answers: bool = False
    ) -> AsyncIterator[httpx2.AsyncClient]:
        """A browser that follows no redirect by itself."""
        pages = (dashboard, console, assisted, registry, registry_review)
        app = Starlette(routes=[route for page in pages for route in page.routes(self.ports)])
        transport = httpx2.ASGITransport(app, raise_app_exceptions=not faults_are_answers)
        async with httpx2.AsyncClient(
            transport=transport, base_url="https://idp.test", headers=dict(headers or {})
        ) as opened:
            yield opened

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        """Opens a page."""
        async with self.browser(headers) as browser:
            return await browser.get(path)

    async def get_as(self, subject_id: str, path: str, *, locale: str = "en") -> httpx2.Response:
        """A citizen opens a page."""
        return await self.get(path, {"x-subject": subject_id, "x-locale": locale})

    async def get_as_officer(self, path: str, *, locale: str = "en") -> httpx2.Response:
        """A privacy officer opens a page."""
        return await self.get(path, {**AS_OFFICER, "x-locale": locale})

    async def withdraw(self, consent_id: str, *, subject_id: str = SITI, csrf: str | None = None) -> httpx2.Response:
        """A citizen presses the button."""
        async with self.browser({"x-subject": subject_id}) as browser:
            return await browser.post(
                f"/my/consents/{consent_id}/withdraw", data={"csrf": csrf_of(subject_id) if csrf is None else csrf}
            )

    async def status_of(self, consent_id: str) -> str | None:
        """What the consent's row says."""
        async with self.database.reading() as session:
            return await session.scalar(select(ConsentRecord.status).where(ConsentRecord.id == consent_id))

    async def kinds_of(self, consent_id: str) -> list[str]:
        """What happened to a consent."""
        async with self.database.reading() as session:
            statement = select(ConsentEvent.kind).where(ConsentEvent.consent_id == consent_id)
            return list(await session.scalars(statement.order_by(ConsentEvent.seq)))

    async def buried(self) -> int:
        """How many consents' tokens are dead."""
        async with self.database.reading() as session:
            return (await session.scalar(select(func.count()).select_from(DEAD_TOKENS))) or 0

    async def looks(self) -> list[tuple[str, str | None, dict[str, Any], int]]:
        """What officers did, oldest first: action, consent, filters, rows."""
        async with self.database.reading() as session:
            rows = await session.execute(select(OfficerAction).order_by(OfficerAction.at, OfficerAction.id))
            return [(row.action, row.consent_id, row.filters, row.rows) for row in rows.scalars()]
