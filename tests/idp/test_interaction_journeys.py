"""From an app's request to its answer, through the pages, on both databases."""

import httpx2
import pytest

from idp.interaction.models import Interaction
from idp.provider import Provider
from tests.idp.authorize_world import PASSWORD, World, make_world
from tests.support.browser_user import BrowserUser

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(provider: Provider) -> World:
    """An agency, a purpose, an app and two people."""
    return await make_world(provider)


async def test_a_first_visit_logs_in_agrees_and_comes_back_with_a_code(world: World, user: BrowserUser) -> None:
    await user.open(world.address())
    assert user.page.path == "/login"
    await user.log_in("siti", PASSWORD)
    assert user.page.path == "/consent"
    await user.allow(items={"email"})
    answer = user.callback_parameters
    assert answer.keys() == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("st4te", "https://idp.test")
    (authorization,) = await world.authorizations()
    (consent,) = await world.consents()
    assert authorization.consent_id == consent.id
    assert consent.granted == ["email", "name"]
    assert consent.refused == ["gender"]
