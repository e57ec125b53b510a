"""Registering apps: each rule refuses by name, secrets are shown once, agencies keep to themselves."""

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from idp.clients.management import (
    ClientRefused,
    ClientSpec,
    create_client,
    disable_client,
    list_clients,
    rotate_secret,
    show_client,
)
from idp.clients.models import Client
from idp.clients.spec import CHECKS, check
from idp.database import Database
from keys.entropy import Entropy
from tests.consent.registry import write_registry
from tests.support.assertions import AssertionKey
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite

pytestmark = pytest.mark.anyio
KEY = AssertionKey()
RSA = AssertionKey("RS256")


def spec(**changes: Any) -> ClientSpec:
    values: dict[str, Any] = {
        "agency_id": "a",
        "names": {"id": "Sehat Bersama"},
        "redirect_uris": ("https://app.test/callback",),
        "purpose_codes": ("kunjungan",),
    }
    return ClientSpec(**{**values, **changes})


SIGNING = {"token_endpoint_auth_method": "private_key_jwt", "jwks": KEY.jwks}
SPA = {"application_type": "spa"}
MACHINE = {"grant_types": ("client_credentials",), "redirect_uris": (), "purpose_codes": ()}

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"profile": "fapi1"}, "profile"),
    ({"application_type": "desktop"}, "application_type"),
    ({"subject_type": "ephemeral"}, "subject_type"),
    ({"names": {}}, "names"),
    ({"names": {"id": " "}}, "names"),
    ({"names": {"id": "x" * 101}}, "names"),
    ({"names": {"id": "Bank\nIndonesia"}}, "names"),
    ({"names": {"id": "Se\u202ehat"}}, "names"),
    ({"names": {"id": "Se\u200bhat"}}, "names"),
    ({"names": {"fr": "Santé"}}, "names"),
    ({"client_id": "A"}, "client_id"),
    ({"client_id": "x" * 43}, "client_id"),
    ({"client_id": "with space"}, "client_id"),
    ({"token_endpoint_auth_method": "client_secret_jwt"}, "token_endpoint_auth_method"),
    ({"token_endpoint_auth_method": "none"}, "token_endpoint_auth_method"),
    ({**SPA, "token_endpoint_auth_method": "client_secret_post"}, "token_endpoint_auth_method"),
    ({"application_type": "native", "token_endpoint_auth_method": "private_key_jwt"}, "token_endpoint_auth_method"),
    ({**SPA, "require_pkce": False}, "require_pkce"),
    ({"profile": "fapi2", **SIGNING, "require_pkce": False}, "require_pkce"),
    ({"profile": "fapi2", "token_endpoint_auth_method": "client_secret_basic"}, "token_endpoint_auth_method"),
    ({"token_endpoint_auth_method": "private_key_jwt"}, "jwks"),
    ({**SIGNING, "jwks": {"keys": []}}, "jwks"),
    ({**SIGNING, "jwks": {"keys": [{**KEY.jwk, "d": "AA"}]}}, "jwks"),
    ({**SIGNING, "jwks": {"keys": [{**KEY.jwk, "use": "enc"}]}}, "jwks"),
    ({**SIGNING, "jwks": {"keys": [{"kty": "oct", "k": "AA"}]}}, "jwks"),
    ({"profile": "fapi2", "token_endpoint_auth_method": "private_key_jwt", "jwks": RSA.jwks}, "jwks"),
    ({"grant_types": ()}, "grant_types"),
    ({"grant_types": ("password",)}, "grant_types"),
    ({"grant_types": ("implicit",)}, "grant_types"),
    ({"grant_types": ("refresh_token",)}, "grant_types"),
    ({**SPA, "grant_types": ("authorization_code", "client_credentials")}, "grant_types"),
    ({"redirect_uris": ()}, "redirect_uris"),
    ({"redirect_uris": ("http://app.test/callback",)}, "redirect_uris"),
    ({"redirect_uris": ("https://app.test/#x",)}, "redirect_uris"),
    ({"redirect_uris": ("https://*.app.test/",)}, "redirect_uris"),
    ({"redirect_uris": ("https://a@app.test/",)}, "redirect_uris"),
    ({"redirect_uris": ("https://app.test/", "https://app.test/")}, "redirect_uris"),
    ({"redirect_uris": tuple(f"https://app.test/{n}" for n in range(51))}, "redirect_uris"),
    ({"post_logout_redirect_uris": ("javascript:alert(1)",)}, "post_logout_redirect_uris"),
    ({"response_modes": ("fragment",)}, "response_modes"),
    ({"response_modes": ()}, "response_modes"),
    ({"scopes": ('a"b',)}, "scopes"),
    ({"scopes": ("a b",)}, "scopes"),
    ({"scopes": ("openid", "offline_access")}, "scopes"),
    ({**MACHINE, "scopes": ("openid",)}, "scopes"),
    ({"scopes": tuple(f"s{n}" for n in range(101))}, "scopes"),
    ({"id_token_signed_response_alg": "none"}, "id_token_signed_response_alg"),
    ({"id_token_signed_response_alg": "HS256"}, "id_token_signed_response_alg"),
    ({"userinfo_signed_response_alg": "ES512"}, "userinfo_signed_response_alg"),
    ({"profile": "fapi2", **SIGNING, "id_token_signed_response_alg": "RS256"}, "id_token_signed_response_alg"),
    ({"resources": ("api",)}, "resources"),
    ({"resources": ("https://api.test/#x",)}, "resources"),
    ({"allowed_resources": ("https://api.test/a b",)}, "allowed_resources"),
    ({"web_origins": ("https://app.test/",)}, "web_origins"),
    ({"web_origins": ("null",)}, "web_origins"),
    ({"web_origins": ("*",)}, "web_origins"),
    ({"web_origins": ("http://app.test",)}, "web_origins"),
    ({"web_origins": ("https://a@app.test",)}, "web_origins"),
    ({"web_origins": ("https://App.test",)}, "web_origins"),
    ({"default_max_age": -1}, "default_max_age"),
    ({"client_uri": "javascript:alert(1)"}, "client_uri"),
]


