"""Logging out and revoking a token are not withdrawals: the consent stands, and nobody is told to stop."""

import pytest
from sqlalchemy import func, select

from consent.withdrawal.models import Delivery
from idp.provider import Provider
from tests.journeys.visiting import statuses, visit
from tests.support.browser_user import BrowserUser
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def nobody_is_told(provider: Provider) -> bool:
    async with provider.database.reading() as session:
        return not await session.scalar(select(func.count()).select_from(Delivery))


async def test_logging_out_withdraws_nothing(world: World, user: BrowserUser, provider: Provider) -> None:
    app = world.app("health")
    login = await visit(world, user, app)
    await user.open((await app.metadata())["end_session_endpoint"], id_token_hint=str(login.token["id_token"]))
    assert (await app.userinfo(login.access_token)).status_code == 401
    await user.open("/my/consents")
    await user.log_in("siti", world.password("siti"))
    assert statuses(user) == ["given"]
    assert await nobody_is_told(provider)


async def test_an_app_that_revokes_its_token_withdraws_nothing(
    world: World, user: BrowserUser, provider: Provider
) -> None:
    app = world.app("health")
    login = await visit(world, user, app, scope="openid profile offline_access")
    await app.revoke(login.refresh_token)
    assert (await app.userinfo(login.access_token)).status_code == 401
    await user.open("/my/consents")
    assert statuses(user) == ["given"]
    assert await nobody_is_told(provider)
    # The next login asks nothing: what was agreed is agreed.
    await user.open(await app.authorization_url(scope="openid profile"))
    assert user.is_at_app
