"""The stage of the threat tests: the whole provider over HTTP, apps of every kind, people with passwords, and the way
through the pages to a code.
"""

import functools
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import httpx2
from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy import func, select

from idp.accounts.directory import create_account, find_by_username, grant_role
from idp.accounts.passwords import MEMORY_KIB, TIME_COST
from idp.provider import Provider
from idp.sessions.models import LoginSession
from idp.tokens.models import AccessToken, Authorization
from tests.support.browser_user import BrowserUser
from tests.support.clock import FakeClock
from tests.support.relying_party import RelyingParty
from tests.support.token_world import CHALLENGE, PROFILE, App, World

PASSWORD: Final = "kunci-yang-panjang-sekali"
SCOPE: Final = "openid profile email"
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}

#: Every address that there is, but for those below `/my/consents/` and `/console/`, and the health checks.
HOST: Final = "https://idp.test"
PAGES: Final = (
    *("/", "/login", "/sign-in", "/consent", "/select-account", "/end_session", "/my/consents", "/console"),
    *("/consent/answered", "/my/uses", "/my/officers", "/register", "/register/uses", "/receipts/check"),
)
PROTOCOL: Final = (
    "/authorize",
    "/token",
    "/userinfo",
    "/introspect",
    "/revoke",
    "/access/v1/evaluation",
    "/access/v1/evaluations",
)
PUBLIC: Final = (
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/.well-known/authzen-configuration",
    "/jwks",
    "/status-lists",
)


@functools.cache
def password_hash() -> str:
    """The hash of `PASSWORD`, made once by each worker."""
    return PasswordHasher(time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=1).hash(PASSWORD)


@dataclass
class Stage:
    """What a threat test acts on. `http` is a program without a browser; people come as `BrowserUser`."""

    application: FastAPI
    provider: Provider
    clock: FakeClock
    http: httpx2.AsyncClient
    world: World

    # --- people ---

    async def person(self, username: str, *, role: str | None = None, **profile: Any) -> str:
        """Makes a person whose password is `PASSWORD`. Returns the account's id."""
        now = self.provider.clock()
        async with self.provider.database.transaction() as session:
            account = await create_account(
                session,
                username=username,
                password_hash=password_hash(),
                profile={**PROFILE, **profile},
                now=now,
                entropy=self.provider.entropy,
            )
            if role is not None:
                await grant_role(session, username=username, role=role, granted_by="test", now=now)
        return account.id

    async def sign_in(self, user: BrowserUser, username: str = "siti") -> BrowserUser:
        """Signs a person in at our own page."""
        await user.open("/login")
        await user.log_in(username, PASSWORD)
        assert user.page.path == "/", user.page.text
        return user

    async def account(self, username: str) -> str:
        """A person's account id."""
        async with self.provider.database.reading() as session:
            found = await find_by_username(session, username)
        assert found is not None
        return found.id

    async def withdraw_all(self, user: BrowserUser) -> None:
        """The person takes everything back on their own page."""
        await user.open("/my/consents")
        for address in [link for link, _ in user.page.document.links if link.startswith("/my/consents/")]:
            await user.open(address)
            if user.page.has("withdraw"):
                await user.press("withdraw")

    # --- requests of apps ---

    def request(self, app: App, **changes: str | None) -> dict[str, str]:
        """An honest authorization request of the app, with changes; None leaves a parameter out."""
        asked: dict[str, str | None] = {
            "client_id": app.client_id,
            "redirect_uri": app.redirect_uri,
            "response_type": "code",
            "scope": SCOPE,
            "state": "st4te",
            "nonce": "n0nce",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def address(self, app: App, **changes: str | None) -> str:
        """That request as an address."""
        return f"/authorize?{urlencode(self.request(app, **changes))}"

    async def authorize(self, app: App, **changes: str | None) -> httpx2.Response:
        """What a browser without cookies is answered, redirects not followed."""
        return await self.http.get(self.address(app, **changes))

    async def begin(self, user: BrowserUser, app: App, **changes: str | None) -> BrowserUser:
        """The app sends the person here."""
        return await user.open(self.address(app, **changes))

    async def code(self, user: BrowserUser, app: App, username: str = "siti", **changes: str | None) -> str:
        """The whole way through the pages: logs in and agrees, where asked."""
        await self.begin(user, app, **changes)
        if not user.is_at_app and user.page.path == "/login":
            await user.log_in(username, PASSWORD)
        if not user.is_at_app:
            await user.allow()
        return user.callback_parameters["code"]

    async def tokens(self, user: BrowserUser, app: App, username: str = "siti", **changes: str | None) -> Any:
        """The way through the pages, and the code's tokens."""
        answer = await self.world.redeem(app, await self.code(user, app, username, **changes))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def party(self, app: App, **changes: Any) -> RelyingParty:
        """The app as a strict independent client would be."""
        settings: dict[str, Any] = {
            "issuer": self.provider.settings.issuer,
            "client_id": app.client_id,
            "client_secret": app.secret or None,
            "redirect_uri": app.redirect_uri,
            "transport": httpx2.ASGITransport(self.application),
            "clock": self.clock,
        }
        return RelyingParty(**{**settings, **changes})

    # --- what came of it ---

    async def issued(self) -> tuple[int, int]:
        """How many codes and how many access tokens were ever issued."""
        async with self.provider.database.reading() as session:
            codes = await session.scalar(select(func.count()).select_from(Authorization))
            tokens = await session.scalar(select(func.count()).select_from(AccessToken))
        return codes or 0, tokens or 0

    async def sessions_alive(self) -> int:
        """How many people are signed in."""
        async with self.provider.database.reading() as session:
            alive = select(func.count()).select_from(LoginSession).where(LoginSession.ended_at.is_(None))
            return await session.scalar(alive) or 0

    async def is_dead(self, app: App, tokens: dict[str, Any]) -> bool:
        """Whether nothing can be had any more for what was issued: by introspection, userinfo and refresh alike."""
        userinfo = await self.world.userinfo(tokens["access_token"])
        told = [await self.world.introspect(app, tokens["access_token"])] if app.secret else []
        dead = userinfo.status_code == 401 and all(answer == {"active": False} for answer in told)
        if "refresh_token" in tokens:
            refreshed = await self.world.refresh(app, tokens["refresh_token"])
            dead = dead and refreshed.status_code == 400 and refreshed.json()["error"] == "invalid_grant"
        return dead


def is_a_page_only(answer: httpx2.Response) -> bool:
    """Whether somebody is told on a page what is wrong, and nobody is sent anywhere."""
    return (
        answer.status_code in {400, 403}
        and "location" not in answer.headers
        and "refresh" not in answer.headers
        and answer.headers["content-type"].startswith("text/html")
        and 'http-equiv="refresh"' not in answer.text.lower()
    )


def told_to_app(answer: httpx2.Response) -> dict[str, str]:
    """What the app learns from a redirect back to it."""
    assert answer.status_code == 303, answer.text
    return dict(httpx2.URL(answer.headers["location"]).params)


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    """The status and the code of a refusal as JSON; no token came with it."""
    body = answer.json()
    assert not {"access_token", "refresh_token", "id_token", "code"} & body.keys(), body
    return answer.status_code, body.get("error", "")
