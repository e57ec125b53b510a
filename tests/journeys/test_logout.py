"""Signing out: at the app's request, at one's own, and what lives on."""

from collections.abc import Callable

import pytest
from authlib.integrations.base_client import OAuthError

from tests.journeys.visiting import HEALTH_SCOPE, ask_silently, userinfo, visit
from tests.support.browser_user import BrowserUser
from tests.support.relying_party import Login, RelyingParty
from tests.support.world import World

pytestmark = pytest.mark.anyio

HOME = "https://health.test/"


async def end_session(user: BrowserUser, app: RelyingParty, **parameters: str) -> None:
    await user.open((await app.metadata())["end_session_endpoint"], **parameters)


def hint(login: Login) -> str:
    return str(login.token["id_token"])


async def test_an_app_that_knows_who_is_there_signs_them_out_without_a_question(
    world: World, user: BrowserUser
) -> None:
    app = world.app("health")
    login = await visit(world, user, app)
    await end_session(user, app, id_token_hint=hint(login), post_logout_redirect_uri=HOME, state="s1")
    assert str(user.callback) == f"{HOME}?state=s1"
    assert (await ask_silently(user, app))["error"] == "login_required"
    assert (await app.userinfo(login.access_token)).status_code == 401
    await user.open(await app.authorization_url(scope=HEALTH_SCOPE))
    assert user.page.path == "/login"
    # The agreement was not taken back: after the password nothing is asked.
    await user.log_in("siti", world.password("siti"))
    assert (await app.finish(user.callback_parameters)).sub == login.sub


async def test_without_a_hint_the_person_is_asked_and_may_stay(world: World, user: BrowserUser) -> None:
    app = world.app("health")
    login = await visit(world, user, app)
    await end_session(user, app, client_id=app.client_id, post_logout_redirect_uri=HOME, state="s2")
    assert user.page.path == "/end_session"
    await user.press("logout-no")
    assert await userinfo(app, login.access_token)
    await end_session(user, app, client_id=app.client_id, post_logout_redirect_uri=HOME, state="s2")
    await user.press("logout-yes")
    assert str(user.callback) == f"{HOME}?state=s2"
    assert (await ask_silently(user, app))["error"] == "login_required"


async def test_a_hint_about_somebody_else_signs_nobody_out_unasked(
    world: World, user: BrowserUser, new_user: Callable[[], BrowserUser]
) -> None:
    app = world.app("health")
    login = await visit(world, user, app)
    budi = new_user()
    await visit(world, budi, app, who="budi")
    await end_session(budi, app, id_token_hint=hint(login), post_logout_redirect_uri=HOME)
    assert budi.page.has("logout-yes")
    assert "code" in await ask_silently(budi, app)


async def test_an_address_that_is_not_registered_is_never_gone_to(world: World, user: BrowserUser) -> None:
    app = world.app("health")
    login = await visit(world, user, app)
    await end_session(user, app, id_token_hint=hint(login), post_logout_redirect_uri="https://elsewhere.test/")
    assert not user.is_at_app
    assert user.page.status == 400
    assert "code" in await ask_silently(user, app)


async def test_offline_access_outlives_the_session_until_the_app_revokes_it(world: World, user: BrowserUser) -> None:
    app = world.app("health")
    login = await visit(world, user, app, scope=f"{HEALTH_SCOPE} offline_access")
    await end_session(user, app, id_token_hint=hint(login), post_logout_redirect_uri=HOME)
    fresh = await app.refresh(login.refresh_token)
    assert await userinfo(app, fresh["access_token"])
    assert (await app.revoke(fresh["refresh_token"])).status_code == 200
    with pytest.raises(OAuthError) as refused:
        await app.refresh(fresh["refresh_token"])
    assert refused.value.error == "invalid_grant"
    assert (await app.userinfo(fresh["access_token"])).status_code == 401
