"""N66 to N74: nobody is signed in as somebody else, skips a step, or gets more than a person agreed to."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import httpx2
import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import func, select

from consent.models import ConsentRecord
from idp.accounts.directory import set_password
from idp.browser import BROWSER_COOKIE, SESSION_COOKIE
from idp.login.factors.verified import ACR_PASSWORD
from idp.settings import Settings
from tests.security.stage import FORM, PASSWORD, Stage, is_a_page_only
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.html import Form
from tests.support.settings import settings_for
from tests.support.token_world import App, claims_in

pytestmark = [pytest.mark.anyio, only_sqlite]

NewUser = Callable[[], BrowserUser]

PER_ACCOUNT: Final = 5
PER_ADDRESS: Final = 12
NIK: Final = "urn:satupintu:claims:nik"


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """A throttle of few guesses, so that the tests need few."""
    return settings_for(
        database_url, tmp_path, login_failures_per_account=PER_ACCOUNT, login_failures_per_address=PER_ADDRESS
    )


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


# --- N70: what was agreed to, and nothing beyond ---


@pytest.mark.threat("N70")
async def test_data_that_was_not_agreed_to_is_released_nowhere(stage: Stage, web_app: App, user: BrowserUser) -> None:
    wished = {NIK: {"essential": True}, "email": {"essential": True}, "gender": {"essential": True}}
    claims = json.dumps({"userinfo": wished, "id_token": wished})
    await stage.begin(user, web_app, claims=claims, scope="openid profile email identity")
    await user.log_in("siti", PASSWORD)
    await user.allow(items={"email"})
    tokens = (await stage.world.redeem(web_app, user.callback_parameters["code"])).json()
    for told in (claims_in(tokens["id_token"]), (await stage.world.userinfo(tokens["access_token"])).json()):
        assert told["email"] == "siti@example.id"
        assert not {NIK, "gender"} & told.keys()
    assert not {NIK, "gender", "email"} & claims_in(tokens["access_token"]).keys()


@pytest.mark.threat("N70")
async def test_hostile_claims_and_details_are_refused_fast(stage: Stage, web_app: App, user: BrowserUser) -> None:
    await stage.code(user, web_app)
    before = await stage.issued()
    hostile = (
        "[]",
        '"x"',
        "1",
        "null",
        "{",
        "[" * 3000,
        '{"userinfo":' * 400,
        '{"userinfo": []}',
        '{"userinfo": {"name": 1}}',
        '{"userinfo": {"name": {"values": "x"}}}',
        '{"userinfo": {"": null}}',
        '{"userinfo": {"name": null, "name": {"essential": true}}}',
        '{"userinfo": {"name": {"value": NaN}}}',
        '{"id_token": {"\\ud800": null}}',
        json.dumps({"userinfo": {f"c{number}": None for number in range(1000)}}),
        json.dumps({"userinfo": {"x" * 1000: None}}),
        json.dumps({"userinfo": {"name": {"value": "x" * 20_000}}}),
    )
    started = time.process_time()
    for text in hostile:
        await stage.begin(user, web_app, claims=text)
        assert user.callback_parameters["error"] == "invalid_request", text[:60]
        await stage.begin(user, web_app, authorization_details=text)
        assert user.callback_parameters["error"] == "invalid_authorization_details", text[:60]
    assert time.process_time() - started < 3
    for text in ('{"__proto__": {"name": null}, "constructor": 1}', '{"userinfo": {"__proto__": null, "x": null}}'):
        await stage.begin(user, web_app, claims=text, prompt="none")
        tokens = (await stage.world.redeem(web_app, user.callback_parameters["code"])).json()
        assert (await stage.world.userinfo(tokens["access_token"])).json().keys() <= {"sub", "name", "updated_at"}
    assert (await stage.issued())[0] == before[0] + 2
    huge = urlencode(stage.request(web_app, claims="x" * 5_000_000))
    answer = await user.client.post("https://idp.test/authorize", content=huge, headers=FORM)
    assert answer.status_code in {400, 413}


@pytest.mark.threat("N70")
async def test_offline_access_and_other_peoples_purposes_are_not_had_without_asking(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    tokens = await stage.tokens(user, web_app)
    assert "refresh_token" not in tokens, "nobody agreed to offline access"
    detail = {"type": "satupintu_purpose", "purpose": "somebody-elses"}
    for details in ([detail], [detail, detail], [{**detail, "purpose": "kunjungan", "x": 1}], [{"type": "x"}]):
        await stage.begin(user, web_app, authorization_details=json.dumps(details))
        assert user.callback_parameters["error"] == "invalid_authorization_details"
    await stage.begin(user, web_app, scope="openid profile email offline_access")
    assert user.page.path == "/consent"
    assert user.page.has("offline-access")


@pytest.mark.threat("N70")
async def test_an_app_that_anybody_could_be_never_passes_without_the_person(stage: Stage, user: BrowserUser) -> None:
    own_scheme = "id.go.sehat.app:/cb"
    unverified = await stage.world.public_app(verified=False)
    native = await stage.world.public_app(application_type="native", redirect_uris=(own_scheme,), verified=True)
    for app in (unverified, App(native.client_id, "", own_scheme)):
        await stage.code(user, app)
        await stage.begin(user, app, prompt="none")
        assert user.callback_parameters["error"] == "consent_required"
        await stage.begin(user, app)
        assert user.page.path == "/consent"


@pytest.mark.threat("N70")
async def test_a_withdrawn_consent_kills_the_tokens_and_the_silent_login(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    tokens = await stage.tokens(user, web_app, scope="openid profile email offline_access")
    waiting = await stage.code(user, web_app, scope="openid profile email offline_access", prompt="none")
    await stage.withdraw_all(user)
    assert await stage.is_dead(web_app, tokens)
    assert (await stage.world.redeem(web_app, waiting)).json()["error"] == "invalid_grant"
    await stage.begin(user, web_app, prompt="none")
    assert user.callback_parameters["error"] == "consent_required"


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


# --- N72 to N74: guessing ---


@pytest.mark.threat("N72")
async def test_who_exists_cannot_be_told_from_any_answer(stage: Stage, web_app: App, new_user: NewUser) -> None:
    def shape(user: BrowserUser, username: str) -> tuple[Any, ...]:
        page = user.page
        form = page.form_with("continue")
        secret = {field.value for field in form.fields if field.kind == "hidden"} | {username}
        text = page.response.text
        for value in secret:
            text = text.replace(value, "")
        headers = {name for name, _ in page.response.headers.multi_items()}
        return page.status, text, headers

    seen = set()
    for username in ("siti", "nobody"):
        user = new_user()
        await stage.begin(user, web_app, login_hint=username)
        hinted = shape(user, username)
        await user.log_in(username, "wrong-password")
        wrong = shape(user, username)
        seen.add(json.dumps([hinted[:2], wrong[:2], sorted(hinted[2]), sorted(wrong[2])]))
        silent = new_user()
        await stage.begin(silent, web_app, login_hint=username, prompt="none")
        seen.add(json.dumps(["silent", silent.callback_parameters["error"]]))
    assert len(seen) == 2, seen


async def guess(user: BrowserUser, username: str, password: str = "wrong", **headers: str) -> int:
    form = dict(user.page.form_with("continue").values())
    sent = {**form, "username": username, "password": password}
    answer = await user.client.post("https://idp.test/login", data=sent, headers=headers, follow_redirects=False)
    return answer.status_code


@pytest.mark.threat("N73")
async def test_a_burst_of_guesses_is_counted_one_by_one_and_forged_addresses_do_not_help(
    stage: Stage, new_user: NewUser
) -> None:
    attacker = new_user()
    await attacker.open("/login")
    answers = await asyncio.gather(
        *(guess(attacker, "siti", **{"X-Forwarded-For": f"203.0.113.{number}"}) for number in range(30))
    )
    assert answers.count(400) == PER_ACCOUNT
    assert answers.count(429) == 30 - PER_ACCOUNT
    assert await guess(attacker, "siti", PASSWORD) == 429, "not even the right one"
    assert await guess(attacker, "SITI ", PASSWORD) == 429, "nor in another spelling"
    again = new_user()
    await again.open("/login")
    assert await guess(again, "siti", PASSWORD, Forwarded="for=198.51.100.1") == 429, "nor from a fresh browser"
    assert await stage.sessions_alive() == 0


@pytest.mark.threat("N73")
async def test_spraying_one_password_over_many_names_is_stopped_by_address(stage: Stage, new_user: NewUser) -> None:
    attacker = new_user()
    await attacker.open("/login")
    answers = [await guess(attacker, f"person-{number}") for number in range(PER_ADDRESS + 3)]
    assert answers == [400] * PER_ADDRESS + [429] * 3
    assert await guess(attacker, "siti", PASSWORD) == 429


@pytest.mark.threat("N73")
async def test_an_attacker_cannot_lock_a_person_out_of_their_own_browser(stage: Stage, new_user: NewUser) -> None:
    citizen, attacker = new_user(), new_user()
    await stage.sign_in(citizen)
    await attacker.open("/login")
    for _ in range(PER_ADDRESS + 1):
        await guess(attacker, "siti")
    await citizen.open("/end_session")
    await citizen.press("logout-yes")
    await stage.sign_in(citizen)


@pytest.mark.threat("N74")
async def test_a_password_is_neither_cut_nor_hashed_when_it_is_huge(
    stage: Stage, user: BrowserUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "kata sandi " * 40  # 440 characters: longer than bcrypt's 72, shorter than the cap
    assert 72 < len(long.encode()) < 1024
    account_id = await stage.account("siti")
    kept = await stage.provider.passwords.hash(long)
    async with stage.provider.database.transaction() as session:
        await set_password(session, account_id, password_hash=kept, now=stage.clock())
    hashed = []
    verify = PasswordHasher.verify

    def counting(hasher: PasswordHasher, kept: Any, password: Any) -> bool:
        hashed.append(len(password))
        return bool(verify(hasher, kept, password))

    monkeypatch.setattr(PasswordHasher, "verify", counting)
    await user.open("/login")
    for wrong in (long[:72], long[:-1], long + "x", long.replace(" ", "\x00"), long.upper()):
        assert await guess(user, "siti", wrong) == 400, len(wrong)
    hashed.clear()
    for size in (1025, 30_000, 60_000, 1_000_000):
        assert await guess(user, "somebody", "x" * size) in {400, 413}, size
    assert hashed == []
    await user.open("/login")
    stage.clock.advance(stage.provider.settings.login_failure_window + 1)
    assert await guess(user, "siti", long) == 303


@pytest.mark.threat("N74")
async def test_one_password_typed_on_two_keyboards_is_one_password(stage: Stage, user: BrowserUser) -> None:
    composed, decomposed = "kata-sandi-caf\u00e9-\uff21", "kata-sandi-cafe\u0301-A"
    account_id = await stage.account("siti")
    kept = await stage.provider.passwords.hash(composed)
    async with stage.provider.database.transaction() as session:
        await set_password(session, account_id, password_hash=kept, now=stage.clock())
    await user.open("/login")
    assert await guess(user, "siti", decomposed) == 303


@pytest.mark.threat("N74")
async def test_a_flood_of_logins_is_hashed_a_few_at_a_time_and_blocks_nobody_else(
    stage: Stage, new_user: NewUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashing is held up by hand, so that the test depends on no clock: meanwhile everything else must answer."""
    release, all_busy, lock = threading.Event(), threading.Event(), threading.Lock()
    most = now_hashing = 0
    places = stage.provider.passwords._pool._max_workers

    def held(_hasher: PasswordHasher, _kept: Any, _password: Any) -> bool:
        nonlocal now_hashing, most
        with lock:
            now_hashing += 1
            most = max(most, now_hashing)
            if most == places:
                all_busy.set()
        assert release.wait(20)
        with lock:
            now_hashing -= 1
        raise VerifyMismatchError

    monkeypatch.setattr(PasswordHasher, "verify", held)
    users = [new_user() for _ in range(PER_ADDRESS)]
    for user in users:
        await user.open("/login")
    try:
        logins = [asyncio.ensure_future(guess(user, f"person-{place}")) for place, user in enumerate(users)]
        assert await asyncio.to_thread(all_busy.wait, 20)
        for path in ("/health/ready", "/jwks", "/"):
            assert (await stage.http.get(path)).status_code == 200
        assert not any(login.done() for login in logins)
    finally:
        release.set()
    assert await asyncio.gather(*logins) == [400] * PER_ADDRESS
    assert most == places
