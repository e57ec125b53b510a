"""Who said no, or paused it, is not worn down by asking again; and is asked at once when they want to be."""

from collections.abc import Callable

import pytest

from consent.decisions import pause
from idp.provider import Provider
from idp.settings import Settings
from tests.idp.authorize_world import PASSWORD, World, make_world
from tests.support.browser_user import BrowserUser

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(provider: Provider) -> World:
    """An agency, a purpose, an app and two people."""
    return await make_world(provider)


async def at_consent(world: World, user: BrowserUser, **changes: str | None) -> BrowserUser:
    """Siti, logged in, at the consent page."""
    await user.open(world.address(**changes))
    if user.page.path == "/login":
        await user.log_in("siti", PASSWORD)
    assert user.page.path == "/consent"
    return user


@pytest.fixture
async def denied(world: World, user: BrowserUser) -> BrowserUser:
    """Siti's browser, after she said no a minute ago."""
    await at_consent(world, user)
    await user.deny()
    world.clock.advance(60)
    return user


async def test_an_app_that_asks_again_gets_a_short_page_and_not_the_question(world: World, denied: BrowserUser) -> None:
    await denied.open(world.address())
    assert denied.page.path == "/consent/answered"
    assert not denied.page.has("allow")
    form = denied.page.form_with("anew")
    assert [button.id for button in form.buttons] == ["anew", "back-to-app"]


async def test_going_back_tells_the_app_that_it_was_denied_and_asks_nothing(world: World, denied: BrowserUser) -> None:
    await denied.open(world.address(state="again"))
    await denied.press("back-to-app")
    answer = denied.callback_parameters
    assert (answer["error"], answer["state"]) == ("access_denied", "again")
    assert [consent.status for consent in await world.consents()] == ["refused"]
    assert [event.kind for event in await world.events()] == ["refused"]


async def test_who_wants_to_be_asked_is_asked_in_the_next_step(world: World, denied: BrowserUser) -> None:
    await denied.open(world.address())
    await denied.press("anew")
    assert denied.page.path == "/consent"
    await denied.allow(items={"email"})
    assert "code" in denied.callback_parameters
    assert [consent.status for consent in await world.consents()] == ["refused", "given"]
    assert sorted(event.kind for event in await world.events()) == ["changed", "granted", "refused"]


async def test_asking_silently_is_told_that_consent_is_required(world: World, denied: BrowserUser) -> None:
    await denied.open(world.address(prompt="none"))
    assert denied.callback_parameters["error"] == "consent_required"


@pytest.mark.parametrize("changes", [{"scope": "openid email"}, {"prompt": "consent"}, {"scope": "openid profile"}])
async def test_asking_for_less_or_with_a_prompt_is_asking_again(
    world: World, denied: BrowserUser, changes: dict[str, str]
) -> None:
    await denied.open(world.address(**changes))
    assert denied.page.path == "/consent/answered"


async def test_the_no_is_forgotten_after_the_time_that_the_page_says(world: World, denied: BrowserUser) -> None:
    world.clock.advance(days=90, seconds=-61)
    await denied.open(world.address())
    if denied.page.path == "/login":
        await denied.log_in("siti", PASSWORD)
    assert denied.page.path == "/consent/answered"
    world.clock.advance(1)
    await denied.open(world.address())
    assert denied.page.path == "/consent"


async def test_a_new_version_of_the_purpose_is_a_new_question(world: World, denied: BrowserUser) -> None:
    await world.new_version(retention_days=30)
    world.clock.advance(60)
    await denied.open(world.address())
    assert denied.page.path == "/consent"


async def test_a_no_to_more_keeps_what_is_covered_and_the_next_question_for_more_away(
    world: World, user: BrowserUser
) -> None:
    await at_consent(world, user, scope="openid email")
    await user.allow(items={"email"})
    world.clock.advance(1)
    await at_consent(world, user, scope="openid email profile")
    await user.deny()
    world.clock.advance(1)
    await user.open(world.address(scope="openid email profile"))
    assert user.page.path == "/consent/answered"
    await user.open(world.address(scope="openid email"))
    assert "code" in user.callback_parameters, "what was agreed to is not asked about"


