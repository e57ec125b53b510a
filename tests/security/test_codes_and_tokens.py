"""N22 to N34: a code, a verifier and a token are worth something once, to one app, for one purpose."""

from typing import Any

import anyio.from_thread
import anyio.to_thread
import pytest
from authlib.integrations.base_client.errors import OAuthError
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from idp.accounts.directory import disable_account, set_password
from idp.audit import AuditEvent, AuditKind
from idp.clients.management import disable_client
from tests.security.stage import SCOPE, Stage, password_hash, refusal, told_to_app
from tests.support.assertions import AssertionKey
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.token_world import CALLBACK, CHALLENGE, VERIFIER, App

pytestmark = [pytest.mark.anyio, only_sqlite]

OFFLINE = f"{SCOPE} offline_access"


async def kinds_of_events(stage: Stage) -> list[str]:
    async with stage.provider.database.reading() as session:
        return list(await session.scalars(select(AuditEvent.kind).order_by(AuditEvent.id)))


# --- codes ---


@pytest.mark.threat("N22")
@pytest.mark.parametrize("kind", ["app", "public"])
async def test_a_code_used_twice_is_refused_and_ends_all_that_came_of_it(
    stage: Stage, user: BrowserUser, web_app: App, public_app: App, kind: str
) -> None:
    client = {"app": web_app, "public": public_app}[kind]
    code = await stage.code(user, client, scope=OFFLINE)
    tokens = (await stage.world.redeem(client, code)).json()
    assert (await stage.world.userinfo(tokens["access_token"])).status_code == 200
    assert refusal(await stage.world.redeem(client, code)) == (400, "invalid_grant")
    assert await stage.is_dead(client, tokens)
    assert AuditKind.CODE_REPLAYED in await kinds_of_events(stage)


@pytest.mark.threat("N24")
async def test_a_code_older_than_a_minute_is_refused(stage: Stage, user: BrowserUser, web_app: App) -> None:
    late = await stage.code(user, web_app)
    stage.clock.advance(61)
    assert refusal(await stage.world.redeem(web_app, late)) == (400, "invalid_grant")
    in_time = await stage.code(user, web_app)
    stage.clock.advance(59)
    assert (await stage.world.redeem(web_app, in_time)).status_code == 200


@pytest.mark.threat("N25")
async def test_a_stolen_code_is_refused_to_every_other_app(
    stage: Stage, user: BrowserUser, web_app: App, public_app: App
) -> None:
    other = await stage.world.app()
    code = await stage.code(user, web_app)
    assert refusal(await stage.world.redeem(other, code)) == (400, "invalid_grant")
    assert refusal(await stage.world.redeem(public_app, code)) == (400, "invalid_grant")
    assert refusal(await stage.world.redeem(App(web_app.client_id, ""), code)) == (401, "invalid_client")
    wrong = App(web_app.client_id, other.secret)
    assert refusal(await stage.world.redeem(wrong, code)) == (401, "invalid_client")
    assert (await stage.world.redeem(web_app, code)).status_code == 200, "a thief must not be able to burn it either"


@pytest.mark.threat("N25", "N26")
async def test_a_public_app_gets_no_code_without_pkce(stage: Stage, public_app: App) -> None:
    for changes in (
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge": "", "code_challenge_method": "S256"},
    ):
        assert told_to_app(await stage.authorize(public_app, **changes))["error"] == "invalid_request"


@pytest.mark.threat("N26")
async def test_a_weak_or_malformed_challenge_is_refused(stage: Stage, web_app: App) -> None:
    for challenge, method in (
        (VERIFIER, "plain"),
        (VERIFIER, None),
        (CHALLENGE, None),
        (CHALLENGE, "s256"),
        (CHALLENGE, "S512"),
        (CHALLENGE, "S256 plain"),
        ("x" * 42, "S256"),
        ("x" * 129, "S256"),
        ("x" * 42 + "+", "S256"),
        ("x" * 42 + "é", "S256"),
        ("x" * 42 + "=", "S256"),
    ):
        answer = told_to_app(await stage.authorize(web_app, code_challenge=challenge, code_challenge_method=method))
        assert answer["error"] == "invalid_request", (challenge, method)
    assert await stage.issued() == (0, 0)


