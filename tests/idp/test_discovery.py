"""Discovery, keys and health: true, complete, cacheable, and the same whoever asks."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata
from starlette.applications import Starlette

from idp.app import protocol_routes
from idp.database import Database
from idp.discovery import metadata, routes
from idp.token_endpoint import GRANTS
from keys.verification import VerificationKeys
from tests.support.databases import only_sqlite
from tests.support.settings import settings_for
from tests.support.token_world import World

pytestmark = pytest.mark.anyio
OIDC = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"


async def document(world: World, path: str = OIDC) -> dict[str, Any]:
    answer = await world.http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


@only_sqlite
async def test_both_documents_are_valid_and_agree(world: World) -> None:
    oidc, oauth = await document(world, OIDC), await document(world, OAUTH)
    OpenIDProviderMetadata(oidc).validate()
    AuthorizationServerMetadata(oauth).validate()
    assert {name: oidc[name] for name in oidc.keys() & oauth.keys()} == {
        name: oauth[name] for name in oidc.keys() & oauth.keys()
    }


@only_sqlite
async def test_every_address_exists_and_every_list_is_what_the_code_has(world: World) -> None:
    said = await document(world)
    served = {getattr(route, "path", "") for route in protocol_routes(world.provider.settings)}
    for name, address in said.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert address.startswith("https://idp.test/")
            path = address.removeprefix("https://idp.test")
            assert path in served | {"/end_session", "/consent/v1/check"}, name
    assert (await world.http.get(said["satupintu_consent_openapi"])).json()["paths"]["/check"]
    assert said["grant_types_supported"] == list(GRANTS)
    assert said["response_types_supported"] == ["code"]
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert set(said["id_token_signing_alg_values_supported"]) == world.provider.keys.algs
    assert "none" not in said["introspection_endpoint_auth_methods_supported"]
    for absent in ("registration_endpoint", "device_authorization_endpoint", "pushed_authorization_request_endpoint"):
        assert absent not in said


@only_sqlite
@pytest.mark.threat("N94")
@pytest.mark.parametrize("path", [OIDC, OAUTH])
async def test_no_header_changes_a_word(world: World, path: str) -> None:
    plain = await world.http.get(path)
    for headers in (
        {"Host": "evil.test"},
        {"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "http", "Forwarded": "host=evil.test"},
        {"X-Forwarded-Prefix": "/evil", "X-Original-URL": "/evil"},
    ):
        assert (await world.http.get(path, headers=headers)).content == plain.content
    assert json.loads(plain.content)["issuer"] == "https://idp.test"


@only_sqlite
@pytest.mark.threat("N85")
@pytest.mark.parametrize("path", [OIDC, OAUTH, "/jwks"])
async def test_everybodys_scripts_may_read_what_is_public(world: World, path: str) -> None:
    answer = await world.http.get(path, headers={"Origin": "https://anybody.test"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


@only_sqlite
@pytest.mark.parametrize("path", [OIDC, "/jwks"])
async def test_an_unchanged_document_is_not_sent_again(world: World, path: str) -> None:
    first = await world.http.get(path)
    tag = first.headers["etag"]
    assert first.headers["cache-control"].startswith("public, max-age=")
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await world.http.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    for other in ('"other"', tag.strip('"'), ""):
        assert (await world.http.get(path, headers={"If-None-Match": other})).status_code == 200


@only_sqlite
@pytest.mark.threat("N93")
async def test_the_keys_are_public_and_of_every_algorithm(world: World) -> None:
    answer = await world.http.get("/jwks")
    assert answer.headers["cache-control"] == f"public, max-age={world.provider.settings.jwks_max_age}"
    keys = answer.json()["keys"]
    assert {key["alg"] for key in keys} == {"RS256", "PS256", "ES256", "EdDSA", "Ed25519"}
    assert len({key["kid"] for key in keys}) == len(keys)
    for key in keys:
        assert not key.keys() & {"d", "p", "q", "dp", "dq", "qi", "k"}
        assert key["use"] == "sig"
    assert len(VerificationKeys.from_jwks(answer.json(), frozenset(key["alg"] for key in keys))) == len(keys)


async def test_an_issuer_with_a_path_is_found_both_ways(tmp_path: Path) -> None:
    settings = settings_for("sqlite+aiosqlite:///x", tmp_path, issuer="https://gov.test/pintu")
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(Starlette(routes=routes(settings))), base_url="https://gov.test"
    ) as http:
        for path in (f"/pintu{OIDC}", f"{OAUTH}/pintu"):
            assert (await http.get(path)).json()["issuer"] == "https://gov.test/pintu"
    assert metadata(settings)["token_endpoint"] == "https://gov.test/pintu/token"


@only_sqlite
async def test_health_tells_life_from_readiness(world: World) -> None:
    assert (await world.http.get("/health/live")).json() == {"status": "live"}
    assert (await world.http.get("/health/ready")).json() == {"status": "ready"}


@only_sqlite
@pytest.mark.threat("N92")
async def test_without_a_database_it_is_alive_and_not_ready(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_self: Database) -> Any:
        raise ConnectionRefusedError("postgresql://satupintu:secret@db:5432")

    with monkeypatch.context() as patched:
        patched.setattr(Database, "reading", gone)
        answer = await world.http.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json() == {"status": "not ready", "missing": ["database"]}
        assert (await world.http.get("/health/live")).status_code == 200
