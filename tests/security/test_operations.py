"""N93 to N95: keys turn over unnoticed, and no name or path that somebody else writes fools us."""

import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from idp.housekeeping import advance_keys
from idp.provider import load_master_key
from keys.rotation import rotate
from tests.security.forging import signed
from tests.security.stage import HOST, Stage, refusal, told_to_app
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.token_world import App, claims_in

pytestmark = pytest.mark.anyio

NewUser = Callable[[], BrowserUser]


# --- N93: keys ---


async def published(stage: Stage) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = (await stage.http.get("/jwks")).json()["keys"]
    return keys


@only_sqlite
@pytest.mark.threat("N93")
async def test_a_key_is_shown_before_it_signs_and_believed_no_longer_than_its_tokens_live(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    provider, settings = stage.provider, stage.provider.settings

    async def step() -> None:
        async with provider.database.transaction() as session:
            await advance_keys(provider, session)
        await provider.ring.refresh_if_stale(provider.database.reading, now=stage.clock())

    tokens = await stage.tokens(user, web_app)
    old = provider.keys.signer_for("ES256")
    async with provider.database.transaction() as session:
        new = await rotate(session, load_master_key(settings), alg="ES256", now=stage.clock(), entropy=provider.entropy)
    stage.clock.advance(settings.key_refresh_seconds + 1)
    await step()
    assert {old.kid, new} <= {key["kid"] for key in await published(stage)}
    assert provider.keys.signer_for("ES256").kid == old.kid, "a key that nobody has seen must not sign"
    stage.clock.advance(settings.jwks_max_age + 2 * settings.key_refresh_seconds)
    await step()
    assert provider.keys.signer_for("ES256").kid == new
    assert {old.kid, new} <= {key["kid"] for key in await published(stage)}
    assert (await stage.world.userinfo(tokens["access_token"])).status_code == 200, "the overlap"
    assert told_to_app(await stage.authorize(web_app, prompt="none", id_token_hint=tokens["id_token"]))["error"] == (
        "login_required"
    )
    stage.clock.advance(settings.session_absolute_lifetime + 121)
    await step()
    assert old.kid not in {key["kid"] for key in await published(stage)}
    now = int(stage.clock().timestamp())
    leaked = {"iat": now, "exp": now + 600}
    forged = await signed(old, {**claims_in(tokens["access_token"]), **leaked}, typ="at+jwt")
    assert refusal(await stage.world.userinfo(forged)) == (401, "invalid_token"), "a key that leaks later is worthless"
    hint = await signed(old, {**claims_in(tokens["id_token"]), **leaked})
    assert told_to_app(await stage.authorize(web_app, prompt="none", id_token_hint=hint))["error"] == "invalid_request"


@only_sqlite
@pytest.mark.threat("N93")
async def test_nothing_private_or_ambiguous_is_published(stage: Stage) -> None:
    keys = await published(stage)
    assert {key["alg"] for key in keys} == stage.provider.keys.algs
    for key in keys:
        assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & key.keys()
        assert key["use"] == "sig"
        assert key["kid"]
    assert len({key["kid"] for key in keys}) == len(keys)
    documents = [await stage.http.get(path) for path in ("/jwks", "/.well-known/openid-configuration")]
    async with stage.provider.database.reading() as session:
        sealed = [value for (value,) in await session.execute(text("SELECT sealed_private FROM keys_signing_keys"))]
    assert sealed
    assert not any(bytes(value).hex() in document.text for value in sealed if value for document in documents)


# --- N94: our name is ours ---


@only_sqlite
@pytest.mark.threat("N94")
async def test_no_header_changes_our_name_or_where_anything_leads(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    await stage.tokens(user, web_app)
    lies = (
        {"Host": "evil.test"},
        {"Host": "idp.test:8443"},
        {"Host": "idp.test@evil.test"},
        {"Host": ""},
        {"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "81"},
        {"Forwarded": "host=evil.test;proto=http"},
        {"X-Original-URL": "/console", "X-Rewrite-URL": "/console", "X-Forwarded-Prefix": "//evil.test"},
        {"X-Host": "evil.test", "X-HTTP-Host-Override": "evil.test"},
    )
    paths = (
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/jwks",
        "/",
        "/login",
        "/end_session",
        "/my/consents",
        stage.address(web_app, prompt="none"),
        stage.address(web_app, prompt="login"),
        "/nowhere",
    )
    for path in paths:
        honest = await user.client.get(f"{HOST}{path}", follow_redirects=False)
        for lie in lies:
            answer = await user.client.get(f"{HOST}{path}", headers=lie, follow_redirects=False)
            assert "evil.test" not in answer.text + str(answer.headers), (path, lie)
            assert answer.status_code == honest.status_code, (path, lie)
            shape = re.compile(r"(interaction|code)=[\w-]+")
            assert shape.sub("", answer.headers.get("location", "")) == shape.sub(
                "", honest.headers.get("location", "")
            ), (path, lie)
            if "well-known" in path:
                assert answer.content == honest.content
                assert answer.json()["issuer"] == HOST
    tokens = await stage.world.redeem(web_app, await stage.code(user, web_app))
    assert claims_in(tokens.json()["id_token"])["iss"] == HOST
    stage.http.headers["Host"] = "evil.test"
    lied = await stage.world.redeem(web_app, await stage.code(user, web_app))
    assert claims_in(lied.json()["id_token"])["iss"] == claims_in(lied.json()["access_token"])["iss"] == HOST


# --- N95: one address, one way to write it ---


@only_sqlite
@pytest.mark.threat("N95")
async def test_no_way_of_writing_an_address_gets_past_what_guards_it(
    stage: Stage, web_app: App, user: BrowserUser, new_user: NewUser
) -> None:
    await stage.tokens(user, web_app)
    account_id = await stage.account("siti")
    spellings = (
        "/console;x",
        "/console;/",
        "//console",
        "///console",
        "/./console",
        "/x/../console",
        "/%2e/console",
        "/x/%2e%2e/console",
        "/%63onsole",
        "/%2563onsole",
        "/console%2f",
        "/console%2f..%2fconsole",
        "/console/",
        "/console//",
        "/CONSOLE",
        "/Console/export",
        "/console.",
        "/console%00",
        "/console%0a",
        "/console%20",
        "/console\\",
        "/console%5c",
        "/my/../console",
        "/my/consents/..%2f..%2fconsole",
        "/static/../console",
        "/static/%2e%2e/console",
        "/static/..%2f..%2fapp.py",
        "/static/..%2f..%2f..%2fpyproject.toml",
        "/static/%2fetc%2fpasswd",
        "/static//etc/passwd",
        "/static/....//app.py",
    )
    for spelling in spellings:
        for one in (user, new_user()):
            answer = await raw_get(stage, one, spelling)
            assert answer.status_code in {303, 307, 400, 403, 404, 405}, (spelling, answer.status_code)
            assert answer.status_code != 307, spelling
            location = answer.headers.get("location", "")
            assert location == "" or location.startswith("/sign-in?to="), (spelling, location)
            for leaked in (account_id, "import ", "[project]", "root:"):
                assert leaked not in answer.text, spelling
    for spelling in ("/token/", "/TOKEN", "//token", "/token;x", "/token%2f", "/authorize/", "/userinfo/x", "/jwks/"):
        answer = await stage.http.post(f"{HOST}{spelling}", data={"grant_type": "x"}, headers=web_app.basic)
        assert answer.status_code in {404, 405}, spelling


async def raw_get(stage: Stage, user: BrowserUser, target: str) -> httpx2.Response:
    """A GET whose path is sent as it is written: clients tidy addresses up, attackers do not."""
    path, _, query = target.partition("?")
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in user.client.cookies.jar)
    sent: list[Any] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": httpx2.URL(f"{HOST}/").copy_with(raw_path=path.encode()).path if "\\" not in path else path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"idp.test"), (b"cookie", cookies.encode()), (b"accept", b"text/html")],
        "server": ("idp.test", 443),
        "client": ("203.0.113.1", 5000),
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await stage.application(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return httpx2.Response(sent[0]["status"], headers=sent[0]["headers"], content=body)
