"""What /authorize answers before any page: to the person when the app cannot be trusted, to the app otherwise."""

import json
from urllib.parse import urlencode

import httpx2
import pytest
from sqlalchemy import update

from idp.clients.models import Client
from idp.interaction.models import Interaction
from idp.provider import Provider
from idp.tokens.models import Authorization
from tests.idp.authorize_answers import assert_is_a_page_only, told
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
