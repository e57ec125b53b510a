"""An app acts for itself: with its own scopes, never with people's."""

import pytest
from sqlalchemy import select

from idp.accounts.profile import CLAIMS_OF_SCOPE
from idp.tokens.models import AccessToken
from tests.support.databases import only_sqlite
from tests.support.token_world import World, claims_in

pytestmark = pytest.mark.anyio


async def test_an_app_gets_a_token_about_itself_which_is_recorded(world: World) -> None:
    app = await world.app()
    answer = await world.token(app, grant_type="client_credentials", scope="reports:read")
    assert answer.status_code == 200
    tokens = answer.json()
    assert set(tokens) == {"access_token", "token_type", "expires_in", "scope"}
    claims = claims_in(tokens["access_token"])
    assert claims["sub"] == claims["client_id"] == app.client_id
    assert claims["scope"] == "reports:read"
    assert "auth_time" not in claims
    async with world.provider.database.reading() as session:
        row = (await session.execute(select(AccessToken))).scalar_one()
    assert (row.jti, row.client_id, row.authorization_id) == (claims["jti"], app.client_id, None)
    assert (await world.introspect(app, tokens["access_token"]))["active"] is True


@only_sqlite
async def test_without_a_scope_an_app_gets_all_of_its_own_and_none_of_peoples(world: World) -> None:
    app = await world.app()
    tokens = (await world.token(app, grant_type="client_credentials")).json()
    assert tokens["scope"] == "reports:read reports:write"


@only_sqlite
@pytest.mark.threat("N34")
@pytest.mark.parametrize("scope", [*CLAIMS_OF_SCOPE, "reports:delete", "reports:read openid", "a\\b", " ", "x" * 2001])
async def test_no_scope_beyond_its_own(world: World, scope: str) -> None:
    app = await world.app(scopes=(*CLAIMS_OF_SCOPE, "reports:read"))
    refused = await world.token(app, grant_type="client_credentials", scope=scope)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")


@only_sqlite
@pytest.mark.threat("N30")
async def test_a_token_for_a_resource_is_for_that_resource_alone(world: World) -> None:
    api = "https://api.kesehatan.test"
    app = await world.app(allowed_resources=(api,))
    tokens = (await world.token(app, grant_type="client_credentials", resource=api)).json()
    assert claims_in(tokens["access_token"])["aud"] == api
    foreign = await world.token(app, grant_type="client_credentials", resource="https://other.test")
    assert (foreign.status_code, foreign.json()["error"]) == (400, "invalid_target")


@only_sqlite
@pytest.mark.threat("N33")
async def test_a_public_app_has_no_such_grant(world: World) -> None:
    app = await world.public_app()
    refused = await world.token(app, grant_type="client_credentials")
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")


@only_sqlite
@pytest.mark.threat("N33")
@pytest.mark.parametrize(
    ("grant_type", "error"),
    [
        ("password", "unsupported_grant_type"),
        ("implicit", "unsupported_grant_type"),
        ("urn:ietf:params:oauth:grant-type:token-exchange", "unsupported_grant_type"),
        ("urn:ietf:params:oauth:grant-type:jwt-bearer", "unsupported_grant_type"),
        ("urn:ietf:params:oauth:grant-type:device_code", "unsupported_grant_type"),
        ("client_credentials", "unauthorized_client"),
        ("refresh_token", "unauthorized_client"),
    ],
)
async def test_only_registered_grants_are_answered(world: World, grant_type: str, error: str) -> None:
    app = await world.app(grant_types=("authorization_code",), scopes=("openid",))
    refused = await world.token(app, grant_type=grant_type, username="siti", password="x", refresh_token="x")
    assert (refused.status_code, refused.json()["error"]) == (400, error)