@pytest.mark.threat("N26")
@pytest.mark.parametrize(
    "verifier",
    [None, "", "x" * 43, CHALLENGE, VERIFIER[:-1], VERIFIER + "x", "x" * 42, "x" * 129, "é" * 43, VERIFIER + "\n"],
)
async def test_a_wrong_verifier_is_refused(stage: Stage, user: BrowserUser, web_app: App, verifier: str | None) -> None:
    code = await stage.code(user, web_app)
    assert refusal(await stage.world.redeem(web_app, code, code_verifier=verifier)) == (400, "invalid_grant")
    assert (await stage.issued())[1] == 0


@pytest.mark.threat("N26")
async def test_a_challenge_stripped_on_the_way_is_noticed(stage: Stage, user: BrowserUser) -> None:
    without: dict[str, Any] = {"code_challenge": None, "code_challenge_method": None}
    relaxed = await stage.world.app(require_pkce=False)
    code = await stage.code(user, relaxed, **without)
    assert refusal(await stage.world.redeem(relaxed, code)) == (400, "invalid_grant"), (
        "a verifier that nobody asked for"
    )
    honest = await stage.code(user, relaxed, **without)
    assert (await stage.world.redeem(relaxed, honest, code_verifier=None)).status_code == 200
    strict = await stage.world.app()
    assert told_to_app(await stage.authorize(strict, **without))["error"] == "invalid_request"


@pytest.mark.threat("N27")
@pytest.mark.parametrize("pkce", [True, False])
async def test_a_code_injected_into_another_browsers_login_is_refused(
    stage: Stage, user: BrowserUser, pkce: bool
) -> None:
    """The attacker's app session has a state, a nonce and a verifier of its own; the victim's code does not fit."""
    web_app = await stage.world.app(require_pkce=False)
    async with stage.party(web_app) as victims_side, stage.party(web_app) as attackers_side:
        asked: dict[str, Any] = {"scope": "openid profile", "pkce": pkce}
        await user.open(await victims_side.authorization_url(**asked))
        await user.log_in("siti", "kunci-yang-panjang-sekali")
        await user.allow()
        stolen = user.callback_parameters["code"]
        await attackers_side.authorization_url(**asked)
        attempt = attackers_side.attempt
        assert attempt is not None
        with pytest.raises(AssertionError, match="another login"):
            await attackers_side.finish(user.callback_parameters)
        if pkce:
            with pytest.raises(OAuthError, match="invalid_grant"):
                await attackers_side.redeem(stolen, code_verifier=attempt.code_verifier)
        else:
            tokens = await attackers_side.redeem(stolen)
            with pytest.raises(AssertionError):
                await attackers_side.check_login(tokens, nonce=attempt.nonce)


# --- refresh tokens ---


@pytest.mark.threat("N28")
async def test_a_rotated_refresh_token_is_refused_and_ends_the_family(
    stage: Stage, user: BrowserUser, web_app: App
) -> None:
    first = await stage.tokens(user, web_app, scope=OFFLINE)
    second = (await stage.world.refresh(web_app, first["refresh_token"])).json()
    stage.clock.advance(stage.provider.settings.refresh_retry_window + 1)
    assert refusal(await stage.world.refresh(web_app, first["refresh_token"])) == (400, "invalid_grant")
    assert await stage.is_dead(web_app, second)
    assert AuditKind.REFRESH_REPLAYED in await kinds_of_events(stage)


@pytest.mark.threat("N29")
@pytest.mark.parametrize("cause", ["withdrawn", "disabled", "password", "app disabled", "too old", "other app"])
async def test_a_refresh_token_is_refused_when_what_it_rests_on_is_gone(
    stage: Stage, user: BrowserUser, web_app: App, cause: str
) -> None:
    tokens = await stage.tokens(user, web_app, scope=OFFLINE)
    caller = web_app
    async with stage.provider.database.transaction() as session:
        stage.clock.advance(1)
        if cause == "disabled":
            await disable_account(session, username="siti", now=stage.clock())
        elif cause == "password":
            account = await stage.account("siti")
            await set_password(session, account, password_hash=password_hash(), now=stage.clock())
        elif cause == "app disabled":
            await disable_client(session, web_app.client_id, now=stage.clock())
    if cause == "withdrawn":
        await stage.withdraw_all(user)
    elif cause == "too old":
        stage.clock.advance(stage.provider.settings.refresh_absolute_lifetime)
    elif cause == "other app":
        caller = await stage.world.app()
    answer = await stage.world.refresh(caller, tokens["refresh_token"])
    assert answer.status_code in {400, 401}
    assert refusal(answer)[1] in {"invalid_grant", "invalid_client"}


