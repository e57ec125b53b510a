"""The provider as a country runs it: server processes on one database, people and apps that come in by any of them.

async def test_…(service: Service) -> None:
    login = await service.log_in("siti", "health")              # by whichever process
    await service.token("health", at=1, grant_type=…)           # at the second process
"""

import asyncio
import base64
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import httpx2

from idp.accounts.directory import create_account
from idp.accounts.passwords import Passwords
from idp.clock import system_clock
from idp.database import Database
from idp.demo.world import APPS, PEOPLE
from idp.provider import vault_for
from idp.settings import Settings
from keys.entropy import SystemEntropy
from tests.support.browser_user import BrowserUser
from tests.support.keyring import install_keys_at
from tests.support.ports import free_port
from tests.support.relying_party import Login, RelyingParty
from tests.support.server import ServerProcess
from tests.support.server_nursery import NurseryServer, ServerNursery
from tests.support.world import URLS, World, make_world

PASSWORD = "sawah-hijau-di-kaki-gunung"


class Doors(httpx2.AsyncBaseTransport):
    """Brings each request to the next process in turn, as a load balancer does, past those that do not listen.

    What has been sent is never sent again: an answer that is lost stays lost. `address` is whom the request comes from.
    """

    def __init__(self, ports: Sequence[int], *, address: str = "127.0.0.1") -> None:
        self._ports = ports
        self._next = itertools.cycle(ports)
        self._out = httpx2.AsyncHTTPTransport(verify=False, local_address=address)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Sends the request on. Its `Host` stays the issuer's."""
        for _ in self._ports[1:]:
            try:
                return await self._send(request, next(self._next))
            except httpx2.ConnectError:
                continue
        return await self._send(request, next(self._next))

    async def _send(self, request: httpx2.Request, port: int) -> httpx2.Response:
        onward = httpx2.Request(
            request.method,
            request.url.copy_with(host="127.0.0.1", port=port),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return await self._out.handle_async_request(onward)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._out.aclose()


class Service:
    """Processes, the little country in their database, and ways in."""

    def __init__(self, processes: Sequence[ServerProcess], database: Database, world: World) -> None:
        self.processes = tuple(processes)
        self.database = database
        self.world = world
        self.settings = processes[0].settings
        self.issuer = self.settings.issuer
        self._citizens = 0
        self._password_hash: str | None = None
        self._opened = AsyncExitStack()
        self.http = httpx2.AsyncClient(verify=False, timeout=30, limits=httpx2.Limits(max_connections=200))
        self._opened.push_async_exit(self.http)

    async def __aenter__(self) -> Self:
        await self._opened.enter_async_context(self.world)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    # --- who comes ---

    def doors(self, *, at: int | None = None, address: str = "127.0.0.1") -> Doors:
        """A way in: by one process (its place in `processes`), or by each in turn."""
        ports = [process.port for process in self.processes]
        return Doors(ports if at is None else [ports[at]], address=address)

    def browser(self, *, at: int | None = None, address: str = "127.0.0.1") -> BrowserUser:
        """A person's browser, empty."""
        made = BrowserUser.over(self.doors(at=at, address=address), issuer=self.issuer)
        self._opened.push_async_exit(made)
        return made

    def app(self, name: str, *, at: int | None = None) -> RelyingParty:
        """An app of the country: each call another instance of it, with an attempt of its own."""
        known = next(app for app in self.world.state.apps if app.name == name)
        made = RelyingParty(
            issuer=self.issuer,
            client_id=known.client_id,
            client_secret=known.client_secret,
            redirect_uri=f"{URLS[name]}/callback",
            transport=self.doors(at=at),
        )
        self._opened.push_async_exit(made)
        return made

    async def citizens(self, number: int) -> list[str]:
        """Makes citizens who all have the password `PASSWORD`. Returns their usernames."""
        if self._password_hash is None:
            hashing = Passwords(parallelism=1)
            self._password_hash = await hashing.hash(PASSWORD)
            hashing.close()
        first = self._citizens
        self._citizens += number
        names = [f"warga{place}" for place in range(first, first + number)]
        async with self.database.transaction() as session:
            for place, name in enumerate(names, start=first):
                profile = {**PEOPLE[0].profile, "name": f"Warga {place}"}
                profile["urn:satupintu:claims:nik"] = f"99040355059{place:05}"
                await create_account(
                    session,
                    username=name,
                    password=PASSWORD,
                    password_hash=self._password_hash,
                    profile=profile,
                    now=system_clock(),
                    entropy=SystemEntropy(),
                )
        return names

    def password(self, username: str) -> str:
        """The password of a person of the demonstration, or of a citizen made here."""
        return PASSWORD if username.startswith("warga") else self.world.password(username)

    # --- what they do ---

    async def ask(self, user: BrowserUser, app: RelyingParty, name: str, **parameters: Any) -> BrowserUser:
        """The person presses "log in" at the app."""
        scope = parameters.pop("scope", self.world.scope(name))
        return await user.open(await app.authorization_url(scope=scope, **parameters))

    async def agree(
        self, username: str, name: str, *, user: BrowserUser | None = None, **parameters: Any
    ) -> tuple[RelyingParty, str]:
        """Log in, allow: up to the code, which is not redeemed. Returns the app's instance that holds the verifier."""
        user = user or self.browser()
        app = self.app(name)
        await self.ask(user, app, name, **parameters)
        if not user.is_at_app and user.page.path == "/login":
            await user.log_in(username, self.password(username))
        if not user.is_at_app:
            await user.allow()
        return app, user.callback_parameters["code"]

    async def log_in(self, username: str, name: str, *, user: BrowserUser | None = None, **parameters: Any) -> Login:
        """The whole way to tokens."""
        app, code = await self.agree(username, name, user=user, **parameters)
        assert app.attempt is not None
        token = await app.redeem(code, code_verifier=app.attempt.code_verifier)
        return await app.check_login(token, nonce=app.attempt.nonce)

    # --- what apps say, at one process and without a client library's opinion ---

    async def post(self, path: str, *, at: int, data: dict[str, str], **options: Any) -> httpx2.Response:
        """A form for one process."""
        return await self.http.post(self.processes[at].url(path), data=data, **options)

    async def token(self, name: str, *, at: int, **form: str) -> httpx2.Response:
        """A token request of an app."""
        return await self.post("/token", at=at, data=form, headers=self.basic(name))

    async def redeem(self, app: RelyingParty, name: str, code: str, *, at: int) -> httpx2.Response:
        """A redemption of a code."""
        assert app.attempt is not None
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": app.redirect_uri}
        return await self.token(name, at=at, **form, code_verifier=app.attempt.code_verifier)

    async def refresh(self, name: str, token: str, *, at: int) -> httpx2.Response:
        """A use of a refresh token."""
        return await self.token(name, at=at, grant_type="refresh_token", refresh_token=token)

    async def userinfo(self, access_token: str, *, at: int) -> int:
        """The status with which userinfo answers."""
        headers = {"Authorization": f"Bearer {access_token}"}
        return (await self.http.get(self.processes[at].url("/userinfo"), headers=headers)).status_code

    async def is_active(self, name: str, token: str, *, at: int) -> bool:
        """What introspection tells the app about its token."""
        answer = await self.post("/introspect", at=at, data={"token": token}, headers=self.basic(name))
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["active"])

    async def lives(self, name: str, access_token: str) -> set[tuple[int, bool]]:
        """What userinfo and introspection say, at every process: one pair when they agree."""
        places = range(len(self.processes))
        return {
            (await self.userinfo(access_token, at=at), await self.is_active(name, access_token, at=at)) for at in places
        }

    def basic(self, name: str) -> dict[str, str]:
        """The Basic header of an app."""
        known = next(app for app in self.world.state.apps if app.name == name)
        pair = f"{known.client_id}:{known.client_secret}".encode()
        return {"Authorization": "Basic " + base64.b64encode(pair).decode()}


@asynccontextmanager
async def run_service(
    nursery: ServerNursery, settings: Settings, folder: Path, *, processes: int = 2
) -> AsyncIterator[Service]:
    """Runs server processes on the settings' migrated database, makes keys and the country in it, and opens it."""
    await install_keys_at(settings.url)
    database = Database(settings.url, vault=vault_for(settings, SystemEntropy()), pool_size=5)
    first = httpx2.URL(settings.issuer).port
    assert first is not None
    ports = [first, *(free_port() for _ in range(processes - 1))]
    servers = [NurseryServer(nursery, settings, port=port, log=folder / f"server{port}.log") for port in ports]
    world = await make_world(
        database, issuer=settings.issuer, now=system_clock(), entropy=SystemEntropy(), transport=Doors(ports)
    )
    with ExitStack() as running:
        try:
            # Side by side: most of the time they wait for each other's core or for the database.
            await asyncio.gather(*(asyncio.to_thread(running.enter_context, server) for server in servers))
            async with Service(servers, database, world) as service:
                yield service
        finally:
            await database.dispose()


CLIENT_IDS = {app.name: app.client_id for app in APPS}
ALIVE = {(200, True)}
DEAD = {(401, False)}
