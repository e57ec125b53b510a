"""What tests of the provider's endpoints start from."""

import httpx2
import pytest

from idp.provider import Provider
from tests.support.token_world import World, new_world


@pytest.fixture
async def world(provider: Provider, client: httpx2.AsyncClient) -> World:
    """A ministry with a purpose; apps and citizens come as the test needs them."""
    return await new_world(provider, client)