@pytest.mark.threat("N29", "N34")
async def test_a_refresh_cannot_widen_what_was_agreed(stage: Stage, user: BrowserUser, web_app: App) -> None:
    tokens = await stage.tokens(user, web_app, scope="openid profile offline_access")
    for scope in ("openid profile email", "reports:read", "openid identity", "openid\tprofile", '"'):
        answer = await stage.world.refresh(web_app, tokens["refresh_token"], scope=scope)
        assert refusal(answer) == (400, "invalid_scope"), scope
    narrowed = (await stage.world.refresh(web_app, tokens["refresh_token"], scope="openid")).json()
    told = (await stage.world.userinfo(narrowed["access_token"])).json()
    assert told.keys() == {"sub"}


# --- one kind of token is not another ---


@pytest.mark.threat("N30", "N40")
async def test_no_token_stands_in_for_one_of_another_kind(stage: Stage, user: BrowserUser) -> None:
    key = AssertionKey()
    resource = "https://api.test"
    web_app = await stage.world.app(allowed_resources=(resource,))
    signing = await stage.world.app(token_endpoint_auth_method="private_key_jwt", jwks=key.jwks)
    tokens = await stage.tokens(user, web_app, scope=OFFLINE)
    elsewhere = await stage.tokens(user, web_app, scope=SCOPE, resource=resource)
    assertion = key.sign(signing.client_id, now=stage.clock().timestamp())
    machine = (await stage.world.token(web_app, grant_type="client_credentials", scope="reports:read")).json()

    for name, token in {
        "an ID token": tokens["id_token"],
        "a refresh token": tokens["refresh_token"],
        "a client assertion": assertion,
        "a token for another resource": elsewhere["access_token"],
    }.items():
        assert refusal(await stage.world.userinfo(token)) == (401, "invalid_token"), name
    assert refusal(await stage.world.userinfo(machine["access_token"])) == (403, "insufficient_scope")

    for name, token in {"access": tokens["access_token"], "ID": tokens["id_token"], "assertion": assertion}.items():
        assert refusal(await stage.world.refresh(web_app, token)) == (400, "invalid_grant"), name
        assert refusal(await stage.world.redeem(web_app, token)) == (400, "invalid_grant"), name
    assert await stage.world.introspect(web_app, tokens["id_token"]) == {"active": False}

    for name, token in {
        "an access token": tokens["access_token"],
        "a refresh token": tokens["refresh_token"],
        "a client assertion": assertion,
        "a machine's token": machine["access_token"],
    }.items():
        await stage.begin(user, web_app, id_token_hint=token, prompt="none")
        assert user.callback_parameters["error"] == "invalid_request", name
        await user.open("/end_session", id_token_hint=token)
        assert user.page.has("logout-yes"), name
    assert await stage.sessions_alive() == 1
    form = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
    for token in (tokens["id_token"], tokens["access_token"]):
        sent = {**form, "client_assertion": token, "grant_type": "client_credentials", "client_id": web_app.client_id}
        assert (await stage.http.post("/token", data=sent)).status_code == 401


@pytest.mark.threat("N31")
async def test_a_stranger_neither_learns_of_a_token_nor_ends_it(
    stage: Stage, user: BrowserUser, web_app: App, public_app: App
) -> None:
    tokens = await stage.tokens(user, web_app, scope=OFFLINE)
    other = await stage.world.app(resources=("https://other.test",))
    for name in ("access_token", "refresh_token"):
        assert await stage.world.introspect(other, tokens[name]) == {"active": False}
        answer = await stage.http.post("/revoke", data={"token": tokens[name]}, headers=other.basic)
        assert (answer.status_code, answer.content) == (200, b"")
        for path in ("/introspect", "/revoke"):
            assert refusal(await stage.http.post(path, data={"token": tokens[name]})) == (401, "invalid_client")
        named = {"token": tokens[name], "client_id": public_app.client_id}
        assert refusal(await stage.http.post("/introspect", data=named)) == (401, "invalid_client")
        assert (await stage.http.post("/revoke", data=named)).status_code == 200
    assert (await stage.world.userinfo(tokens["access_token"])).status_code == 200
    assert (await stage.world.refresh(web_app, tokens["refresh_token"])).status_code == 200