@pytest.mark.threat("N36", "N48", "N49", "N50", "N53")
@pytest.mark.parametrize(("changes", "member"), REFUSED, ids=[f"{member}-{n}" for n, (_, member) in enumerate(REFUSED)])
def test_what_breaks_a_rule_is_refused_by_the_members_name(changes: dict[str, Any], member: str) -> None:
    with pytest.raises(ClientRefused) as refused:
        check(spec(**changes))
    assert refused.value.member == member
    assert refused.value.rule
    assert str(refused.value) == f"{member}: {refused.value.rule}"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {**SIGNING},
        {**SPA, "web_origins": ("https://app.test", "http://localhost:5173", "https://app.test:8443")},
        {"application_type": "native", "redirect_uris": ("id.go.sehat:/callback", "http://127.0.0.1/callback")},
        {"require_pkce": False},
        {"profile": "fapi2", **SIGNING},
        {**MACHINE, "scopes": ("reports:read",), "allowed_resources": ("https://api.test", "urn:api:1")},
        {"redirect_uris": ("http://localhost:8001/callback",), "development": True},
    ],
)
def test_what_keeps_the_rules_passes(changes: dict[str, Any]) -> None:
    check(spec(**changes))


def test_defaults_follow_the_kind_of_app() -> None:
    assert spec().auth_method == "client_secret_basic"
    assert spec(**SPA).auth_method == "none"
    assert spec(application_type="native").auth_method == "none"
    assert spec(profile="fapi2").auth_method == "private_key_jwt"
    assert spec().id_token_alg == "RS256"
    assert spec(profile="fapi2").id_token_alg == "PS256"
    assert len(set(CHECKS)) == len(CHECKS)


# --- with a database ---


@pytest.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    async with database.transaction() as opened:
        yield opened


@pytest.fixture
async def agency_id(session: AsyncSession, clock: FakeClock, entropy: Entropy) -> str:
    return (await write_registry(session, now=clock(), entropy=entropy)).agency_id


