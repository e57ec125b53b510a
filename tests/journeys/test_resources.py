"""Tokens for agencies' own APIs: who may ask for them, and who may ask about them."""

import pytest
from authlib.integrations.base_client import OAuthError

from tests.journeys.visiting import HEALTH_SCOPE, visit
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.registrar import Registrar
from tests.support.relying_party import AuthorizationRefused, RelyingParty
from tests.support.world import World

pytestmark = pytest.mark.anyio

RECORDS = "https://rekam-medis.kemenkes.test"
STOCKS = "https://stok-obat.kemenkes.test/v1"


async def api(registrar: Registrar, agency: str, *resources: str) -> RelyingParty:
    """An agency's API: a client that no person logs in to."""
    return await registrar.app(
        agency,
        names={"id": "Layanan data", "en": "Data service"},
        grant_types=("client_credentials",),
        redirect_uris=(),
        scopes=("records.read",),
        purpose_codes=(),
        resources=resources,
    )


async def test_a_token_for_an_api_is_for_that_api_and_nobody_else(
    world: World, user: BrowserUser, registrar: Registrar
) -> None:
    records = await api(registrar, "kemenkes", RECORDS)
    strangers = await api(registrar, "dukcapil", "https://kk.dukcapil.test")
    app = await registrar.app(allowed_resources=(RECORDS, STOCKS))
    login = await visit(world, user, app, resource=RECORDS)
    verified = await records.verify(login.access_token, audience=RECORDS, typ="at+jwt")
    assert verified.claims["aud"] == RECORDS
    assert verified.claims["client_id"] == app.client_id
    assert verified.claims["sub"] == login.sub

    told = await records.introspect(login.access_token)
    assert told["active"] is True
    assert told["aud"] == RECORDS
    assert told["scope"] == HEALTH_SCOPE
    assert (await app.introspect(login.access_token))["active"] is True
    assert await strangers.introspect(login.access_token) == {"active": False}
    assert await world.app("population").introspect(login.access_token) == {"active": False}
    # An API that it was shown to cannot read the person's data with it.
    assert (await app.userinfo(login.access_token)).status_code == 401


@only_sqlite
async def test_a_code_for_an_api_does_not_become_a_token_for_the_persons_data(
    world: World, user: BrowserUser, registrar: Registrar
) -> None:
    app = await registrar.app(allowed_resources=(RECORDS,))
    await visit(world, user, app, resource=RECORDS)
    await user.open(await app.authorization_url(scope=HEALTH_SCOPE, resource=RECORDS))
    assert app.attempt is not None
    with pytest.raises(OAuthError, match="invalid_target"):
        await app.redeem(user.callback_parameters["code"], code_verifier=app.attempt.code_verifier, resource=app.issuer)


@only_sqlite
async def test_a_refresh_may_choose_among_what_was_authorized_and_no_more(
    world: World, user: BrowserUser, registrar: Registrar
) -> None:
    app = await registrar.app(allowed_resources=(RECORDS, STOCKS, "https://third.kemenkes.test"))
    scope = f"{HEALTH_SCOPE} offline_access"
    await user.open(await app.authorization_url(scope=scope) + f"&resource={RECORDS}&resource={STOCKS}")
    await user.log_in("siti", world.password("siti"))
    await user.allow()
    login = await app.finish(user.callback_parameters)
    both = await app.introspect(login.access_token)
    assert both["aud"] == [RECORDS, STOCKS]
    fresh = await app.refresh(login.refresh_token, resource=STOCKS)
    assert (await app.introspect(fresh["access_token"]))["aud"] == STOCKS
    with pytest.raises(OAuthError) as refused:
        await app.refresh(fresh["refresh_token"], resource="https://third.kemenkes.test")
    assert refused.value.error == "invalid_target"
    # A mistake costs no refresh token.
    assert await app.refresh(fresh["refresh_token"], resource=RECORDS)


@only_sqlite
async def test_an_api_that_the_app_is_not_registered_for_is_refused(world: World, user: BrowserUser) -> None:
    app = world.app("health")
    await user.open(await app.authorization_url(resource=RECORDS))
    with pytest.raises(AuthorizationRefused, match="invalid_target"):
        await app.finish(user.callback_parameters)


async def test_one_service_calls_another_on_its_own_account(world: World, registrar: Registrar) -> None:
    records = await api(registrar, "kemenkes", RECORDS)
    caller = await registrar.app(
        grant_types=("client_credentials",),
        redirect_uris=(),
        scopes=("records.read",),
        purpose_codes=(),
        allowed_resources=(RECORDS,),
    )
    token = await caller.client_credentials(resource=RECORDS, scope="records.read")
    told = await records.introspect(token["access_token"])
    assert (told["active"], told["sub"], told["client_id"]) == (True, caller.client_id, caller.client_id)
    assert (await caller.revoke(token["access_token"])).status_code == 200
    assert await records.introspect(token["access_token"]) == {"active": False}