async def test_anothers_no_is_nobody_elses(
    world: World, denied: BrowserUser, new_user: Callable[[], BrowserUser]
) -> None:
    other = new_user()
    await other.open(world.address())
    await other.log_in("budi", PASSWORD)
    assert other.page.path == "/consent"


async def test_the_same_form_sent_twice_does_one_thing(world: World, denied: BrowserUser) -> None:
    await denied.open(world.address())
    form = denied.page.form_with("anew")
    pairs = [*form.values(), ("choice", "anew")]
    page = denied.page
    await denied.send(form, pairs)
    denied._page = page
    await denied.send(form, pairs)
    assert denied.page.path == "/consent"
    assert [event.kind for event in await world.events()] == ["refused", "changed"]


@pytest.mark.threat(67)
async def test_a_forged_form_lifts_nothing(world: World, denied: BrowserUser) -> None:
    await denied.open(world.address())
    await denied.press("anew", without={"csrf"})
    assert denied.page.status in {400, 403}
    assert [event.kind for event in await world.events()] == ["refused"]


@pytest.mark.parametrize("choice", ["", "allow"])
async def test_a_choice_that_is_none_changes_nothing(world: World, denied: BrowserUser, choice: str) -> None:
    await denied.open(world.address())
    form = denied.page.form_with("anew")
    await denied.send(form, [*form.values(), ("choice", choice)])
    assert denied.page.status == 400
    assert [event.kind for event in await world.events()] == ["refused"]


async def test_the_page_is_nobodys_turn_without_a_no(world: World, user: BrowserUser) -> None:
    await at_consent(world, user)
    interaction = user.page.url.params["interaction"]
    await user.open(f"/consent/answered?interaction={interaction}")
    assert user.page.path == "/consent"


# --- paused ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def paused(world: World, user: BrowserUser) -> BrowserUser:
    """Siti's browser, after she paused what she had agreed to."""
    await at_consent(world, user)
    await user.allow(items={"email"})
    (consent,) = await world.consents()
    async with world.provider.database.transaction() as session:
        await pause(
            session,
            consent_id=consent.id,
            subject_id=world.siti,
            now=world.clock.advance(60),
            entropy=world.provider.entropy,
        )
    return user


async def test_what_is_paused_is_not_asked_about_but_said(world: World, paused: BrowserUser) -> None:
    await paused.open(world.address())
    assert paused.page.path == "/consent/answered"
    assert 'data-answered="paused"' in paused.page.response.text
    await paused.press("back-to-app")
    assert paused.callback_parameters["error"] == "access_denied"
    await paused.open(world.address(prompt="none"))
    assert paused.callback_parameters["error"] == "consent_required"


async def test_going_on_with_it_goes_straight_to_the_app(world: World, paused: BrowserUser) -> None:
    await paused.open(world.address())
    await paused.press("anew")
    assert "code" in paused.callback_parameters
    (consent,) = await world.consents()
    assert consent.status == "given"
    assert sorted(event.kind for event in await world.events()) == ["granted", "paused", "resumed"]


async def test_what_was_paused_until_its_end_is_asked_about_anew(world: World, paused: BrowserUser) -> None:
    world.clock.advance(days=90)
    await paused.open(world.address())
    await paused.log_in("siti", PASSWORD)
    assert paused.page.path == "/consent"


# --- settings --------------------------------------------------------------------------------------------------------


class TestWhereANoIsNotRemembered:
    """An operator may turn it off."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """No time."""
        return settings.model_copy(update={"refusal_remembered_days": 0})

    async def test_the_question_comes_again(self, world: World, denied: BrowserUser) -> None:
        await denied.open(world.address())
        assert denied.page.path == "/consent"
