"""What /authorize answers before any page: to the person when the app cannot be trusted, to the app otherwise."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from sqlalchemy import event, select, update

from consent.decisions import withdraw
from idp.clients.models import Client
from idp.interaction.models import Interaction
from idp.provider import Provider
from idp.tokens.id_token import mint
from idp.tokens.models import Authorization
from tests.consent.registry import grant_to
from tests.idp.authorize_world import CALLBACK, World, make_world, register_app
from tests.support.html import read_html

pytestmark = pytest.mark.anyio

FORM = {"Content-Type": "application/x-www-form-urlencoded"}

BROKEN: dict[str, tuple[dict[str, str | None], str]] = {
    "no response_type": ({"response_type": None}, "invalid_request"),
    "response_type=token": ({"response_type": "token"}, "unsupported_response_type"),
    "response_type=code token": ({"response_type": "code token"}, "unsupported_response_type"),
    "response_type=none": ({"response_type": "none"}, "unsupported_response_type"),
    "response_mode=fragment": ({"response_mode": "fragment"}, "invalid_request"),
    "scope without openid": ({"scope": "profile"}, "invalid_scope"),
    "no scope": ({"scope": None}, "invalid_scope"),
    "scope that is not the app's": ({"scope": "openid phone"}, "invalid_scope"),
    "scope of 50,000 characters": ({"scope": "openid " + "x" * 20_000}, "invalid_request"),
    "malformed scope": ({"scope": 'openid "'}, "invalid_scope"),
    "unknown prompt": ({"prompt": "create"}, "invalid_request"),
    "prompt=none login": ({"prompt": "none login"}, "invalid_request"),
    "max_age=-1": ({"max_age": "-1"}, "invalid_request"),
    "claims is a list": ({"claims": "[]"}, "invalid_request"),
    "claims of 10,000 names": (
        {"claims": json.dumps({"userinfo": {str(n): None for n in range(1500)}})},
        "invalid_request",
    ),
    "no code_challenge": ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    "code_challenge_method=plain": ({"code_challenge_method": "plain"}, "invalid_request"),
    "code_challenge of 42": ({"code_challenge": "x" * 42}, "invalid_request"),
    "unknown display": ({"display": "x"}, "invalid_request"),
    "request object": ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
    "request_uri": ({"request_uri": "https://evil.test/r"}, "request_uri_not_supported"),
    "registration": ({"registration": "{}"}, "registration_not_supported"),
    "unknown resource": ({"resource": "https://other.test"}, "invalid_target"),
    "unknown details": ({"authorization_details": '[{"type":"x"}]'}, "invalid_authorization_details"),
    "another app's purpose": (
        {"authorization_details": '[{"type":"satupintu_purpose","purpose":"pajak"}]'},
        "invalid_authorization_details",
    ),
    "datatypes that the purpose lacks": (
        {
            "authorization_details": '[{"type":"satupintu_purpose","purpose":"kunjungan","datatypes":["address"]}]',
        },
        "invalid_authorization_details",
    ),
    "forged hint": ({"id_token_hint": "eyJhbGciOiJub25lIn0.e30."}, "invalid_request"),
    "unreachable acr": (
        {"claims": '{"id_token": {"acr": {"essential": true, "values": ["urn:other"]}}}'},
        "unmet_authentication_requirements",
    ),
    "prompt=none and nobody there": ({"prompt": "none"}, "login_required"),
}


@pytest.fixture
async def world(provider: Provider) -> World:
    """An agency, a purpose, an app and two people."""
    return await make_world(provider)


def told(response: httpx2.Response) -> dict[str, str]:
    """What the app was told by redirect."""
    assert response.status_code == 303, response.text
    location = response.headers["location"]
    assert location.startswith(CALLBACK + "?")
    pairs = parse_qsl(urlsplit(location).query, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def assert_is_a_page_only(response: httpx2.Response) -> None:
    """A refusal for the person's eyes; nobody is redirected anywhere."""
    assert response.status_code == 400
    assert "location" not in response.headers
    assert "refresh" not in response.headers
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
    targets = [
        value
        for _, attributes in read_html(response.text).elements
        for name, value in attributes.items()
        if name in {"href", "src", "action", "formaction", "content"} and value and "://" in value
    ]
    assert targets == []


async def agree(world: World, account_id: str, **changes: Any) -> str:
    """The person's consent for the app."""
    async with world.provider.database.transaction() as session:
        return await grant_to(
            session,
            world.version,
            now=world.provider.clock(),
            entropy=world.provider.entropy,
            subject_id=account_id,
            **changes,
        )


