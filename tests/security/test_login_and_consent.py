"""N66 to N69 and N71: nobody is signed in as somebody else, or gets past a step that is theirs to take."""

import json
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

import httpx2
import pytest
from sqlalchemy import func, select

from consent.models import ConsentRecord
from idp.accounts.directory import set_password
from idp.browser import BROWSER_COOKIE, SESSION_COOKIE
from idp.login.factors.verified import ACR_PASSWORD
from tests.security.stage import FORM, PASSWORD, Stage, is_a_page_only
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.html import Form
from tests.support.token_world import App, claims_in

pytestmark = [pytest.mark.anyio, only_sqlite]

NewUser = Callable[[], BrowserUser]

NIK: Final = "urn:satupintu:claims:nik"


async def decisions_made(stage: Stage) -> int:
    async with stage.provider.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(ConsentRecord)) or 0


async def is_signed_in(stage: Stage, new_user: NewUser, cookie: str | None) -> bool:
    """Whether a browser with this session cookie is somebody's."""
    browser = new_user()
    assert cookie is not None
    browser.client.cookies.set(SESSION_COOKIE, cookie, domain="idp.test", path="/")
    await browser.open("/")
    return "Siti" in browser.page.text or "Budi" in browser.page.text


# --- N66 ---


@pytest.mark.threat("N66")
async def test_no_session_cookie_from_before_a_login_or_logout_is_worth_anything_after_it(
    stage: Stage, web_app: App, user: BrowserUser, new_user: NewUser
) -> None:
    planted = "P" * 43
    user.client.cookies.set(SESSION_COOKIE, planted, domain="idp.test", path="/")
    await stage.begin(user, web_app)
    await user.log_in("siti", PASSWORD)
    first = user.client.cookies.get(SESSION_COOKIE, domain="idp.test")
    await stage.begin(user, web_app, prompt="login")
    await user.log_in("siti", PASSWORD)
    second = user.client.cookies.get(SESSION_COOKIE, domain="idp.test")
    await stage.begin(user, web_app, prompt="login")
    await user.log_in("budi", PASSWORD)
    third = user.client.cookies.get(SESSION_COOKIE, domain="idp.test")
    assert len({planted, first, second, third}) == 4
    for dead in (planted, first, second):
        assert not await is_signed_in(stage, new_user, dead)
    assert await is_signed_in(stage, new_user, third)
    await user.open("/end_session")
    await user.press("logout-yes")
    assert not await is_signed_in(stage, new_user, third)


@pytest.mark.threat("N66")
async def test_a_new_password_ends_every_session(stage: Stage, user: BrowserUser, new_user: NewUser) -> None:
    await stage.sign_in(user)
    cookie = user.client.cookies.get(SESSION_COOKIE)
    other = await stage.provider.passwords.hash("sandi-lain-yang-panjang")
    account_id = await stage.account("siti")
    async with stage.provider.database.transaction() as session:
        await set_password(session, account_id, password_hash=other, now=stage.clock())
    assert not await is_signed_in(stage, new_user, cookie)


# --- N67, N68: whose form, and whose turn ---


async def at_every_form(stage: Stage, app: App, user: BrowserUser) -> list[tuple[httpx2.URL, Form, str, str]]:
    """Each kind of form that we have, filled in and ready to be sent: address, form, and the button's name and value.

    All at once in one browser, so that every one of them would succeed if it were sent as it is.
    """
    found = []

    def take(button: str, **typed: str) -> None:
        form = user.page.form_with(button)
        for field in form.fields:
            field.value = typed.get(field.id, field.value)
        pressed = next(one for one in form.buttons if one.id == button)
        found.append((user.page.url.join(form.action), form, pressed.name, pressed.value))

    await stage.code(user, app)
    await user.open("/my/consents")
    address = next(link for link, _ in user.page.document.links if link.startswith("/my/consents/"))
    await user.open(address)
    take("withdraw")
    await stage.begin(user, app, prompt="consent")
    take("allow")
    await stage.begin(user, app, prompt="select_account")
    take("continue")
    await stage.begin(user, app, prompt="login")
    take("continue", username="budi", password=PASSWORD)
    await user.open("/end_session")
    take("logout-yes")
    return found


