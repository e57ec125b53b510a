"""A consent that is taken back: everything that rested on it is dead in the next request, one test for each kind."""

from dataclasses import dataclass

import pytest
from authlib.integrations.base_client import OAuthError

from tests.journeys.visiting import HEALTH_SCOPE, ask_silently, statuses, userinfo, visit, withdraw
from tests.support.browser_user import BrowserUser
from tests.support.clock import FakeClock
from tests.support.relying_party import Login, RelyingParty
from tests.support.world import World

pytestmark = pytest.mark.anyio

SCOPE = f"{HEALTH_SCOPE} offline_access"


@dataclass
class Withdrawn:
    """A citizen who agreed for two apps and took one agreement back."""

    user: BrowserUser
    health: RelyingParty
    login: Login
    population: RelyingParty
    other: Login


@pytest.fixture
async def withdrawn(world: World, user: BrowserUser, clock: FakeClock) -> Withdrawn:
    """Every token worked a moment ago."""
    health, population = world.app("health"), world.app("population")
    login = await visit(world, user, health, scope=SCOPE)
    other = await visit(world, user, population, scope=world.scope("population"))
    await userinfo(health, login.access_token)
    assert (await health.introspect(login.access_token))["active"] is True
    assert (await health.introspect(login.refresh_token))["active"] is True
    assert "code" in await ask_silently(user, health, scope=SCOPE)
    await withdraw(user, "Sehat Bersama")
    return Withdrawn(user, health, login, population, other)


async def test_the_access_token_is_dead_at_userinfo(withdrawn: Withdrawn) -> None:
    answer = await withdrawn.health.userinfo(withdrawn.login.access_token)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_the_access_token_is_dead_at_introspection(withdrawn: Withdrawn) -> None:
    assert await withdrawn.health.introspect(withdrawn.login.access_token) == {"active": False}


async def test_the_refresh_token_is_dead(withdrawn: Withdrawn) -> None:
    assert await withdrawn.health.introspect(withdrawn.login.refresh_token) == {"active": False}
    with pytest.raises(OAuthError) as refused:
        await withdrawn.health.refresh(withdrawn.login.refresh_token)
    assert refused.value.error == "invalid_grant"


async def test_a_code_that_is_still_on_its_way_is_dead(world: World, user: BrowserUser) -> None:
    app = world.app("health")
    await visit(world, user, app)
    on_its_way = await ask_silently(user, app)
    await withdraw(user, "Sehat Bersama")
    with pytest.raises(OAuthError) as refused:
        await app.finish(on_its_way)
    assert refused.value.error == "invalid_grant"


async def test_asking_silently_is_told_that_consent_is_required(withdrawn: Withdrawn) -> None:
    answer = await ask_silently(withdrawn.user, withdrawn.health, scope=SCOPE)
    assert answer["error"] == "consent_required"


async def test_the_next_login_asks_anew_and_then_all_works_again(withdrawn: Withdrawn) -> None:
    user, health = withdrawn.user, withdrawn.health
    await user.open(await health.authorization_url(scope=SCOPE))
    assert user.page.path == "/consent"
    await user.allow(items={"gender"})
    again = await health.finish(user.callback_parameters)
    assert again.sub == withdrawn.login.sub
    assert (await userinfo(health, again.access_token))["gender"] == "female"
    # What died stays dead: the new agreement is not the old one.
    assert (await health.userinfo(withdrawn.login.access_token)).status_code == 401
    await user.open("/my/consents")
    assert statuses(user) == ["given", "given", "withdrawn"]


async def test_the_other_apps_agreement_is_untouched(withdrawn: Withdrawn) -> None:
    await userinfo(withdrawn.population, withdrawn.other.access_token)
    assert (await withdrawn.population.refresh(withdrawn.other.refresh_token))["access_token"]
