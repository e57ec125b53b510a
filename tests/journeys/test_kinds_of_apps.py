"""Each way for an app to say who it is, and each algorithm that it may have answers signed with."""

from typing import Any

import pytest
from authlib.integrations.base_client import OAuthError
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey

from tests.journeys.visiting import HEALTH_SCOPE, NIK, userinfo, visit
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.registrar import Registrar
from tests.support.relying_party import RelyingParty
from tests.support.world import World

pytestmark = pytest.mark.anyio

SCOPE = f"{HEALTH_SCOPE} offline_access"
BROWSER_APP = {
    "application_type": "spa",
    "redirect_uris": ("https://antrean.test/spa",),
    "web_origins": ("https://antrean.test",),
}


async def made(registrar: Registrar, kind: str) -> RelyingParty:
    if kind == "private_key_jwt, ES256":
        return await registrar.app(key=ECKey.generate_key("P-256", {"alg": "ES256", "kid": "k1", "use": "sig"}))
    if kind == "private_key_jwt, Ed25519":
        return await registrar.app(key=OKPKey.generate_key("Ed25519", {"alg": "Ed25519", "kid": "k2", "use": "sig"}))
    spec: dict[str, Any] = BROWSER_APP if kind == "none" else {"token_endpoint_auth_method": kind}
    return await registrar.app(**spec)


@pytest.mark.parametrize(
    "kind", ["client_secret_basic", "client_secret_post", "private_key_jwt, ES256", "private_key_jwt, Ed25519", "none"]
)
async def test_an_app_of_each_kind_lives_its_whole_life(
    world: World, user: BrowserUser, registrar: Registrar, kind: str
) -> None:
    app = await made(registrar, kind)
    login = await visit(world, user, app, scope=SCOPE, items={"gender"})
    data = await userinfo(app, login.access_token)
    assert (data["sub"], data["gender"]) == (login.sub, "female")
    fresh = await app.refresh(login.refresh_token)
    assert fresh["refresh_token"] != login.refresh_token
    renewed = await app.verify(fresh["id_token"])
    assert (renewed.claims["sub"], renewed.claims["auth_time"]) == (login.sub, login.claims["auth_time"])
    if kind != "none":
        assert (await app.introspect(fresh["access_token"]))["active"] is True
    assert (await app.revoke(fresh["refresh_token"], hint="refresh_token")).status_code == 200
    assert (await app.userinfo(fresh["access_token"])).status_code == 401


@only_sqlite
async def test_a_phone_app_may_listen_on_any_port_and_is_asked_every_time(
    world: World, user: BrowserUser, registrar: Registrar
) -> None:
    app = await registrar.app(
        application_type="native",
        redirect_uris=("http://127.0.0.1/callback",),
        redirect_uri="http://127.0.0.1:49152/callback",
    )
    login = await visit(world, user, app)
    assert user.callback is not None
    assert user.callback.port == 49152
    # Any program on the device could listen there, so what was agreed before proves nothing about who asks now.
    await user.open(await app.authorization_url(scope=HEALTH_SCOPE))
    assert user.page.path == "/consent"
    await user.allow()
    assert (await app.finish(user.callback_parameters)).sub == login.sub


@only_sqlite
async def test_a_secret_of_somebody_else_opens_nothing(world: World, user: BrowserUser, registrar: Registrar) -> None:
    app = world.app("health")
    thief = await registrar.app(redirect_uris=(app.redirect_uri,))
    await user.open(await app.authorization_url(scope=HEALTH_SCOPE))
    await user.log_in("siti", world.password("siti"))
    await user.allow()
    assert app.attempt is not None
    with pytest.raises(OAuthError) as refused:
        await thief.redeem(user.callback_parameters["code"], code_verifier=app.attempt.code_verifier)
    assert refused.value.error == "invalid_grant"
    login = await app.finish(user.callback_parameters)
    assert (await userinfo(app, login.access_token))["sub"] == login.sub


@only_sqlite
async def test_a_code_is_worth_nothing_without_its_verifier(world: World, user: BrowserUser) -> None:
    app = world.app("health")
    await user.open(await app.authorization_url(scope=HEALTH_SCOPE))
    await user.log_in("siti", world.password("siti"))
    await user.allow()
    with pytest.raises(OAuthError) as refused:
        await app.redeem(user.callback_parameters["code"], code_verifier="v" * 43)
    assert refused.value.error == "invalid_grant"


@only_sqlite
# Verifiers that know only the old name have to be served too.
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")
@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"])
async def test_answers_are_signed_as_registered(
    world: World, user: BrowserUser, registrar: Registrar, alg: str
) -> None:
    app = await registrar.app(id_token_signed_response_alg=alg, userinfo_signed_response_alg=alg)
    login = await visit(world, user, app, items={"gender"})  # joserfc has verified the ID token and its at_hash
    assert login.id_token_header["alg"] == alg
    answer = await app.userinfo(login.access_token)
    assert answer.headers["content-type"] == "application/jwt"
    keys = KeySet.import_key_set((await user.client.get(f"{world.issuer}/jwks")).json())
    signed = jwt.decode(answer.text, keys, algorithms=[alg])
    assert signed.header["alg"] == alg
    assert (signed.claims["iss"], signed.claims["aud"]) == (world.issuer, app.client_id)
    assert {name: signed.claims[name] for name in ("sub", "gender", NIK)} == {
        "sub": login.sub,
        "gender": "female",
        NIK: "9904035505900001",
    }
