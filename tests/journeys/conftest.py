"""What journeys share: somebody who registers apps, and the way through the door."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import httpx2
import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser

from idp.provider import Provider
from tests.journeys.browsing import chromium
from tests.support.clock import FakeClock
from tests.support.demo import DemoProcess
from tests.support.evidence_world import EvidenceWorld, new_evidence_world
from tests.support.registrar import Registrar
from tests.support.world import World


@pytest.fixture
async def registrar(app: FastAPI, world: World, provider: Provider, clock: FakeClock) -> AsyncIterator[Registrar]:
    """Registers apps and purposes beside those of the world, at the in-process app."""
    async with Registrar(
        provider.database,
        issuer=world.issuer,
        clock=clock,
        entropy=provider.entropy,
        transport=httpx2.ASGITransport(app),
    ) as opened:
        yield opened


@pytest.fixture
async def evidence(app: FastAPI, world: World, provider: Provider, clock: FakeClock) -> AsyncIterator[EvidenceWorld]:
    """Beside the world, an app that asks for another ministry's data, and that ministry's system; in-process."""
    async with AsyncExitStack() as opened:
        yield await new_evidence_world(
            provider.database, issuer=world.issuer, clock=clock, transport=httpx2.ASGITransport(app), opened=opened
        )


# --- in a real browser -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    """The demonstration, for all tests; each brings citizens of its own."""
    with DemoProcess(tmp_path_factory.mktemp("demo")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a module; each visit has cookies of its own.

    No longer than that: while it runs, so does an event loop, and no other can.
    """
    with chromium() as running:
        yield running
