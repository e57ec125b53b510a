"""Citizens who log in, agree and let their app redeem, over and over, whatever happens to the servers meanwhile."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx2
from sqlalchemy import select

from idp.database import Database
from idp.tokens.models import AccessToken
from keys.encoding import b64url_decode, strict_json_loads
from tests.concurrency.invariants import Found, check_invariants
from tests.support.browser_user import BrowserUser
from tests.support.relying_party import RelyingParty
from tests.support.service import Service

WITHIN_SECONDS = 30


@dataclass
class Ledger:
    """What people and apps were told, and so may rely on."""

    codes: list[str] = field(default_factory=list)
    redeemed: Counter[str] = field(default_factory=Counter)
    tokens: list[str] = field(default_factory=list)
    cut_off: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    async def one_more(self, people: Sequence[asyncio.Task[None]]) -> None:
        """Waits until somebody was given a code: on a busy machine a few seconds are not always enough for anything."""
        given, until = len(self.codes), time.monotonic() + WITHIN_SECONDS
        while len(self.codes) == given:
            ended = [one.exception() for one in people if one.done()]
            assert not ended, ended
            assert time.monotonic() < until, f"nobody got anywhere for {WITHIN_SECONDS} s; faults: {self.faults[-3:]}"
            await asyncio.sleep(0.01)

    async def check(self, database: Database) -> Found:
        """Holds what was told against the database."""
        found = await check_invariants(database, codes=self.codes)
        twice = [code for code, times in self.redeemed.items() if times > 1]
        assert not twice, f"{len(twice)} codes were redeemed twice"
        async with database.reading() as session:
            kept = set(await session.scalars(select(AccessToken.jti)))
        lost = [token for token in self.tokens if jti_of(token) not in kept]
        assert not lost, f"{len(lost)} access tokens that apps were given are not there"
        assert not self.faults, self.faults
        return found

    def __str__(self) -> str:
        cut = sum(self.cut_off.values())
        return (
            f"{len(self.codes)} codes given, {len(self.tokens)} tokens given, {cut} times cut off {dict(self.cut_off)}"
        )


def jti_of(token: str) -> str:
    """The identifier of a JWT."""
    claims = strict_json_loads(b64url_decode(token.split(".")[1]), max_bytes=65536)
    return str(claims["jti"])


class Citizen:
    """One of them, with a browser, and an app that they come from."""

    def __init__(self, service: Service, name: str, ledger: Ledger) -> None:
        self._service = service
        self._name = name
        self._ledger = ledger
        self._doing = ""

    async def live(self, stop: asyncio.Event) -> None:
        """Visits until told to stop. A connection that breaks is part of life; a page that says "our fault" is not."""
        app = self._service.app("health")
        visits = 0
        user = self._service.browser()
        while not stop.is_set():
            try:
                if visits % 3 == 0:
                    user.client.cookies.clear()  # another computer: the password is asked for
                visits += 1
                await self._visit(user, app)
            except httpx2.TransportError:
                self._ledger.cut_off[self._doing] += 1
                await asyncio.sleep(0.05)

    async def _visit(self, user: BrowserUser, app: RelyingParty) -> None:
        self._doing = "ask"
        await self._service.ask(user, app, "health", prompt="consent")
        if user.page.has("continue"):
            self._doing = "log in"
            await user.log_in(self._name, self._service.password(self._name))
        self._doing = "agree"
        if user.page.has("allow"):
            await user.allow()
        if not user.is_at_app:
            self._ledger.faults.append(f"{user.page.status} {user.page.url}: {user.page.text[:200]}")
            await asyncio.sleep(0.1)
            return
        code = user.callback_parameters["code"]
        self._ledger.codes.append(code)
        self._doing = "redeem"
        for _ in range(2):  # an app that lost the answer asks again
            try:
                await self._redeem(app, code)
            except httpx2.TransportError:
                self._ledger.cut_off[self._doing] += 1
            else:
                return

    async def _redeem(self, app: RelyingParty, code: str) -> None:
        assert app.attempt is not None
        answer = await app.oauth.request(
            "POST",
            f"{self._service.issuer}/token",
            withhold_token=True,
            auth=None,
            headers=self._service.basic("health"),
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": app.redirect_uri,
                "code_verifier": app.attempt.code_verifier,
            },
        )
        if answer.status_code == 200:
            self._ledger.redeemed[code] += 1
            self._ledger.tokens.append(answer.json()["access_token"])
        elif answer.status_code >= 500:
            self._ledger.faults.append(f"{answer.status_code} /token: {answer.text[:200]}")
