"""A small country for journeys: the demonstration's two ministries, apps and people, in the test's database.

world.app("health")            a RelyingParty; `population` is the other ministry's
world.password("siti")         citizens: siti, budi; privacy officers: ratna, wayan (who assists, too)
"""

from contextlib import AsyncExitStack
from datetime import datetime

import httpx2

from idp.clock import Clock
from idp.database import Database
from idp.demo.seed import seed
from idp.demo.state import DemoState
from idp.demo.world import APPS
from keys.entropy import Entropy
from tests.support.relying_party import RelyingParty

URLS = {app.name: f"https://{app.name}.test" for app in APPS}


class World:
    """What was made, by name."""

    def __init__(self, state: DemoState, *, transport: httpx2.AsyncBaseTransport | None, clock: Clock | None) -> None:
        self.state = state
        self.issuer = state.issuer
        self._transport = transport
        self._clock = clock
        self._apps: dict[str, RelyingParty] = {}
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> "World":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    def app(self, name: str) -> RelyingParty:
        """An app with its credentials, always the same object for one name."""
        if name not in self._apps:
            known = next(app for app in self.state.apps if app.name == name)
            self._apps[name] = RelyingParty(
                issuer=self.issuer,
                client_id=known.client_id,
                client_secret=known.client_secret,
                redirect_uri=f"{known.url}/callback",
                transport=self._transport,
                clock=self._clock,
            )
            self._opened.push_async_exit(self._apps[name])
        return self._apps[name]

    def scope(self, name: str) -> str:
        """Everything that the app is registered for."""
        return " ".join(next(app for app in APPS if app.name == name).scopes)

    def password(self, username: str) -> str:
        """A person's password."""
        return next(person.password for person in self.state.people if person.username == username)


async def make_world(
    database: Database,
    *,
    issuer: str,
    now: datetime,
    entropy: Entropy,
    transport: httpx2.AsyncBaseTransport | None = None,
    clock: Clock | None = None,
) -> World:
    """Makes the country in a migrated database. `transport` is how its apps reach the provider; None: for real."""
    state = await seed(database, known=None, issuer=issuer, urls=URLS, now=now, entropy=entropy)
    return World(state, transport=transport, clock=clock)
