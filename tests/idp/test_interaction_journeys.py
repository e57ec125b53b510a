"""From an app's request to its answer, through the pages, on both databases."""

import pytest
from sqlalchemy import select

from idp.audit import AuditEvent
from idp.interaction.models import Interaction
from idp.provider import Provider
from tests.idp.authorize_world import PASSWORD, World, make_world
from tests.idp.consent_page import agreed, at_consent
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
    assert (consent.granted, consent.refused) == (["email", "name"], ["gender"])
    assert [event.kind for event in await world.events()] == ["granted"]
    async with world.provider.database.reading() as session:
        kinds = set(await session.scalars(select(AuditEvent.kind)))
    assert kinds == {"login.succeeded", "consent.granted"}


async def test_a_second_visit_asks_nothing(world: World, user: BrowserUser) -> None:
    await agreed(world, user)
    user.requests.clear()
    await user.open(world.address(state="again"))
    assert user.callback_parameters["state"] == "again"
    assert len(user.requests) == 1


async def test_nothing_optional_is_ticked_beforehand(world: World, user: BrowserUser) -> None:
    await at_consent(world, user)
    assert {field.value: field.checked for field in user.page.form_with("allow").fields if field.name == "item"} == {
        "email": False,
        "gender": False,
    }
    await user.allow()
    (consent,) = await world.consents()
    assert (consent.granted, consent.refused) == (["name"], ["email", "gender"])


async def test_a_refusal_is_recorded_and_told_to_the_app(world: World, user: BrowserUser) -> None:
    await at_consent(world, user)
    await user.deny()
    answer = user.callback_parameters
    assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", "st4te", "https://idp.test")
    assert await world.authorizations() == []
    (consent,) = await world.consents()
    assert consent.status == "refused"
    assert consent.subject_ref is not None
    await user.open(world.address())
    assert user.page.path == "/consent/answered", "a no is not asked about again at once"


async def test_the_answer_can_come_by_form_post(world: World, user: BrowserUser) -> None:
    await agreed(world, user, response_mode="form_post")
    assert user.form_post is not None
    assert user.form_post.keys() == {"code", "state", "iss"}


async def test_offline_access_is_agreed_to_on_the_page(world: World, user: BrowserUser) -> None:
    await agreed(world, user, scope="openid profile email offline_access")
    (consent,) = await world.consents()
    (authorization,) = await world.authorizations()
    assert consent.offline_access
    assert authorization.offline


async def test_asking_for_more_asks_for_all_and_keeps_what_was_given(world: World, user: BrowserUser) -> None:
    await at_consent(world, user, scope="openid email")
    await user.allow(items={"email"})
    world.clock.advance(1)
    await user.open(world.address(scope="openid profile"))
    assert user.page.path == "/consent"
    ticked = {field.value: field.checked for field in user.page.form_with("allow").fields if field.name == "item"}
    assert ticked == {"email": True, "gender": False}
    await user.allow()
    assert [consent.status for consent in await world.consents()] == ["superseded", "given"]
    assert (await world.consents())[1].granted == ["email", "name"]
    await user.open(world.address(scope="openid email"))
    assert "code" in user.callback_parameters


# --- prompts ---


@pytest.mark.threat("N68")
async def test_prompt_login_asks_for_the_password_though_somebody_is_signed_in(world: World, user: BrowserUser) -> None:
    await agreed(world, user)
    world.clock.advance(minutes=5)
    await user.open(world.address(prompt="login"))
    assert user.page.path == "/login"
    interaction = user.page.url.params["interaction"]
    for page in ("consent", "select-account", "login"):
        await user.open(f"/{page}?interaction={interaction}")
        assert user.page.path == "/login"
    await user.log_in("siti", PASSWORD)
    assert "code" in user.callback_parameters
    first, second = await world.authorizations()
    assert first.session_id == second.session_id
    assert (second.auth_time - first.auth_time).total_seconds() == 301


async def test_prompt_consent_asks_again_and_the_new_decision_counts(world: World, user: BrowserUser) -> None:
    await agreed(world, user)
    await user.open(world.address(prompt="consent"))
    assert user.page.path == "/consent"
    await user.allow(items=set())
    assert "code" in user.callback_parameters
    old, new = await world.consents()
    assert (old.status, new.status, new.granted) == ("superseded", "given", ["name"])
    assert (await world.authorizations())[1].consent_id == new.id


async def test_select_account_goes_on_as_the_person_who_is_there(world: World, user: BrowserUser) -> None:
    await agreed(world, user)
    await user.open(world.address(prompt="select_account"))
    assert user.page.path == "/select-account"
    assert "Siti" in user.page.text
    await user.press("continue")
    assert "code" in user.callback_parameters


async def test_select_account_can_become_somebody_else(world: World, user: BrowserUser) -> None:
    await agreed(world, user)
    await user.open(world.address(prompt="select_account"))
    await user.press("other")
    assert user.page.path == "/login"
    await user.log_in("budi", PASSWORD)
    assert user.page.path == "/consent"
    await user.allow()
    _, second = await world.authorizations()
    assert second.account_id == world.budi


async def test_wanting_another_account_signs_nobody_out(world: World, user: BrowserUser) -> None:
    await agreed(world, user)
    await user.open(world.address(prompt="select_account"))
    await user.press("other")
    await user.open(world.address(prompt="none"))
    assert "code" in user.callback_parameters


@pytest.mark.threat("N71")
async def test_a_login_that_is_too_old_is_asked_for_again(world: World, user: BrowserUser) -> None:
    await agreed(world, user)
    world.clock.advance(119)
    await user.open(world.address(max_age="120"))
    assert "code" in user.callback_parameters
    await user.open(world.address(max_age="119"))
    assert user.page.path == "/login"
    await user.log_in("siti", PASSWORD)
    assert "code" in user.callback_parameters


@pytest.mark.threat("N69")
async def test_a_login_as_another_person_than_the_expected_is_refused(world: World, user: BrowserUser) -> None:
    subject = world.provider.subjects.sub_for(world.siti, world.client)
    await user.open(world.address(claims=f'{{"id_token":{{"sub":{{"value":"{subject}"}}}}}}'))
    await user.log_in("budi", PASSWORD)
    assert user.callback_parameters["error"] == "login_required"
    assert await world.authorizations() == []


# --- languages ---


async def test_the_page_and_its_record_are_in_the_language_that_the_app_asks_for(
    world: World, user: BrowserUser
) -> None:
    await at_consent(world, user, ui_locales="xx en")
    assert user.page.document.language == "en"
    assert "A visit" in user.page.text
    await user.allow()
    (event,) = await world.events()
    assert event.language == "en"


async def test_a_language_chosen_on_the_page_stays(world: World, user: BrowserUser) -> None:
    await at_consent(world, user)
    assert user.page.document.language == "id"
    await user.open(f"{user.page.url}&lang=en")
    assert user.page.document.language == "en"
    await user.allow()
    (event,) = await world.events()
    assert event.language == "en"


# --- pages of ours ---


@pytest.mark.threat("N90")
@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/my/consents", "/my/consents"),
        ("https://evil.test/", "/"),
        ("//evil.test/my/", "/"),
        ("/my/../authorize", "/"),
    ],
)
async def test_a_login_for_one_of_our_pages_leads_back_there_and_nowhere_else(
    world: World, user: BrowserUser, wanted: str, reached: str
) -> None:
    await user.open("/sign-in", to=wanted)
    assert user.page.path == "/login"
    await user.log_in("siti", PASSWORD)
    assert user.page.path == reached
    assert user.page.url.host == "idp.test"
    assert await world.count(Interaction) == 1
