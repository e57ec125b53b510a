"""prompt, max_age, login_hint, ui_locales, acr: who is asked what, and in which language."""

import json

import pytest

from tests.journeys.visiting import HEALTH_SCOPE, ask_silently, userinfo, visit
from tests.support.browser_user import BrowserUser
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.relying_party import AuthorizationRefused
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def test_asking_silently_says_what_is_missing_and_shows_no_page(world: World, user: BrowserUser) -> None:
    health, population = world.app("health"), world.app("population")
    assert (await ask_silently(user, health))["error"] == "login_required"
    await visit(world, user, health)
    assert (await ask_silently(user, population, scope="openid profile"))["error"] == "consent_required"
    before = len(user.requests)
    assert "code" in await ask_silently(user, health)
    assert len(user.requests) - before == 1


async def test_prompt_login_asks_for_the_password_again(world: World, user: BrowserUser, clock: FakeClock) -> None:
    app = world.app("health")
    first = await visit(world, user, app)
    cookie = user.client.cookies["__Host-session"]
    clock.advance(100)
    await user.open(await app.authorization_url(scope=HEALTH_SCOPE, prompt="login"))
    assert user.page.path == "/login"
    await user.log_in("siti", world.password("siti"))
    again = await app.finish(user.callback_parameters)
    assert again.sub == first.sub
    assert again.claims["auth_time"] == first.claims["auth_time"] + 100
    assert user.client.cookies["__Host-session"] != cookie


@only_sqlite
async def test_prompt_consent_asks_again_and_the_new_answer_counts(world: World, user: BrowserUser) -> None:
    app = world.app("health")
    earlier = await visit(world, user, app, items={"gender", "address"})
    await user.open(await app.authorization_url(scope=HEALTH_SCOPE, prompt="consent"))
    assert user.page.path == "/consent"
    ticked = {field.value for field in user.page.form_with("allow").fields if field.checked}
    assert ticked == {"gender", "address"}
    await user.allow(items={"address"})
    again = await app.finish(user.callback_parameters)
    # What is refused now is gone from the token of before too, which otherwise goes on.
    for token in (again.access_token, earlier.access_token):
        data = await userinfo(app, token)
        assert "address" in data
        assert "gender" not in data


@only_sqlite
async def test_prompt_select_account_lets_the_person_change(world: World, user: BrowserUser) -> None:
    app = world.app("health")
    siti = await visit(world, user, app)
    await user.open(await app.authorization_url(scope=HEALTH_SCOPE, prompt="select_account"))
    assert user.page.path == "/select-account"
    assert user.page.document.text_by_id["account"] == "Siti Rahayu"
    await user.press("continue")
    assert (await app.finish(user.callback_parameters)).sub == siti.sub

    await user.open(await app.authorization_url(scope=HEALTH_SCOPE, prompt="select_account"))
    await user.press("other")
    assert user.page.path == "/login"
    await user.log_in("budi", world.password("budi"))
    await user.allow(items=())
    budi = await app.finish(user.callback_parameters)
    assert budi.sub != siti.sub
    assert (await app.userinfo(budi.access_token)).json()["name"] == "Budi Santoso"


@only_sqlite
@pytest.mark.parametrize(("max_age", "asks"), [("50", True), ("100", False), ("0", True)])
async def test_max_age_is_kept(world: World, user: BrowserUser, clock: FakeClock, max_age: str, asks: bool) -> None:
    app = world.app("health")
    await visit(world, user, app)
    clock.advance(100)
    await user.open(await app.authorization_url(scope=HEALTH_SCOPE, max_age=max_age))
    assert user.is_at_app is not asks
    if asks:
        await user.log_in("siti", world.password("siti"))
    login = await app.finish(user.callback_parameters)
    assert clock().timestamp() - login.claims["auth_time"] <= max(int(max_age), 1)


@only_sqlite
async def test_a_login_hint_fills_in_the_username(world: World, user: BrowserUser) -> None:
    await user.open(await world.app("health").authorization_url(login_hint="siti"))
    (field,) = [field for field in user.page.form_with("continue").fields if field.name == "username"]
    assert field.value == "siti"
    assert user.page.document.language == "id"


@only_sqlite
@pytest.mark.parametrize(("asked", "language"), [("en", "en"), ("fr en id", "en"), ("id en", "id"), ("fr", "id")])
async def test_ui_locales_choose_the_language_of_every_page(
    world: World, user: BrowserUser, asked: str, language: str
) -> None:
    await user.open(await world.app("health").authorization_url(ui_locales=asked))
    assert user.page.document.language == language
    await user.log_in("siti", world.password("siti"))
    assert user.page.document.language == language
    name = {"id": "Mendaftar kunjungan ke puskesmas", "en": "Register a visit to a health centre"}[language]
    assert name in user.page.text


@only_sqlite
async def test_an_essential_acr_is_reached_or_refused(world: World, user: BrowserUser) -> None:
    app = world.app("health")
    reachable = (await app.metadata())["acr_values_supported"]

    def wishes(values: list[str]) -> str:
        return json.dumps({"id_token": {"acr": {"essential": True, "values": values}}})

    login = await visit(world, user, app, claims=wishes(reachable))
    assert login.claims["acr"] in reachable
    await user.open(await app.authorization_url(scope=HEALTH_SCOPE, claims=wishes(["urn:example:unreachable"])))
    with pytest.raises(AuthorizationRefused, match="unmet_authentication_requirements"):
        await app.finish(user.callback_parameters)


@only_sqlite
async def test_an_id_token_hint_insists_on_the_same_person(world: World, user: BrowserUser) -> None:
    app = world.app("health")
    siti = await visit(world, user, app)
    await user.open("/end_session")
    await user.press("logout-yes")
    await visit(world, user, app, who="budi")
    await user.open(await app.authorization_url(prompt="none", id_token_hint=str(siti.token["id_token"])))
    with pytest.raises(AuthorizationRefused, match="login_required"):
        await app.finish(user.callback_parameters)
