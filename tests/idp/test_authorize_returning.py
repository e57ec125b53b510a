"""Somebody who is signed in and agreed before, a hint about who it should be, and requests by POST."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from sqlalchemy import select

from consent.decisions import withdraw
from idp.interaction.models import Interaction
from idp.provider import Provider
from idp.tokens.id_token import mint
from tests.idp.authorize_answers import agree, assert_is_a_page_only, told
from tests.idp.authorize_world import CALLBACK, World, make_world, register_app
from tests.support.statements import statements

pytestmark = pytest.mark.anyio

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def world(provider: Provider) -> World:
    """An agency, a purpose, an app and two people."""
    return await make_world(provider)


# --- a session and a consent that covers the request ---


async def test_a_covered_request_is_answered_in_one_redirect_and_keeps_nothing_else(
    world: World, client: httpx2.AsyncClient
) -> None:
    session_id = await world.sign_in(client, world.siti)
    consent_id = await agree(world, world.siti)
    response = await client.get(world.address(scope="openid profile email", claims='{"id_token":{"email":null}}'))
    answer = told(response)
    assert answer.keys() == {"code", "state", "iss"}
    assert len(answer["code"]) == 43
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in response.headers
    assert await world.count(Interaction) == 0
    (authorization,) = await world.authorizations()
    now = world.provider.clock()
    assert authorization.consent_id == consent_id
    assert authorization.session_id == session_id
    assert authorization.account_id == world.siti
    assert authorization.subject == world.provider.subjects.sub_for(world.siti, world.client)
    assert (authorization.redirect_uri, authorization.redirect_uri_was_sent) == (CALLBACK, True)
    assert (authorization.scope, authorization.nonce) == ("openid profile email", "n0nce")
    assert authorization.claims == {"id_token": {"email": None}}
    assert (authorization.code_expires_at - now).total_seconds() == 60
    assert authorization.redeemed_at is None
    assert not authorization.offline


async def test_a_covered_request_costs_two_statements(world: World, client: httpx2.AsyncClient) -> None:
    await world.sign_in(client, world.siti)
    await agree(world, world.siti)
    told(await client.get(world.address()))
    with statements(world.provider.database) as seen:
        told(await client.get(world.address()))
    assert len(seen) == 2, seen


async def test_prompt_none_is_answered_when_nothing_is_missing(world: World, client: httpx2.AsyncClient) -> None:
    await world.sign_in(client, world.siti)
    await agree(world, world.siti)
    assert "code" in told(await client.get(world.address(prompt="none")))
    assert "code" in told(await client.get(world.address(prompt="none", max_age="60")))


@pytest.mark.threat("N69", "N71")
async def test_prompt_none_refuses_what_would_need_the_person(world: World, client: httpx2.AsyncClient) -> None:
    await world.sign_in(client, world.siti)
    await agree(world, world.siti)
    cases: list[tuple[dict[str, str], str | None]] = [
        ({"scope": "openid profile email offline_access"}, "consent_required"),
        ({"claims": '{"userinfo":{"phone_number":null}}'}, None),
        ({"max_age": "0"}, "login_required"),
        ({"claims": '{"id_token":{"sub":{"value":"somebody else"}}}'}, "login_required"),
        ({"claims": '{"userinfo":{"sub":{"value":"somebody else"}}}'}, "login_required"),
        ({"acr_values": "urn:other"}, None),
        ({"claims": '{"id_token":{"acr":{"values":["urn:other"]}}}'}, None),
        ({"claims": '{"id_token":{"acr":{"essential":true}}}'}, None),
    ]
    for changes, error in cases:
        answer = told(await client.get(world.address(prompt="none", **changes)))
        assert answer.get("error") == error, changes
    assert await world.count(Interaction) == 0


@pytest.mark.threat("N69", "N70")
async def test_prompt_none_after_a_withdrawal_needs_consent(world: World, client: httpx2.AsyncClient) -> None:
    await world.sign_in(client, world.siti)
    consent_id = await agree(world, world.siti)
    now, entropy = world.provider.clock(), world.provider.entropy
    async with world.provider.database.transaction() as session:
        await withdraw(session, consent_id=consent_id, subject_id=world.siti, now=now, entropy=entropy)
    assert told(await client.get(world.address(prompt="none")))["error"] == "consent_required"


async def test_one_persons_consent_does_not_let_another_in(world: World, client: httpx2.AsyncClient) -> None:
    await world.sign_in(client, world.budi)
    await agree(world, world.siti)
    assert told(await client.get(world.address(prompt="none")))["error"] == "consent_required"


async def test_a_new_version_of_the_purpose_needs_a_new_consent(world: World, client: httpx2.AsyncClient) -> None:
    await world.sign_in(client, world.siti)
    await agree(world, world.siti)
    await world.new_version(retention_days=730)
    assert told(await client.get(world.address(prompt="none")))["error"] == "consent_required"


async def test_offline_access_goes_into_the_authorization_only_when_agreed(
    world: World, client: httpx2.AsyncClient
) -> None:
    await world.sign_in(client, world.siti)
    await agree(world, world.siti, offline_access=True)
    told(await client.get(world.address(scope="openid email offline_access")))
    (authorization,) = await world.authorizations()
    assert authorization.offline
    assert authorization.scope == "openid email offline_access"


@pytest.mark.threat("N70")
async def test_a_public_app_that_anybody_could_be_never_passes_silently(
    world: World, client: httpx2.AsyncClient
) -> None:
    async with world.provider.database.transaction() as session:
        await register_app(
            session,
            world.provider,
            world.version,
            client_id="saku",
            application_type="native",
            redirect_uris=("http://127.0.0.1/cb",),
        )
    await world.sign_in(client, world.siti)
    await agree(world, world.siti, client_id="saku")
    changes = {"client_id": "saku", "redirect_uri": "http://127.0.0.1:49152/cb"}
    response = await client.get(world.address(**changes, prompt="none"))
    location = urlsplit(response.headers["location"])
    assert location.netloc == "127.0.0.1:49152"
    assert parse_qs(location.query)["error"] == ["consent_required"]
    response = await client.get(world.address(**changes))
    assert response.headers["location"].startswith("/consent?")


async def hint_of(world: World, account_id: str, **changes: Any) -> str:
    """An ID token of the app about a person."""
    client = replace(world.client, **changes)
    return await mint(
        world.provider,
        client,
        subject=world.provider.subjects.sub_for(account_id, client),
        sid="sid",
        auth_time=world.clock(),
        acr="urn:satupintu:acr:password",
        amr=["pwd"],
        nonce=None,
        access_token="x",
        released={},
        now=world.clock(),
    )


@pytest.mark.threat("N30", "N69")
async def test_a_hint_says_who_is_expected_also_when_it_has_expired(world: World, client: httpx2.AsyncClient) -> None:
    siti, budi = await hint_of(world, world.siti), await hint_of(world, world.budi)
    foreign = await hint_of(world, world.siti, client_id="other")
    header, payload, signature = siti.split(".")
    world.clock.advance(hours=2)
    await world.sign_in(client, world.siti)
    await agree(world, world.siti)
    for hint, error in (
        (siti, None),
        (budi, "login_required"),
        (foreign, "invalid_request"),
        (f"{header}.{payload}.{signature[::-1]}", "invalid_request"),
        (f"{header}.{payload}.", "invalid_request"),
    ):
        answer = told(await client.get(world.address(prompt="none", id_token_hint=hint)))
        assert answer.get("error") == error
    response = await client.get(world.address(id_token_hint=budi))
    assert response.headers["location"].startswith("/login?")
    async with world.provider.database.reading() as session:
        kept = await session.scalar(select(Interaction.request))
    assert kept is not None
    assert budi not in json.dumps(kept)


# --- POST ---


async def test_a_post_with_cookies_is_answered_where_it_is(world: World, client: httpx2.AsyncClient) -> None:
    await world.sign_in(client, world.siti)
    await agree(world, world.siti)
    response = await client.post("/authorize", content=urlencode(world.request()), headers=FORM)
    assert "code" in told(response)


async def test_a_post_from_another_site_comes_again_as_a_get_with_its_cookies(
    world: World, client: httpx2.AsyncClient
) -> None:
    """SameSite=Lax keeps cookies back on a cross-site POST; without this hop, nobody would seem to be signed in."""
    sent = world.request(state="a b&c=d", claims='{"id_token":{"email":null}}')
    response = await client.post("/authorize", content=urlencode(sent), headers=FORM)
    assert response.status_code == 303
    assert "set-cookie" not in response.headers
    location = urlsplit(response.headers["location"])
    assert (location.netloc, location.path) == ("", "/authorize")
    assert dict(parse_qsl(location.query)) == sent


@pytest.mark.threat("N67")
async def test_a_post_from_another_site_too_long_for_an_address_cannot_change_the_browsers_cookie(
    world: World, client: httpx2.AsyncClient
) -> None:
    claims = json.dumps({"userinfo": {f"urn:example:{n}:{'%' * 20}": None for n in range(70)}})
    asked = urlencode(world.request(claims=claims, nonce="%" * 900))
    assert len(asked) > 6000
    response = await client.post("/authorize", content=asked, headers=FORM)
    assert_is_a_page_only(response)
    assert "set-cookie" not in response.headers


@pytest.mark.threat("N84")
async def test_the_browsers_cookie_is_its_own_and_carries_nothing_of_the_request(
    world: World, client: httpx2.AsyncClient
) -> None:
    response = await client.get(world.address())
    assert response.status_code == 303
    assert response.headers["location"].startswith("/login?interaction=")
    assert "sehat" not in response.headers["location"]
    (cookie,) = response.headers.get_list("set-cookie")
    for attribute in ("__Host-browser=", "Secure", "HttpOnly", "Path=/", "SameSite=lax"):
        assert attribute in cookie
    assert "Domain" not in cookie
    again = await client.get(world.address())
    assert "set-cookie" not in again.headers
