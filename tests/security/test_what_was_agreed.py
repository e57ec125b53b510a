"""N70: an app gets what a person agreed to, and nothing beyond."""

import json
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

import pytest

from tests.security.stage import FORM, PASSWORD, Stage
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.token_world import App, claims_in

pytestmark = [pytest.mark.anyio, only_sqlite]

NewUser = Callable[[], BrowserUser]

NIK: Final = "urn:satupintu:claims:nik"


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
