"""The story of a citizen between two ministries' apps, from the first login to the day the purpose changes."""

from collections.abc import Callable

import pytest

from tests.journeys.visiting import HEALTH_SCOPE, NIK, VERIFIED, ask_silently, offered, statuses, userinfo, visit
from tests.support.browser_user import BrowserUser
from tests.support.clock import FakeClock
from tests.support.registrar import Registrar
from tests.support.relying_party import AuthorizationRefused
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def test_a_first_login_asks_and_the_app_gets_exactly_what_was_agreed(world: World, user: BrowserUser) -> None:
    app = world.app("health")
    await user.open(await app.authorization_url(scope=world.scope("health")))
    assert user.page.path == "/login"
    await user.log_in("siti", world.password("siti"))

    assert user.page.path == "/consent"
    for words in (
        "Sehat Bersama",
        "Kementerian Kesehatan",
        "Mendaftar kunjungan ke puskesmas",
        "UU 27/2022 pasal 20 ayat (2) huruf a",
        "Untuk mengingatkan jadwal lewat pesan",
        "Anda tetap dapat mendaftar langsung di loket puskesmas.",
        "pdp@kemenkes.example",
        "1 tahun",
        "180 hari",
    ):
        assert words in user.page.text
    assert offered(user) == ({"name", "birthdate", NIK}, {"phone_number", "gender", "address"})
    assert not any(field.checked for field in user.page.form_with("allow").fields)

    await user.allow(items={"phone_number"})
    login = await app.finish(user.callback_parameters)
    assert login.token["token_type"] == "Bearer"
    assert set(login.claims) == {
        "iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "amr", "sid", "at_hash", "nonce"
    }  # fmt: skip
    assert await userinfo(app, login.access_token) == {
        "sub": login.sub,
        "name": "Siti Rahayu",
        "birthdate": "1990-05-15",
        "phone_number": "+62 812-5550-0001",
        NIK: "9904035505900001",
    }


async def test_the_second_app_needs_no_password_but_an_agreement_of_its_own(world: World, user: BrowserUser) -> None:
    health, population = world.app("health"), world.app("population")
    first = await visit(world, user, health)
    await user.open(await population.authorization_url(scope=world.scope("population")))
    assert user.page.path == "/consent"
    assert "Kartu Keluargaku" in user.page.text
    await user.allow(items={VERIFIED})
    second = await population.finish(user.callback_parameters)
    assert second.claims["auth_time"] == first.claims["auth_time"]
    assert second.sub != first.sub
    assert second.claims["sid"] != first.claims["sid"]
    assert await userinfo(population, second.access_token) == {
        "sub": second.sub,
        "name": "Siti Rahayu",
        NIK: "9904035505900001",
        VERIFIED: True,
    }


async def test_a_second_visit_asks_nothing_and_is_one_redirect(world: World, user: BrowserUser) -> None:
    for name in ("health", "population"):
        app = world.app(name)
        first = await visit(world, user, app, scope=world.scope(name))
        before = len(user.requests)
        await user.open(await app.authorization_url(scope=world.scope(name)))
        again = await app.finish(user.callback_parameters)
        assert len(user.requests) - before == 1
        assert again.sub == first.sub
        assert again.claims["sid"] == first.claims["sid"]
        assert await userinfo(app, again.access_token) == await userinfo(app, first.access_token)


async def test_no_is_told_to_the_app_kept_and_asked_again_only_if_they_want(world: World, user: BrowserUser) -> None:
    app = world.app("health")
    await user.open(await app.authorization_url())
    await user.log_in("siti", world.password("siti"))
    await user.deny()
    with pytest.raises(AuthorizationRefused, match="access_denied"):
        await app.finish(user.callback_parameters)
    await user.open("/my/consents")
    assert statuses(user) == ["refused"]
    await user.open(await app.authorization_url())
    assert user.page.path == "/consent/answered"
    await user.press("anew")
    assert user.page.path == "/consent"


async def test_my_consents_shows_both_apps_with_the_exact_text_and_the_day(world: World, user: BrowserUser) -> None:
    await user.open(await world.app("health").authorization_url(scope=HEALTH_SCOPE))
    await user.log_in("siti", world.password("siti"))
    promised = user.page.document.text_by_id["withdrawal"], user.page.document.text_by_id["retention"]
    await user.allow(items={"gender"})
    await world.app("health").finish(user.callback_parameters)
    await visit(world, user, world.app("population"), scope=world.scope("population"))

    await user.open("/my/consents")
    assert "Sehat Bersama" in user.page.text
    assert "Kartu Keluargaku" in user.page.text
    (address,) = [href for href, text in user.page.document.links if text == "Sehat Bersama"]
    await user.open(address)
    shown = user.page.document.text_by_id["shown-text"]
    for sentence in promised:
        assert sentence in shown
    assert "Jenis kelamin" in user.page.document.text_by_id["granted"]
    assert "Nomor telepon" in user.page.document.text_by_id["refused"]


async def test_nobody_sees_another_persons_consents(
    world: World, user: BrowserUser, new_user: Callable[[], BrowserUser]
) -> None:
    await visit(world, user, world.app("health"))
    await user.open("/my/consents")
    (address,) = [href for href, text in user.page.document.links if text == "Sehat Bersama"]
    budi = new_user()
    await budi.open(address)
    assert budi.page.path == "/login"
    await budi.log_in("budi", world.password("budi"))
    assert budi.page.status == 404
    assert "Siti" not in budi.page.text
    await budi.open("/my/consents")
    assert budi.page.has("none-in-force")


async def test_apps_of_one_agency_know_a_person_by_one_sub_and_other_agencies_by_another(
    world: World, user: BrowserUser, registrar: Registrar
) -> None:
    neighbour = await registrar.app("kemenkes")
    health = await visit(world, user, world.app("health"))
    queue = await visit(world, user, neighbour)
    population = await visit(world, user, world.app("population"), scope=world.scope("population"))
    assert queue.sub == health.sub
    assert population.sub != health.sub
    assert len({login.claims["sid"] for login in (health, queue, population)}) == 3


async def test_a_new_version_of_the_purpose_is_asked_for_anew(
    world: World, user: BrowserUser, registrar: Registrar, clock: FakeClock
) -> None:
    app = world.app("health")
    await visit(world, user, app)
    clock.advance(10)
    await registrar.purpose(retention_days=730)
    clock.advance(10)
    assert (await ask_silently(user, app))["error"] == "consent_required"
    await user.open(await app.authorization_url(scope=HEALTH_SCOPE))
    assert user.page.path == "/consent"
    assert "2 tahun" in user.page.text
    await user.allow()
    await app.finish(user.callback_parameters)
    assert "code" in await ask_silently(user, app)
    await user.open("/my/consents")
    assert statuses(user) == ["given", "superseded"]
