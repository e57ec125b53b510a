"""What threat tests start from."""

import httpx2
import pytest
from fastapi import FastAPI

from idp.provider import Provider
from tests.security.stage import Stage
from tests.support.clock import FakeClock
from tests.support.token_world import App, new_world


@pytest.fixture
async def stage(app: FastAPI, provider: Provider, clock: FakeClock, client: httpx2.AsyncClient) -> Stage:
    """The provider, a ministry with a purpose, and two citizens: siti and budi."""
    made = Stage(
        application=app,
        provider=provider,
        clock=clock,
        http=client,
        world=await new_world(provider, client),
    )
    await made.person("siti")
    await made.person("budi", name="Budi Santoso", email="budi@example.id")
    return made


@pytest.fixture
async def web_app(stage: Stage) -> App:
    """A server-side app with a secret and every grant."""
    return await stage.world.app(post_logout_redirect_uris=("https://app.test/bye",))


@pytest.fixture
async def public_app(stage: Stage) -> App:
    """A browser app, which anybody could be."""
    return await stage.world.public_app(verified=True)