@pytest.mark.threat("N21")
async def test_a_broken_request_is_told_to_the_app_with_state_and_issuer(
    world: World, client: httpx2.AsyncClient
) -> None:
    for problem, (changes, code) in BROKEN.items():
        answer = told(await client.get(world.address(**changes)))
        assert answer["error"] == code, problem
        assert answer["state"] == "st4te", problem
        assert answer["iss"] == "https://idp.test", problem
        assert answer["error_description"], problem
        assert "code" not in answer, problem
    assert await world.count(Authorization) == 0
    assert await world.count(Interaction) == 0


@pytest.mark.threat("N17")
async def test_no_error_ever_redirects_to_an_unregistered_address(world: World, client: httpx2.AsyncClient) -> None:
    strangers = ("https://evil.test/cb", f"{CALLBACK}/", f"{CALLBACK}@evil.test", "javascript:alert(1)", "x")
    for changes, _ in [*BROKEN.values(), ({}, "")]:
        for redirect_uri in strangers:
            sent = urlencode(world.request(**{**changes, "redirect_uri": redirect_uri}))
            assert_is_a_page_only(await client.get(f"/authorize?{sent}"))
            assert_is_a_page_only(await client.post("/authorize", content=sent, headers=FORM))


@pytest.mark.threat("N17")
async def test_an_unknown_app_gets_no_redirect(world: World, client: httpx2.AsyncClient) -> None:
    for client_id in (None, "", "unknown", "x" * 300, "sehat\x00", "' OR 1=1 --", "SEHAT"):
        assert_is_a_page_only(await client.get(world.address(client_id=client_id)))


async def test_a_disabled_app_gets_no_redirect(world: World, client: httpx2.AsyncClient) -> None:
    async with world.provider.database.transaction() as session:
        await session.execute(update(Client).values(status="disabled"))
    world.provider.clients.forget()
    assert_is_a_page_only(await client.get(world.address()))


@pytest.mark.threat("N11")
async def test_without_a_redirect_uri_an_app_with_two_gets_a_page(world: World, client: httpx2.AsyncClient) -> None:
    assert told(await client.get(world.address(redirect_uri=None, prompt="none")))["error"] == "login_required"
    async with world.provider.database.transaction() as session:
        await register_app(
            session, world.provider, world.version, client_id="dua", redirect_uris=(CALLBACK, CALLBACK + "/2")
        )
    assert_is_a_page_only(await client.get(world.address(client_id="dua", redirect_uri=None)))


@pytest.mark.threat("N13")
async def test_a_parameter_sent_twice_is_refused(world: World, client: httpx2.AsyncClient) -> None:
    for name in ("redirect_uri", "client_id", "scope", "state", "response_type", "nonce", "unknown"):
        sent = urlencode([*world.request(unknown="x").items(), (name, "https://evil.test/cb")])
        assert_is_a_page_only(await client.get(f"/authorize?{sent}"))
        assert_is_a_page_only(await client.post("/authorize", content=sent, headers=FORM))


@pytest.mark.threat("N13")
async def test_parameters_split_over_query_and_body_are_refused(world: World, client: httpx2.AsyncClient) -> None:
    sent = world.request()
    query = urlencode({"redirect_uri": sent.pop("redirect_uri")})
    assert_is_a_page_only(await client.post(f"/authorize?{query}", content=urlencode(sent), headers=FORM))


@pytest.mark.threat("N86")
async def test_a_body_of_another_type_is_refused(world: World, client: httpx2.AsyncClient) -> None:
    for content_type in ("application/json", "text/plain", "multipart/form-data; boundary=x", ""):
        headers = {"Content-Type": content_type}
        assert_is_a_page_only(await client.post("/authorize", content=urlencode(world.request()), headers=headers))


@pytest.mark.threat("N86")
async def test_other_methods_are_not_allowed(world: World, client: httpx2.AsyncClient) -> None:
    for method in ("HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"):
        response = await client.request(method, world.address())
        assert response.status_code == 405
        assert "location" not in response.headers


@pytest.mark.threat("N87")
async def test_a_request_of_no_honest_size_or_encoding_is_refused(world: World, client: httpx2.AsyncClient) -> None:
    for query in (
        "&".join(f"p{n}=1" for n in range(5_000)),
        "state=" + "x" * 50_000,
        "client_id=%ff",
        "client_id=%",
        "%00=%00",
        "client_id=" + "%F0%9F%92%A9" * 300,
        "=&&&=&",
    ):
        assert_is_a_page_only(await client.get(f"/authorize?{query}"))
        assert_is_a_page_only(await client.post("/authorize", content=query, headers=FORM))


