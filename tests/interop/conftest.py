"""What the interoperability journeys share: real servers, an app on Node.js, people with browsers."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from idp.clock import system_clock
from keys.entropy import SystemEntropy
from tests.support.browser_user import BrowserUser
from tests.support.node import NodeApp, installed_packages
from tests.support.registrar import Registrar
from tests.support.service import Service


@pytest.fixture(scope="session")
def node_packages(session_folder: Path) -> Path:
    """The packages of the scripts on Node.js."""
    return installed_packages(session_folder / "npm.lock")


@pytest.fixture
async def node_app(node_packages: Path) -> AsyncIterator[NodeApp]:
    """An app on npm's openid-client."""
    async with NodeApp() as running:
        yield running


@pytest.fixture
async def registrar(shared_service: Service) -> AsyncIterator[Registrar]:
    """Registers apps with the running provider."""
    async with Registrar(
        shared_service.database, issuer=shared_service.issuer, clock=system_clock, entropy=SystemEntropy()
    ) as opened:
        yield opened


@pytest.fixture
async def new_person(shared_service: Service) -> AsyncIterator[Callable[[], BrowserUser]]:
    """Makes browsers that reach the provider by real connections, at its issuer's own address."""
    async with AsyncExitStack() as opened:

        def make() -> BrowserUser:
            user = BrowserUser.over(None, issuer=shared_service.issuer)
            opened.push_async_exit(user)
            return user

        yield make
