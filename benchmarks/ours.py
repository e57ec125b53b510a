"""Our side: a migrated PostgreSQL database with an app and a person, one server process, and what its clients spend.

Everything is made over HTTP, as apps and people make it: nothing here knows how codes or tokens are kept.
"""

import asyncio
import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx2

from benchmarks.operations import Request
from consent.agencies import agency_by_code
from idp import migrate
from idp.clients.management import ClientSpec, create_client
from idp.clock import system_clock
from idp.database import Database
from idp.demo.seed import seed
from idp.settings import Settings
from idp.setup import prepare_keys
from keys.entropy import SystemEntropy
from tests.support.browser_user import BrowserUser
from tests.support.server import ServerProcess
from tests.support.settings import settings_for

RESOURCE = "https://api.bench.example"
REDIRECT_URI = "https://app.bench.example/callback"
SCOPE = "openid profile offline_access"


@dataclass(frozen=True)
class Prepared:
    """The app that is measured with, and a person of the demonstration."""

    client_id: str
    client_secret: str
    password: str

    @property
    def basic(self) -> str:
        """The app's credentials as a header."""
        pair = f"{quote(self.client_id)}:{quote(self.client_secret)}".encode()
        return f"Authorization: Basic {base64.b64encode(pair).decode()}"


async def prepare(settings: Settings) -> Prepared:
    """The schema, the keys, the demonstration's country, and an app with every grant and an ES256 ID token."""
    entropy, now = SystemEntropy(), system_clock()
    await migrate.upgrade(settings.url)
    database = Database(settings.url, pool_size=2)
    try:
        await prepare_keys(database, settings, now=now, entropy=entropy)
        urls = {"health": "https://health.example", "population": "https://population.example"}
        state = await seed(database, known=None, issuer=settings.issuer, urls=urls, now=now, entropy=entropy)
        async with database.transaction() as session:
            agency = await agency_by_code(session, "kemenkes")
            assert agency is not None
            spec = ClientSpec(
                client_id="bench",
                agency_id=agency.id,
                names={"id": "Bench"},
                verified=True,
                redirect_uris=(REDIRECT_URI,),
                grant_types=("authorization_code", "refresh_token", "client_credentials"),
                scopes=(*SCOPE.split(), "api"),
                resources=(RESOURCE,),
                allowed_resources=(RESOURCE,),
                purpose_codes=("kunjungan-puskesmas",),
                id_token_signed_response_alg="ES256",
            )
            client, secret = await create_client(session, spec, now=now, entropy=entropy)
    finally:
        await database.dispose()
    assert secret is not None
    return Prepared(client.client_id, secret, next(p.password for p in state.people if p.username == "siti"))


@contextmanager
def serving(database_url: str, folder: Path, *, port: int) -> Iterator[tuple[ServerProcess, Prepared]]:
    """A prepared database and one server process on it."""
    settings = settings_for(database_url, folder, issuer=f"http://localhost:{port}")
    prepared = asyncio.run(prepare(settings))
    with ServerProcess(settings, port=port, log=folder / "ours.log") as server:
        yield server, prepared


class Visitor:
    """A signed-in person whose consent covers the app: each `/authorize` is answered with a code at once."""

    def __init__(self, prepared: Prepared, *, issuer: str) -> None:
        self.prepared = prepared
        self.verifier = "v" * 43
        digest = hashlib.sha256(self.verifier.encode()).digest()
        self.query = urlencode(
            {
                "client_id": prepared.client_id,
                "response_type": "code",
                "scope": SCOPE,
                "redirect_uri": REDIRECT_URI,
                "state": "s" * 43,
                "nonce": "n" * 22,
                "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
                "code_challenge_method": "S256",
            }
        )
        self.user = BrowserUser.over(None, issuer=issuer)

    async def sign_in(self) -> None:
        """Logs in and agrees once."""
        await self.user.open(f"/authorize?{self.query}")
        await self.user.log_in("siti", self.prepared.password)
        await self.user.allow()
        assert "code" in self.user.callback_parameters

    @property
    def authorize(self) -> Request:
        """The request of a returning person."""
        cookies = "; ".join(f"{one.name}={one.value}" for one in self.user.client.cookies.jar)
        return Request("GET", f"/authorize?{self.query}", (f"Cookie: {cookies}",))

    def redeem(self, code: str) -> Request:
        """The trade of a code for tokens."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}
        return post("/token", {**form, "code_verifier": self.verifier, "resource": RESOURCE}, self.prepared.basic)


def post(path: str, form: dict[str, str], *headers: str) -> Request:
    """A form sent by POST."""
    return Request("POST", path, ("Content-Type: application/x-www-form-urlencoded", *headers), urlencode(form))


async def collect(base: str, requests: list[Request], pattern: str) -> list[str]:
    """Sends each request and finds something in each answer (its body and its Location)."""
    found = []
    async with httpx2.AsyncClient(base_url=base, timeout=30) as client:
        for request in requests:
            headers = dict(line.split(": ", 1) for line in request.headers)
            answer = await client.request(
                request.method, request.path, headers=headers, content=request.body.encode(), follow_redirects=False
            )
            match = re.search(pattern, answer.text + answer.headers.get("location", ""))
            assert match, f"{request.path}: {answer.status_code} {answer.text[:300]}"
            found.append(match.group(1))
    return found


async def operations(base: str, issuer: str, prepared: Prepared, *, count: int) -> dict[str, list[Request]]:
    """The requests of each measured operation."""
    visitor = Visitor(prepared, issuer=issuer)
    await visitor.sign_in()
    basic = prepared.basic
    codes = await collect(base, [visitor.authorize] * (2 * count + 100), r"[?&]code=([^&]+)")
    for_refresh = [visitor.redeem(code) for code in codes[count : 2 * count]]
    refresh_tokens = await collect(base, for_refresh, r'"refresh_token":"([^"]+)"')
    # Without a resource the token is for the provider itself, which is what /userinfo takes.
    plain = [
        replace(visitor.redeem(code), body=visitor.redeem(code).body.split("&resource")[0]) for code in codes[-100:]
    ]
    access_tokens = await collect(base, plain, r'"access_token":"([^"]+)"')
    return {
        "discovery": [Request("GET", "/.well-known/openid-configuration")],
        "jwks": [Request("GET", "/jwks")],
        "client_credentials": [
            post("/token", {"grant_type": "client_credentials", "scope": "api", "resource": RESOURCE}, basic)
        ],
        "code": [visitor.redeem(code) for code in codes[:count]],
        "refresh": [
            post("/token", {"grant_type": "refresh_token", "refresh_token": token}, basic) for token in refresh_tokens
        ],
        "introspection": [post("/introspect", {"token": token}, basic) for token in access_tokens],
        "userinfo": [Request("GET", "/userinfo", (f"Authorization: Bearer {token}",)) for token in access_tokens],
        "authorize": [visitor.authorize],
    }
