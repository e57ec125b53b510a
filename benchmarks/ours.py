"""Our side: a migrated PostgreSQL database with an app and a person, one server process, and what its clients spend.

Everything is made over HTTP, as apps and people make it: nothing here knows how codes or tokens are kept.
"""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx2
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.operations import Request
from consent.agencies import agency_by_code
from consent.models import ConsentRecord
from idp import migrate
from idp.clients.management import ClientSpec, create_client
from idp.clock import system_clock
from idp.database import Database
from idp.demo.seed import seed
from idp.provider import vault_for
from idp.settings import Settings
from idp.setup import prepare_keys
from keys.entropy import SystemEntropy
from tests.support.browser_user import BrowserUser
from tests.support.server import ServerProcess
from tests.support.settings import settings_for

RESOURCE = "https://api.bench.example"
REDIRECT_URI = "https://app.bench.example/callback"
PROVIDER = "bench-provider"
PURPOSE = "kunjungan-puskesmas"
ITEM = "urn:satupintu:data:dukcapil:bench"
SCOPE = "openid profile offline_access"


@dataclass(frozen=True)
class Prepared:
    """The app that is measured with, and a person of the demonstration."""

    client_id: str
    client_secret: str
    password: str
    provider_secret: str

    @property
    def basic(self) -> str:
        """The app's credentials as a header."""
        return basic(self.client_id, self.client_secret)


def basic(client_id: str, secret: str) -> str:
    """An app's credentials as a header."""
    pair = f"{quote(client_id)}:{quote(secret)}".encode()
    return f"Authorization: Basic {base64.b64encode(pair).decode()}"


async def prepare(settings: Settings) -> Prepared:
    """The schema, the keys, the demonstration's country, and an app with every grant and an ES256 ID token."""
    entropy, now = SystemEntropy(), system_clock()
    await migrate.upgrade(settings.url)
    database = Database(settings.url, vault=vault_for(settings, entropy), pool_size=2)
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
                scopes=(*SCOPE.split(), "api", "consent:check"),
                resources=(RESOURCE,),
                allowed_resources=(RESOURCE,),
                purpose_codes=(PURPOSE,),
                id_token_signed_response_alg="ES256",
            )
            client, secret = await create_client(session, spec, now=now, entropy=entropy)
            holder = await agency_by_code(session, "dukcapil")
            assert holder is not None
            of_holder = ClientSpec(
                client_id=PROVIDER,
                agency_id=holder.id,
                names={"id": "Bench provider"},
                grant_types=("client_credentials",),
                scopes=("consent:check",),
            )
            _, provider_secret = await create_client(session, of_holder, now=now, entropy=entropy)
    finally:
        await database.dispose()
    assert secret is not None
    assert provider_secret is not None
    password = next(person.password for person in state.people if person.username == "siti")
    return Prepared(client.client_id, secret, password, provider_secret)


async def let_flow(database_url: str) -> None:
    """Lets the app have an item of another agency's, as if its purpose and an agreement said so."""
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        for consent_id, granted in (await connection.execute(select(ConsentRecord.id, ConsentRecord.granted))).all():
            changed = update(ConsentRecord).where(ConsentRecord.id == consent_id)
            await connection.execute(changed.values(granted=[*granted, ITEM]))
    await engine.dispose()


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


async def checks(base: str, prepared: Prepared, access_token: str) -> dict[str, list[Request]]:
    """A check by the app's own agency, and one by another, whose yes is noted before it leaves."""
    introspection = post("/introspect", {"token": access_token}, prepared.basic)
    (sub,) = await collect(base, [introspection], r'"sub":"([^"]+)"')
    made = {}
    for name, credentials, item in (
        ("check", prepared.basic, "name"),
        ("check_noted", basic(PROVIDER, prepared.provider_secret), ITEM),
    ):
        form = {"grant_type": "client_credentials", "scope": "consent:check"}
        (token,) = await collect(base, [post("/token", form, credentials)], r'"access_token":"([^"]+)"')
        question = {"client_id": prepared.client_id, "sub": sub, "purpose": PURPOSE, "items": [item]}
        headers = (f"Authorization: Bearer {token}", "Content-Type: application/json")
        made[name] = [Request("POST", "/consent/v1/check", headers, json.dumps(question))]
        await collect(base, made[name], r'"permitted":(true)')
    return made


async def operations(
    base: str, issuer: str, prepared: Prepared, *, count: int, database_url: str
) -> dict[str, list[Request]]:
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
    await let_flow(database_url)
    return {
        **await checks(base, prepared, access_tokens[0]),
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