@pytest.mark.threat("N67")
async def test_no_form_of_ours_is_accepted_from_another_site_or_browser(
    stage: Stage, web_app: App, user: BrowserUser, new_user: NewUser
) -> None:
    forms = await at_every_form(stage, web_app, user)
    attacker = new_user()
    await stage.sign_in(attacker, "budi")
    before = (await stage.issued(), await decisions_made(stage), await stage.sessions_alive())
    browser = user.client.cookies.get(BROWSER_COOKIE)
    for url, form, name, value in forms:
        honest = dict([*form.values(), *([(name, value)] if name else [])])
        for fields, headers in (
            ({"csrf": ""}, {}),
            ({"csrf": "x" * 43}, {}),
            ({"csrf": honest["csrf"][:-1]}, {}),
            ({}, {"Origin": "https://evil.test"}),
            ({}, {"Origin": "https://idp.test.evil.test"}),
            ({}, {"Origin": "http://idp.test"}),
            ({}, {"Origin": "null"}),
            ({}, {"Origin": "null", "Sec-Fetch-Site": "cross-site"}),
            ({}, {"Sec-Fetch-Site": "cross-site"}),
            ({}, {"Sec-Fetch-Site": "same-site"}),
        ):
            sent = urlencode({**honest, **fields})
            answer = await user.client.post(url, content=sent, headers={**FORM, **headers}, follow_redirects=False)
            assert answer.status_code == 403, (url.path, fields, headers)
        for stranger in (attacker, new_user()):
            answer = await stranger.client.post(url, content=urlencode(honest), headers=FORM, follow_redirects=False)
            assert answer.status_code in {303, 403}, url.path
            if answer.status_code == 303:  # nobody is signed in there: to the login
                assert answer.headers["location"].startswith("/sign-in"), url.path
    assert (await stage.issued(), await decisions_made(stage), await stage.sessions_alive()) == before
    assert user.client.cookies.get(BROWSER_COOKIE) == browser
    assert len(forms) == 5


@pytest.mark.threat("N67")
async def test_an_interactions_address_is_worth_nothing_in_another_browser(
    stage: Stage, web_app: App, user: BrowserUser, new_user: NewUser
) -> None:
    """Dex once gave the code to whoever polled the address of the approval page."""
    await stage.begin(user, web_app)
    await user.log_in("siti", PASSWORD)
    interaction = user.page.url.params["interaction"]
    known = new_user()
    await stage.sign_in(known, "budi")
    for thief in (known, new_user()):
        for path in ("/login", "/consent", "/select-account"):
            await thief.open(f"{path}?interaction={interaction}")
            assert is_a_page_only(thief.page.response), path
            assert "Siti" not in thief.page.text
    await user.allow()
    for thief in (known, user):
        await thief.open(f"/consent?interaction={interaction}")
        assert is_a_page_only(thief.page.response), "a finished interaction gives nothing to anybody"


