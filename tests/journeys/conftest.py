"""What journeys share: somebody who registers apps, and the way through the door."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI

from idp.provider import Provider
from tests.support.clock import FakeClock
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
