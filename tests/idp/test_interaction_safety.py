"""Whose page an interaction is, and what a decision that was tampered with counts for."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlencode

import httpx2
import pytest
from sqlalchemy import update

from idp.browser import SESSION_COOKIE
from idp.clients.models import Client
from idp.provider import Provider
from idp.tokens.codes import NewCode
from idp.tokens.models import Authorization
from tests.idp.authorize_world import PASSWORD, World, make_world
from tests.idp.consent_page import agreed, at_consent
from tests.support.browser_user import BrowserUser

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(provider: Provider) -> World:
    """An agency, a purpose, an app and two people."""
    return await make_world(provider)


# --- whose page it is ---


@pytest.mark.threat("N67", "N68")
async def test_an_interaction_cannot_be_opened_in_another_browser(
    world: World, new_user: Callable[[], BrowserUser]
) -> None:
    victim, thief = new_user(), new_user()
    await at_consent(world, victim)
    await agreed(world, thief, "budi")
    interaction = victim.page.url.params["interaction"]
    for page in ("login", "consent", "select-account"):
        await thief.open(f"/{page}?interaction={interaction}")
        assert thief.page.status == 403
    stranger = new_user()
    await stranger.open(f"/consent?interaction={interaction}")
    assert stranger.page.status == 403
    await victim.allow()
    assert "code" in victim.callback_parameters


@pytest.mark.threat("N67")
async def test_a_decision_that_did_not_come_from_our_page_counts_for_nothing(world: World, user: BrowserUser) -> None:
    await at_consent(world, user)
    form = user.page.form_with("allow")
    honest = {**dict(form.values()), "decision": "allow"}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    attempts: list[tuple[dict[str, str], dict[str, str]]] = [
        ({"csrf": ""}, {}),
        ({"csrf": "x" * 43}, {}),
        ({}, {"Origin": "https://evil.test"}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
    ]
    for fields, more in attempts:
        response = await user.client.post(
            "https://idp.test/consent", content=urlencode({**honest, **fields}), headers={**headers, **more}
        )
        assert response.status_code == 403
    assert await world.consents() == []
    assert await world.authorizations() == []


@pytest.mark.threat("N68", "N70")
async def test_a_tampered_decision_counts_for_nothing(world: World, user: BrowserUser) -> None:
    await at_consent(world, user)
    form = user.page.form_with("allow")
    honest = dict(form.values())
    tampered: list[list[tuple[str, str]]] = [
        [],
        [("decision", "")],
        [("decision", "maybe")],
        [("decision", "deny"), ("decision", "allow")],
        [("decision", "allow"), ("item", "address")],
        [("decision", "allow"), ("item", "urn:satupintu:claims:nik")],
        [("decision", "allow"), ("interaction", honest["interaction"])],
    ]
    for more in tampered:
        response = await user.client.post(
            "https://idp.test/consent",
            content=urlencode([*honest.items(), *more]),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert response.status_code == 400, more
    assert await world.consents() == []
    assert await world.authorizations() == []
    assert await world.events() == []


@pytest.mark.threat("N70")
async def test_what_is_needed_cannot_be_left_out_and_nothing_is_added(world: World, user: BrowserUser) -> None:
    await at_consent(world, user, scope="openid email")
    await user.allow(items={"email"})
    (consent,) = await world.consents()
    assert (consent.granted, consent.refused) == (["email"], [])


async def test_what_was_not_shown_is_shown_before_it_is_recorded(world: World, user: BrowserUser) -> None:
    await at_consent(world, user)
    changed = await world.new_version(retention_days=730)
    world.clock.advance(10)  # the newest version is looked up again after 5 s
    await user.allow(items={"email"})
    assert user.page.path == "/consent"
    assert await world.consents() == []
    ticked = {field.value: field.checked for field in user.page.form_with("allow").fields if field.name == "item"}
    assert ticked == {"email": True, "gender": False}
    await user.allow()
    (consent,) = await world.consents()
    assert consent.purpose_version_id == changed.id
    assert consent.granted == ["email", "name"]


@pytest.mark.threat("N68")
async def test_going_back_after_the_end_does_nothing(world: World, user: BrowserUser) -> None:
    await at_consent(world, user)
    page = user.page
    form = page.form_with("allow")
    sent = [*form.values(), ("decision", "allow")]
    await user.send(form, sent)
    assert "code" in user.callback_parameters
    for path in ("consent", "login", "select-account"):
        await user.open(f"/{path}?interaction={page.url.params['interaction']}")
        assert user.page.status == 400
    response = await user.client.post(
        "https://idp.test/consent",
        content=urlencode(sent),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert response.status_code == 400
    assert await world.count(Authorization) == 1
    assert len(await world.consents()) == 1


async def test_a_page_left_open_too_long_starts_anew(world: World, user: BrowserUser) -> None:
    await at_consent(world, user)
    world.clock.advance(minutes=31)
    await user.allow()
    assert user.page.status == 400
    assert await world.consents() == []


async def test_an_app_that_is_disabled_meanwhile_gets_nothing(world: World, user: BrowserUser) -> None:
    await at_consent(world, user)
    async with world.provider.database.transaction() as session:
        await session.execute(update(Client).values(status="disabled"))
    await user.allow()
    assert user.page.status == 400
    assert await world.consents() == []
    assert await world.authorizations() == []


@pytest.mark.threat("N68")
async def test_a_decision_after_signing_out_asks_to_log_in(world: World, user: BrowserUser) -> None:
    await at_consent(world, user)
    user.client.cookies.delete(SESSION_COOKIE)
    await user.allow()
    assert user.page.path == "/login"
    assert await world.consents() == []


async def test_two_posts_of_one_decision_make_one_consent_and_one_code(world: World, user: BrowserUser) -> None:
    await at_consent(world, user)
    sent = [*user.page.form_with("allow").values(), ("decision", "allow"), ("item", "email")]

    async def post() -> httpx2.Response:
        return await user.client.post(
            "https://idp.test/consent",
            content=urlencode(sent),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )

    statuses = sorted(response.status_code for response in await asyncio.gather(*(post() for _ in range(4))))
    assert statuses == [303, 400, 400, 400]
    assert len(await world.consents()) == 1
    assert len(await world.authorizations()) == 1
    assert len(await world.events()) == 1


async def test_a_code_that_cannot_be_written_leaves_no_consent(
    world: World, user: BrowserUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> NewCode:
        raise OSError("the disk is full")

    await at_consent(world, user)
    monkeypatch.setattr("idp.interaction.advance.new_code", broken)
    with pytest.raises(OSError, match="the disk is full"):
        await user.allow()
    assert await world.consents() == []
    assert await world.events() == []
    monkeypatch.undo()
    await user.allow()
    assert "code" in user.callback_parameters


async def test_the_person_who_logs_in_last_decides_for_themselves(world: World, user: BrowserUser) -> None:
    """A consent given by one person in an interaction does not answer for the next one who logs in in it."""
    await at_consent(world, user, prompt="login consent")
    page = user.page
    other_tab = BrowserUser(user.client, issuer="https://idp.test")
    await other_tab.open(world.address(prompt="login"))
    await other_tab.log_in("budi", PASSWORD)
    form = page.form_with("allow")
    await user.send(form, [*form.values(), ("decision", "allow")])
    assert user.page.path == "/login"
    assert await world.consents() == []