@pytest.mark.threat("N32")
async def test_a_token_with_any_character_changed_is_refused(stage: Stage, user: BrowserUser, web_app: App) -> None:
    tokens = await stage.tokens(user, web_app, scope=OFFLINE)
    access, refresh = tokens["access_token"], tokens["refresh_token"]
    letters = st.sampled_from("ABCXYZabcxyz0189-_.=+/ ")

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        token=st.sampled_from([access, refresh]),
        start=st.integers(0, 700),
        length=st.integers(0, 3),
        inserted=st.text(letters, max_size=3),
    )
    def attempt(token: str, start: int, length: int, inserted: str) -> None:
        start %= len(token) + 1
        changed = token[:start] + inserted + token[start + length :]
        assume(changed.strip() != token)
        if token == access:
            answer = anyio.from_thread.run(stage.world.userinfo, changed)
            assert answer.status_code in {400, 401}, changed
        else:
            answer = anyio.from_thread.run(stage.world.refresh, web_app, changed)
            assert answer.status_code == 400, changed
        refusal(answer)
        assert anyio.from_thread.run(stage.world.introspect, web_app, changed or "x") == {"active": False}

    await anyio.to_thread.run_sync(attempt)
    assert (await stage.world.userinfo(access)).status_code == 200


# --- grants and scopes ---


@pytest.mark.threat("N33")
async def test_a_grant_that_the_app_does_not_have_is_refused(stage: Stage, public_app: App) -> None:
    only_codes = await stage.world.app(grant_types=("authorization_code",), scopes=("openid", "profile", "email"))
    machine = await stage.world.app(
        grant_types=("client_credentials",), scopes=("reports:read",), redirect_uris=(), purpose_codes=()
    )
    expected = {
        "password": "unsupported_grant_type",
        "implicit": "unsupported_grant_type",
        "urn:ietf:params:oauth:grant-type:jwt-bearer": "unsupported_grant_type",
        "urn:ietf:params:oauth:grant-type:token-exchange": "unsupported_grant_type",
        "urn:ietf:params:oauth:grant-type:device_code": "unsupported_grant_type",
        "AUTHORIZATION_CODE": "unsupported_grant_type",
        "refresh_token": "unauthorized_client",
        "client_credentials": "unauthorized_client",
    }
    form = {"username": "siti", "password": "kunci-yang-panjang-sekali", "assertion": "x.y.z", "refresh_token": "x"}
    for grant_type, error in expected.items():
        answer = await stage.world.token(only_codes, grant_type=grant_type, code="x", **form)
        assert refusal(answer) == (400, error), grant_type
    assert refusal(await stage.world.token(public_app, grant_type="client_credentials")) == (400, "unauthorized_client")
    for grant_type in ("authorization_code", "refresh_token"):
        answer = await stage.world.token(machine, grant_type=grant_type, code="x", **form)
        assert refusal(answer) == (400, "unauthorized_client"), grant_type
    asked = App(machine.client_id, machine.secret, CALLBACK)
    assert (await stage.authorize(asked)).status_code == 400, "an app without addresses sends nobody anywhere"
    assert await stage.issued() == (0, 0)


@pytest.mark.threat("N34")
async def test_a_scope_that_was_not_registered_is_refused_everywhere(stage: Stage, user: BrowserUser) -> None:
    web_app = await stage.world.app(scopes=("openid", "profile", "reports:read"))
    for scope in ("reports:write", "openid", "profile", "openid reports:read", "offline_access", "admin"):
        answer = await stage.world.token(web_app, grant_type="client_credentials", scope=scope)
        assert refusal(answer) == (400, "invalid_scope"), scope
    for scope in ("openid email", "openid offline_access", "openid admin", "openid identity"):
        told = told_to_app(await stage.authorize(web_app, scope=scope))
        assert told["error"] == "invalid_scope", scope
    assert await stage.issued() == (0, 0)