@pytest.mark.threat("N68")
async def test_no_step_can_be_skipped_repeated_or_taken_out_of_order(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    await stage.begin(user, web_app, prompt="login consent select_account")
    login_form = user.page.form_with("continue")
    hidden = dict(login_form.values())
    interaction = hidden["interaction"]
    for path, extra in (
        ("/consent", {"decision": "allow", "shown": "0" * 64}),
        ("/select-account", {"choice": "continue"}),
        ("/login", {}),
        ("/login", {"username": "siti"}),
        ("/login", {"username": "", "password": ""}),
    ):
        sent = {**{name: value for name, value in hidden.items() if name in {"interaction", "csrf"}}, **extra}
        answer = await user.client.post(f"https://idp.test{path}", data=sent, follow_redirects=False)
        location = answer.headers.get("location", "")
        assert answer.status_code == 400 or location == f"/login?interaction={interaction}", (path, answer.status_code)
        empty = await user.client.post(f"https://idp.test{path}", data={}, follow_redirects=False)
        assert is_a_page_only(empty), path
    assert await stage.sessions_alive() == 0
    assert await stage.issued() == (0, 0)
    await user.open(f"/login?interaction={interaction}")
    await user.log_in("siti", PASSWORD)
    form = user.page.form_with("allow")
    honest = dict(form.values())
    for changes in (
        {"interaction": "x" * 43},
        {"shown": "0" * 64},
        {"shown": ""},
        {"decision": "yes"},
        {"decision": ""},
        {"item": NIK + "x"},
        {"item": "sub"},
    ):
        sent = {**honest, "decision": "allow", **changes}
        answer = await user.client.post("https://idp.test/consent", data=sent, follow_redirects=False)
        assert answer.status_code in {200, 400, 403}, changes
        assert "location" not in answer.headers, changes
    assert await decisions_made(stage) == 0
    assert await stage.issued() == (0, 0)
    allow = {**honest, "decision": "allow"}
    done = await user.client.post("https://idp.test/consent", data=allow, follow_redirects=False)
    assert done.status_code == 303
    again = await user.client.post("https://idp.test/consent", data=allow, follow_redirects=False)
    assert is_a_page_only(again), "back, and the button once more"
    assert await decisions_made(stage) == 1
    assert (await stage.issued())[0] == 1


@pytest.mark.threat("N68")
async def test_what_the_app_asked_for_cannot_be_changed_on_the_way(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    """The request is kept on the server: parameters that are added to a page's address or form say nothing."""
    more = {
        "redirect_uri": "https://evil.test/cb",
        "client_id": "evil",
        "scope": "openid identity",
        "response_type": "code token",
        "code_challenge": "",
        "max_age": "0",
    }
    await stage.begin(user, web_app)
    await user.open(f"/login?{urlencode({**more, 'interaction': user.page.url.params['interaction']})}")
    form = user.page.form_with("continue")
    await user.send(form, [*form.values(), *more.items()][2:] + form.values()[:2])
    await user.open(f"/login?{urlencode({**more, 'interaction': dict(form.values())['interaction']})}")
    await user.log_in("siti", PASSWORD)
    form = user.page.form_with("allow")
    await user.send(form, [*form.values(), ("decision", "allow"), *more.items()])
    assert str(user.callback).startswith(f"{web_app.redirect_uri}?code=")
    tokens = (await stage.world.redeem(web_app, user.callback_parameters["code"])).json()
    assert set(tokens["scope"].split()) == {"openid", "profile", "email"}


# --- N69: prompt=none ---


@pytest.mark.threat("N69")
async def test_prompt_none_is_refused_whenever_a_person_would_be_needed_and_shows_no_page(
    stage: Stage, web_app: App, user: BrowserUser, new_user: NewUser
) -> None:
    tokens = await stage.tokens(user, web_app)
    budis = await stage.tokens(new_user(), web_app, "budi")
    await stage.begin(user, web_app, prompt="none")
    assert "code" in user.callback_parameters, "what is covered is answered"
    before = await stage.issued()
    purpose = {"type": "satupintu_purpose", "purpose": "kunjungan", "datatypes": [NIK]}
    stage.clock.advance(100)
    for changes, error in (
        ({"scope": "openid profile email identity"}, "consent_required"),
        ({"scope": "openid profile email offline_access"}, "consent_required"),
        ({"claims": json.dumps({"userinfo": {NIK: {"essential": True}}})}, "consent_required"),
        ({"claims": json.dumps({"id_token": {NIK: None}})}, "consent_required"),
        ({"authorization_details": json.dumps([purpose])}, "consent_required"),
        ({"id_token_hint": budis["id_token"]}, "login_required"),
        ({"claims": json.dumps({"id_token": {"sub": {"value": "somebody else"}}})}, "login_required"),
        ({"max_age": "99"}, "login_required"),
        ({"max_age": "0"}, "login_required"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "none consent"}, "invalid_request"),
        ({"prompt": "none none consent"}, "invalid_request"),
    ):
        await stage.begin(user, web_app, **{"prompt": "none", **changes})
        assert user.callback_parameters["error"] == error, changes
        assert "code" not in user.callback_parameters
    await stage.begin(new_user(), web_app, prompt="none", id_token_hint=tokens["id_token"])
    stranger = new_user()
    await stage.begin(stranger, web_app, prompt="none", login_hint="siti", id_token_hint=tokens["id_token"])
    assert stranger.callback_parameters["error"] == "login_required"
    assert await stage.issued() == before


# --- N71: how surely and how lately ---


@pytest.mark.threat("N71")
async def test_a_stronger_or_fresher_login_than_there_was_is_never_claimed(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    tokens = await stage.tokens(user, web_app, acr_values="urn:satupintu:acr:passkey phr")
    assert claims_in(tokens["id_token"])["acr"] == ACR_PASSWORD, "what was asked for is no proof"
    assert claims_in(tokens["id_token"])["amr"] == ["pwd"]
    for wish in ({"essential": True, "value": "phr"}, {"essential": True, "values": ["phr", "phrh"]}):
        await stage.begin(user, web_app, claims=json.dumps({"id_token": {"acr": wish}}))
        assert user.callback_parameters["error"] == "unmet_authentication_requirements"
        await stage.begin(user, web_app, claims=json.dumps({"id_token": {"acr": wish}}), prompt="none")
        assert user.callback_parameters["error"] == "unmet_authentication_requirements"
    logged_in_at = claims_in(tokens["id_token"])["auth_time"]
    stage.clock.advance(601)
    for changes in ({"max_age": "600"}, {"max_age": "0"}, {"prompt": "login"}):
        await stage.begin(user, web_app, **changes)
        assert user.page.path == "/login", changes
        await user.open(f"/consent?interaction={user.page.url.params['interaction']}")
        assert user.page.path == "/login", changes
    await stage.begin(user, web_app, max_age="601")
    answer = (await stage.world.redeem(web_app, user.callback_parameters["code"])).json()
    assert claims_in(answer["id_token"])["auth_time"] == logged_in_at, "an old login does not become a new one"