@pytest.mark.threat("N89")
async def test_what_an_app_sends_cannot_break_out_of_the_error(world: World, client: httpx2.AsyncClient) -> None:
    state = "\"'><script>alert(1)</script>&error=none#x"
    for changes in ({"prompt": "<script>"}, {"scope": "openid <script>"}, {"display": '"\\é'}):
        answer = told(await client.get(world.address(state=state, **changes)))
        assert answer["state"] == state
        allowed = set(map(chr, range(0x20, 0x7F))) - set('"\\')
        assert set(answer["error_description"]) <= allowed


async def test_an_error_without_state_has_none(world: World, client: httpx2.AsyncClient) -> None:
    assert "state" not in told(await client.get(world.address(state=None, scope=None)))


@pytest.mark.threat("N87")
async def test_a_state_that_is_too_long_is_an_error_and_is_not_sent_back(
    world: World, client: httpx2.AsyncClient
) -> None:
    answer = told(await client.get(world.address(state="x" * 2049)))
    assert answer["error"] == "invalid_request"
    assert "state" not in answer


@pytest.mark.threat("N18")
async def test_an_error_by_form_post_is_a_page_that_cannot_run_what_was_sent(
    world: World, client: httpx2.AsyncClient
) -> None:
    state = '"><script>alert(1)</script>'
    response = await client.get(world.address(response_mode="form_post", state=state, prompt="none"))
    assert response.status_code == 200
    assert "location" not in response.headers
    (form,) = read_html(response.text).forms
    assert (form.method, form.action) == ("post", CALLBACK)
    fields = {field.name: field.value for field in form.fields if field.name}
    assert fields["error"] == "login_required"
    assert (fields["state"], fields["iss"]) == (state, "https://idp.test")
    assert "<script>alert" not in response.text
    policy = response.headers["content-security-policy"]
    assert "form-action 'self' https://sehat.test;" in policy
    assert "unsafe" not in policy
    assert response.headers["referrer-policy"] in {"no-referrer", "same-origin"}  # nothing to another origin
    assert response.headers["cache-control"] == "no-store"


async def test_an_error_about_the_mode_itself_travels_in_a_mode_that_the_app_has(
    world: World, client: httpx2.AsyncClient
) -> None:
    async with world.provider.database.transaction() as session:
        await register_app(session, world.provider, world.version, client_id="pos", response_modes=("form_post",))
    response = await client.get(world.address(client_id="pos", response_mode="query"))
    (form,) = read_html(response.text).forms
    assert "invalid_request" in {field.value for field in form.fields}
    answer = told(await client.get(world.address(response_mode="fragment")))
    assert answer["error"] == "invalid_request"


async def test_the_query_of_a_redirect_uri_stays(world: World, client: httpx2.AsyncClient) -> None:
    uri = "https://sehat.test/cb?tenant=a%20b"
    async with world.provider.database.transaction() as session:
        await register_app(session, world.provider, world.version, client_id="kueri", redirect_uris=(uri,))
    response = await client.get(world.address(client_id="kueri", redirect_uri=uri, prompt="none"))
    assert response.headers["location"].startswith(f"{uri}&error=login_required")


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


@contextmanager
def statements(provider: Provider) -> Iterator[list[str]]:
    """The statements that the provider's database gets."""
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(provider.database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(provider.database.engine.sync_engine, "before_cursor_execute", note)


async def test_a_covered_request_costs_three_statements(world: World, client: httpx2.AsyncClient) -> None:
    await world.sign_in(client, world.siti)
    await agree(world, world.siti)
    told(await client.get(world.address()))
    with statements(world.provider) as seen:
        told(await client.get(world.address()))
    assert len([statement for statement in seen if not statement.startswith("BEGIN")]) == 3, seen


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


async def test_a_post_too_long_for_an_address_is_answered_where_it_is(world: World, client: httpx2.AsyncClient) -> None:
    claims = json.dumps({"userinfo": {f"urn:example:{n}:{'x' * 80}": None for n in range(99)}})
    response = await client.post("/authorize", content=urlencode(world.request(claims=claims)), headers=FORM)
    assert response.headers["location"].startswith("/login?interaction=")
    assert "__Host-browser" in response.headers["set-cookie"]


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
