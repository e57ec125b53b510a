"""Introspection: alive or not, told to those whom it concerns."""

import jwt
import pytest
from jwt import PyJWKSet

from idp.clients.management import disable_client
from tests.support.assertions import AssertionKey
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.token_world import World, basic

pytestmark = pytest.mark.anyio
API = "https://api.kesehatan.test"
INACTIVE = {"active": False}


async def test_an_app_may_ask_about_its_own_tokens(world: World, clock: FakeClock) -> None:
    app, siti = await world.app(), await world.citizen()
    tokens = await world.tokens(app, siti, scope=("openid", "profile", "offline_access"))
    about = await world.introspect(app, tokens["access_token"])
    assert about.keys() == {
        "active", "token_type", "iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope", "auth_time", "acr",
        "status",
    }  # fmt: skip
    assert about["active"] is True
    assert about["token_type"] == "Bearer"
    assert about["scope"] == "openid profile offline_access"
    assert about["exp"] == int(clock().timestamp()) + 600
    refresh = await world.introspect(app, tokens["refresh_token"])
    assert refresh["active"] is True
    assert refresh["sub"] == about["sub"]
    assert "token_type" not in refresh


@pytest.mark.threat("N31")
async def test_only_a_tokens_audience_and_its_own_app_learn_anything(world: World) -> None:
    app = await world.app(allowed_resources=(API,))
    api = await world.app(resources=(API,), grant_types=("client_credentials",), scopes=(), redirect_uris=())
    other = await world.app(resources=("https://other.test",))
    claims_to_be_us = await world.app(resources=("https://idp.test",))
    siti = await world.citizen()
    tokens = await world.tokens(app, siti, resources=(API,), scope=("openid", "offline_access"))
    assert (await world.introspect(api, tokens["access_token"]))["active"] is True
    assert (await world.introspect(app, tokens["access_token"]))["active"] is True
    assert await world.introspect(other, tokens["access_token"]) == INACTIVE
    for asking in (api, other):
        assert await world.introspect(asking, tokens["refresh_token"]) == INACTIVE
    budi = await world.citizen("budi")
    for_us = await world.tokens(app, budi)
    assert await world.introspect(claims_to_be_us, for_us["access_token"]) == INACTIVE
    assert await world.introspect(api, for_us["access_token"]) == INACTIVE


@only_sqlite
@pytest.mark.threat("N31")
async def test_only_apps_that_authenticate_may_ask(world: World) -> None:
    app, public, siti = await world.app(), await world.public_app(), await world.citizen()
    token = (await world.tokens(public, siti))["access_token"]
    nobody = await world.http.post("/introspect", data={"token": token})
    bare = await world.http.post("/introspect", data={"token": token, "client_id": public.client_id})
    wrong = await world.http.post("/introspect", data={"token": token}, headers=basic(app.client_id, "wrong"))
    bearer = await world.http.post("/introspect", data={"token": token}, headers={"Authorization": f"Bearer {token}"})
    for refused in (nobody, bare, wrong, bearer):
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
        assert "active" not in refused.json()
    assert wrong.headers["www-authenticate"].startswith("Basic ")


@only_sqlite
@pytest.mark.threat("N30", "N32")
async def test_what_is_no_live_token_is_inactive_and_nothing_more(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    tokens = await world.tokens(app, siti, scope=("openid", "offline_access"))
    rotated = tokens["refresh_token"]
    await world.refresh(app, rotated)
    access = tokens["access_token"]
    for token in (
        tokens["id_token"],
        rotated,
        access[:-1],
        access + "A",
        "x",
        ".",
        "..",
        "\x00",
        "é.é.é",
        "a" * 30_000,
    ):
        assert await world.introspect(app, token) == INACTIVE, token[:40]


@only_sqlite
async def test_a_missing_or_repeated_token_is_a_malformed_request(world: World) -> None:
    app = await world.app()
    missing = await world.http.post("/introspect", data={"token_type_hint": "access_token"}, headers=app.basic)
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")
    headers = app.basic | {"Content-Type": "application/x-www-form-urlencoded"}
    twice = await world.http.post("/introspect", content=b"token=a&token=b", headers=headers)
    assert (twice.status_code, twice.json()["error"]) == (400, "invalid_request")
    assert (await world.http.get("/introspect?token=x", headers=app.basic)).status_code == 405


@only_sqlite
async def test_a_wrong_hint_changes_nothing(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    tokens = await world.tokens(app, siti)
    for hint in ("refresh_token", "nonsense"):
        form = {"token": tokens["access_token"], "token_type_hint": hint}
        assert (await world.http.post("/introspect", data=form, headers=app.basic)).json()["active"] is True


@pytest.mark.parametrize("cause", ["consent", "client", "time"])
async def test_the_answer_is_as_fresh_as_the_last_commit(world: World, clock: FakeClock, cause: str) -> None:
    app = await world.app(allowed_resources=(API,))
    api = await world.app(resources=(API,), grant_types=("client_credentials",), scopes=(), redirect_uris=())
    siti = await world.citizen()
    token = (await world.tokens(app, siti, resources=(API,)))["access_token"]
    assert (await world.introspect(api, token))["active"] is True
    if cause == "consent":
        await world.withdraw(siti, world.consents[app.client_id])
    elif cause == "time":
        clock.advance(600)
    else:
        async with world.provider.database.transaction() as session:
            await disable_client(session, app.client_id, now=clock())
    assert await world.introspect(api, token) == INACTIVE


@only_sqlite
async def test_a_signed_assertion_authenticates_here_as_well(world: World) -> None:
    key = AssertionKey()
    app = await world.app(token_endpoint_auth_method="private_key_jwt", jwks=key.jwks)
    answer = await world.http.post("/introspect", data={"token": "x", **key.form(app.client_id)})
    assert answer.json() == INACTIVE
    assert answer.headers["cache-control"] == "no-store"


@only_sqlite
async def test_an_api_may_have_the_answer_signed(world: World) -> None:
    """RFC 9701: for this caller, and not to be taken for the token that it tells about."""
    app, siti = await world.app(), await world.citizen()
    token = (await world.tokens(app, siti))["access_token"]
    headers = app.basic | {"Accept": "application/token-introspection+jwt"}
    for presented, plain in ((token, await world.introspect(app, token)), ("x.y.z", INACTIVE)):
        answer = await world.http.post("/introspect", data={"token": presented}, headers=headers)
        assert answer.headers["content-type"] == "application/token-introspection+jwt"
        assert answer.headers["cache-control"] == "no-store"
        keys = PyJWKSet.from_dict((await world.http.get("/jwks")).json())
        header = jwt.get_unverified_header(answer.text)
        assert (header["typ"], header["alg"]) == ("token-introspection+jwt", "RS256")
        claims = jwt.decode(
            answer.text,
            keys[header["kid"]],
            algorithms=["RS256"],
            audience=app.client_id,
            issuer="https://idp.test",
            options={"verify_iat": False},
        )
        assert claims.keys() == {"iss", "aud", "iat", "token_introspection"}
        assert claims["token_introspection"] == plain
        assert (await world.userinfo(answer.text)).status_code == 401
