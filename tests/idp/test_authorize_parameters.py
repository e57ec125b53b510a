"""Requests are read into types, within limits, and the interaction's row gives back what was put in."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.authorize.claims import ClaimsRequest, Wish, parse_claims
from idp.authorize.details import PurposeDetail, parse_details
from idp.authorize.parameters import (
    MAX_CHARS,
    AuthorizationRequest,
    echoable_state,
    parse_request,
)
from idp.errors import InvalidAuthorizationDetails, InvalidRequest, InvalidScope, OAuthError
from tests.idp.authorize_world import CALLBACK, parsed, request_of


def read(**changes: str | None) -> AuthorizationRequest:
    """An honest request with changes, read."""
    return parse_request(request_of(**changes), client_id="sehat", redirect_uri=CALLBACK, redirect_uri_was_sent=True)


def test_an_honest_request_is_read() -> None:
    request = read(
        response_mode="form_post",
        prompt="login consent",
        max_age="0",
        login_hint="siti",
        ui_locales="id en",
        claims_locales="en",
        acr_values="a b",
        display="popup",
        claims='{"userinfo": {"email": null}}',
        resource="https://api.test https://other.test",
        authorization_details='[{"type": "satupintu_purpose", "purpose": "kunjungan", "datatypes": ["gender"]}]',
        an_unknown_parameter="ignored",
    )
    assert request.scope == ("openid", "profile", "email")
    assert request.prompt == {"login", "consent"}
    assert request.max_age == 0
    assert request.ui_locales == ("id", "en")
    assert request.claims == ClaimsRequest(userinfo={"email": Wish()})
    assert request.resources == ("https://api.test", "https://other.test")
    assert request.authorization_details == PurposeDetail("kunjungan", ("gender",))
    assert request.not_supported == ()


@pytest.mark.parametrize("name", ["request", "request_uri", "registration"])
def test_what_we_do_not_support_is_noted(name: str) -> None:
    assert read(**{name: "x"}).not_supported == (name,)


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
wishes = st.builds(
    Wish, st.booleans(), st.lists(st.one_of(texts, st.integers(-9, 9), st.booleans()), max_size=3).map(tuple)
)
requests = st.builds(
    AuthorizationRequest,
    client_id=texts,
    redirect_uri=texts,
    redirect_uri_was_sent=st.booleans(),
    response_type=st.just("code"),
    response_mode=st.sampled_from([None, "query", "form_post"]),
    scope=st.lists(texts, unique=True, max_size=4).map(tuple),
    state=st.none() | texts,
    nonce=st.none() | texts,
    prompt=st.frozensets(st.sampled_from(["login", "consent"])),
    max_age=st.none() | st.integers(0, 10**9),
    hinted_subject=st.none() | texts,
    ui_locales=st.lists(texts, max_size=2).map(tuple),
    claims=st.builds(
        ClaimsRequest,
        userinfo=st.dictionaries(texts, wishes, max_size=3),
        id_token=st.dictionaries(texts, wishes, max_size=3),
    ),
    code_challenge=st.none() | texts,
    resources=st.lists(texts, max_size=2).map(tuple),
    authorization_details=st.none()
    | st.builds(PurposeDetail, texts, st.lists(texts, unique=True, max_size=2).map(tuple)),
)


@given(requests)
def test_the_row_gives_back_the_request(request: AuthorizationRequest) -> None:
    kept = json.loads(json.dumps(request.to_json()))
    assert AuthorizationRequest.from_json(kept) == request


def test_a_verified_hint_is_kept_without_its_token() -> None:
    assert "id_token_hint" not in parsed(hinted_subject="sub").to_json()


@pytest.mark.threat("N87")
@pytest.mark.parametrize("name", [name for name in MAX_CHARS if name not in {"max_age", "scope"}])
def test_every_parameter_has_a_length_that_is_enough(name: str) -> None:
    read(**{name: "x" * MAX_CHARS[name]})
    with pytest.raises(InvalidRequest, match=f"{name} is longer than {MAX_CHARS[name]} characters"):
        read(**{name: "x" * (MAX_CHARS[name] + 1)})


@pytest.mark.threat("N87", "N88")
def test_a_huge_scope_is_refused_at_once() -> None:
    begun = time.perf_counter()
    with pytest.raises(InvalidRequest):
        read(scope="openid " + "a" * 50_000)
    with pytest.raises(InvalidRequest):
        read(scope="openid" + " a" * 25_000)
    assert time.perf_counter() - begun < 0.1


@pytest.mark.threat("N89")
@pytest.mark.parametrize("name", ["state", "nonce", "scope", "login_hint", "ui_locales", "display", "prompt"])
@pytest.mark.parametrize("character", ["\x00", "\r", "\n", "\x7f", "\x85", "\u2028"])
def test_control_characters_are_refused(name: str, character: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{name} has a control character"):
        read(**{name: f"openid{character}x"})


@pytest.mark.parametrize(
    "scope", ["openid  email", " openid", "openid ", 'openid "x"', "openid \\", "openid é", "openid\u00a0email"]
)
def test_a_malformed_scope_is_refused(scope: str) -> None:
    with pytest.raises(InvalidScope):
        read(scope=scope)


def test_a_scope_sent_twice_counts_once() -> None:
    assert read(scope="openid email openid").scope == ("openid", "email")


@pytest.mark.parametrize("max_age", ["-1", "+1", "1.5", "1e3", "x", "0x10", " 5", "٣", "99999999999"])
def test_a_malformed_max_age_is_refused(max_age: str) -> None:
    with pytest.raises(InvalidRequest):
        read(max_age=max_age)


def test_at_most_ten_resources() -> None:
    with pytest.raises(InvalidRequest):
        read(resource=" ".join(f"https://{n}.test" for n in range(11)))


def test_a_state_that_is_itself_wrong_is_not_sent_back() -> None:
    assert echoable_state({"state": "x"}) == "x"
    assert echoable_state({}) is None
    assert echoable_state({"state": "x" * 2049}) is None
    assert echoable_state({"state": "x\r\nSet-Cookie: a=b"}) is None


# --- the claims parameter ---


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("{}", ClaimsRequest()),
        ('{"unknown": 1}', ClaimsRequest()),
        ('{"userinfo": {"email": null}}', ClaimsRequest(userinfo={"email": Wish()})),
        ('{"userinfo": {"email": {}}}', ClaimsRequest(userinfo={"email": Wish()})),
        ('{"userinfo": {"email": {"unknown": 1}}}', ClaimsRequest(userinfo={"email": Wish()})),
        ('{"id_token": {"email": {"essential": true}}}', ClaimsRequest(id_token={"email": Wish(True)})),
        ('{"id_token": {"sub": {"value": "x"}}}', ClaimsRequest(id_token={"sub": Wish(False, ("x",))})),
        (
            '{"id_token": {"acr": {"essential": true, "values": ["a", "b"]}}}',
            ClaimsRequest(id_token={"acr": Wish(True, ("a", "b"))}),
        ),
        ('{"userinfo": {"__proto__": null}}', ClaimsRequest(userinfo={"__proto__": Wish()})),
    ],
)
def test_claims_are_read_for_both_destinations(sent: str, expected: ClaimsRequest) -> None:
    assert parse_claims(sent) == expected


@pytest.mark.threat("N70", "N87")
@pytest.mark.parametrize(
    "sent",
    [
        "",
        "x",
        "[]",
        "null",
        '"x"',
        "1",
        '{"userinfo": []}',
        '{"userinfo": "email"}',
        '{"userinfo": {"email": true}}',
        '{"userinfo": {"email": "x"}}',
        '{"userinfo": {"email": []}}',
        '{"userinfo": {"email": {"essential": "true"}}}',
        '{"userinfo": {"email": {"essential": 1}}}',
        '{"userinfo": {"email": {"values": "x"}}}',
        '{"userinfo": {"email": {"value": 1, "values": [1]}}}',
        '{"userinfo": {"": null}}',
        '{"userinfo": {"email": null, "email": null}}',
        '{"userinfo": {}, "userinfo": {}}',
        '{"userinfo": {"email": {"value": NaN}}}',
        '{"userinfo": {"email": {"value": 1e400}}}',
        '{"userinfo": {"\\ud800": null}}',
        '{"userinfo": {"\\u0000": null}}',
        '{"userinfo": {"' + "x" * 201 + '": null}}',
        '{"userinfo": {' + ",".join(f'"c{n}": null' for n in range(101)) + "}}",
        '{"userinfo": {"email": {"value": ' + "[" * 2000 + "]" * 2000 + "}}}",
        "[" * 16000,
        '{"userinfo": {"x": "' + "x" * 20_000 + '"}}',
        '{"userinfo": ' + "{" * 100_000,
    ],
    ids=lambda sent: sent[:40],
)
def test_claims_of_another_shape_are_refused_quickly(sent: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(InvalidRequest):
        parse_claims(sent)
    assert time.perf_counter() - begun < 0.1


@given(st.text(max_size=200) | st.recursive(st.none() | st.booleans() | st.text(max_size=5), st.lists).map(json.dumps))
def test_no_claims_parameter_is_a_bug(sent: str) -> None:
    try:
        parse_claims(sent)
    except OAuthError:
        return


# --- authorization_details ---


@pytest.mark.parametrize(
    "details",
    [
        "x",
        "{}",
        "[]",
        "null",
        "[1]",
        "[{}]",
        '[{"type": "other", "purpose": "kunjungan"}]',
        '[{"type": ["satupintu_purpose"], "purpose": "kunjungan"}]',
        '[{"type": "satupintu_purpose"}]',
        '[{"type": "satupintu_purpose", "purpose": 1}]',
        '[{"type": "satupintu_purpose", "purpose": ""}]',
        '[{"type": "satupintu_purpose", "purpose": "kunjungan", "agreement_id": "x"}]',
        '[{"type": "satupintu_purpose", "purpose": "kunjungan", "identifier": "x"}]',
        '[{"type": "satupintu_purpose", "purpose": "kunjungan", "locations": "https://a.test"}]',
        '[{"type": "satupintu_purpose", "purpose": "kunjungan", "actions": ["write"]}]',
        '[{"type": "satupintu_purpose", "purpose": "kunjungan", "purpose_version": 0}]',
        '[{"type": "satupintu_purpose", "purpose": "kunjungan", "purpose_version": true}]',
        '[{"type": "satupintu_purpose", "purpose": "kunjungan", "purpose_version": "1"}]',
        '[{"type": "satupintu_purpose", "purpose": "kunjungan", "purpose_version": null}]',
        '[{"type": "satupintu_purpose", "purpose": "kunjungan", "datatypes": "email"}]',
        '[{"type": "satupintu_purpose", "purpose": "kunjungan", "datatypes": [1]}]',
        '[{"type": "satupintu_purpose", "purpose": "kunjungan", "datatypes": [""]}]',
        json.dumps([{"type": "satupintu_purpose", "purpose": "kunjungan", "datatypes": ["x"] * 101}]),
        json.dumps([{"type": "satupintu_purpose", "purpose": "kunjungan"}] * 2),
        json.dumps([{"type": "satupintu_purpose", "purpose": "kunjungan"}, {"type": "other"}]),
        json.dumps([{"type": "satupintu_purpose", "purpose": "x" * 201}]),
        "[" * 10_000,
    ],
    ids=lambda details: details[:60],
)
def test_details_that_are_not_exactly_one_purpose_are_refused(details: str) -> None:
    with pytest.raises(InvalidAuthorizationDetails):
        parse_details(details)


some_texts = st.lists(texts, unique=True, max_size=3).map(tuple)
versions = st.none() | st.integers(1, 2**31 - 1)


@given(st.builds(PurposeDetail, texts, some_texts, versions, some_texts, st.sampled_from([(), ("read",)])))
def test_details_are_read_as_they_are_written(detail: PurposeDetail) -> None:
    written: list[dict[str, Any]] = [detail.to_json()]
    assert parse_details(json.dumps(written)) == detail