async def test_a_secret_is_256_random_bits_shown_once_and_kept_as_a_hash(
    session: AsyncSession, agency_id: str, clock: FakeClock, entropy: Entropy
) -> None:
    client, secret = await create_client(session, spec(agency_id=agency_id), now=clock(), entropy=entropy)
    assert secret is not None
    assert len(secret) == 43
    assert client.client_id.startswith("app-")
    row = (await session.execute(select(*Client.__table__.c))).one()
    assert [stored["sha256"] for stored in row.secrets] == [hashlib.sha256(secret.encode()).hexdigest()]
    assert secret not in repr(tuple(row))


@only_sqlite
@pytest.mark.threat("N51")
async def test_apps_without_a_secret_get_none(
    session: AsyncSession, agency_id: str, clock: FakeClock, entropy: Entropy
) -> None:
    for changes in (SPA, SIGNING):
        client, secret = await create_client(
            session, spec(agency_id=agency_id, **changes), now=clock(), entropy=entropy
        )
        assert secret is None
        assert client.secrets == []
        with pytest.raises(ClientRefused):
            await rotate_secret(session, client.client_id, now=clock(), entropy=entropy)


@pytest.mark.parametrize(
    ("changes", "member"),
    [
        ({"agency_id": "00000000-0000-4000-8000-000000000000"}, "agency_id"),
        ({"purpose_codes": ("no-such-purpose",)}, "purpose_codes"),
        ({"purpose_codes": ("pajak",)}, "purpose_codes"),
        ({"purpose_codes": ()}, "purpose_codes"),
        ({"resources": ("https://api.pajak.test",)}, "resources"),
        ({"client_id": "taken"}, "client_id"),
    ],
)
async def test_an_app_belongs_to_one_agency_and_takes_nothing_of_anothers(
    session: AsyncSession, agency_id: str, clock: FakeClock, entropy: Entropy, changes: dict[str, Any], member: str
) -> None:
    other = await write_registry(session, now=clock(), entropy=entropy, agency="keuangan", code="pajak")
    foreign = spec(
        agency_id=other.agency_id, client_id="taken", purpose_codes=("pajak",), resources=("https://api.pajak.test",)
    )
    await create_client(session, foreign, now=clock(), entropy=entropy)
    with pytest.raises(ClientRefused) as refused:
        await create_client(session, spec(**{"agency_id": agency_id, **changes}), now=clock(), entropy=entropy)
    assert refused.value.member == member


async def test_rotation_keeps_the_old_secret_for_a_while_and_no_longer(
    session: AsyncSession, agency_id: str, clock: FakeClock, entropy: Entropy
) -> None:
    client, _first = await create_client(session, spec(agency_id=agency_id), now=clock(), entropy=entropy)
    hour = timedelta(hours=1)
    await rotate_secret(session, client.client_id, keep_old_for=hour, now=clock(), entropy=entropy)
    ends = [stored["expires_at"] for stored in client.secrets]
    assert ends == [None, (clock() + hour).isoformat()]
    clock.advance(minutes=30)
    # A second rotation must not prolong what was to end sooner.
    await rotate_secret(session, client.client_id, keep_old_for=hour, now=clock(), entropy=entropy)
    assert [stored["expires_at"] for stored in client.secrets][-1] == (clock() + timedelta(minutes=30)).isoformat()
    await rotate_secret(session, client.client_id, now=clock(), entropy=entropy)
    assert len(client.secrets) == 1


@only_sqlite
async def test_apps_can_be_listed_shown_and_disabled(
    session: AsyncSession, agency_id: str, clock: FakeClock, entropy: Entropy
) -> None:
    for client_id in ("sehat", "aman"):
        await create_client(session, spec(agency_id=agency_id, client_id=client_id), now=clock(), entropy=entropy)
    assert [client.client_id for client in await list_clients(session)] == ["aman", "sehat"]
    assert [client.client_id for client in await list_clients(session, agency_id=agency_id)] == ["aman", "sehat"]
    disabled_at = clock()
    await disable_client(session, "sehat", now=clock())
    clock.advance(60)
    await disable_client(session, "sehat", now=clock())
    shown = await show_client(session, "sehat")
    assert (shown.status, shown.disabled_at) == ("disabled", disabled_at)
    with pytest.raises(ClientRefused):
        await show_client(session, "nobody")
