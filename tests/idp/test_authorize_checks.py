"""What an authorization request must be: each rule with what keeps it and what breaks it."""

from typing import Any

import pytest

from idp.authorize.asked import ask_for, essential_acr, is_expected_subject
from idp.authorize.checks import CHECKS, check_request
from idp.authorize.claims import ClaimsRequest, Wish
from idp.authorize.details import PurposeDetail
from idp.errors import (
    InvalidAuthorizationDetails,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    RegistrationNotSupported,
    RequestNotSupported,
    RequestUriNotSupported,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from idp.interaction.gather import could_be_an_impostor
from tests.idp.authorize_world import CHALLENGE, parsed, registered_app


@pytest.mark.parametrize(
    ("request_changes", "client_changes"),
    [
        ({}, {}),
        ({"response_mode": "query"}, {}),
        ({"response_mode": "form_post"}, {}),
        ({"response_mode": "form_post"}, {"response_modes": frozenset({"form_post"})}),
        ({"scope": ("openid",)}, {}),
        ({"nonce": None, "state": None}, {}),
        ({"prompt": frozenset({"none"})}, {}),
        ({"prompt": frozenset({"login", "consent", "select_account"})}, {}),
        ({"display": "wap"}, {}),
        ({"code_challenge": None, "code_challenge_method": None}, {"require_pkce": False}),
        ({"code_challenge": "x" * 43}, {}),
        ({"code_challenge": "~-._" * 32}, {}),
        ({"authorization_details": PurposeDetail("kunjungan")}, {}),
        ({"resources": ("https://api.test",)}, {}),
        ({"resources": ("urn:satupintu:api",)}, {"allowed_resources": frozenset({"urn:satupintu:api"})}),
    ],
)
def test_what_keeps_every_rule_passes(request_changes: dict[str, Any], client_changes: dict[str, Any]) -> None:
    check_request(parsed(**request_changes), registered_app(**client_changes))


@pytest.mark.parametrize(
    ("request_changes", "client_changes", "expected"),
    [
        ({"not_supported": ("request",)}, {}, RequestNotSupported),
        ({"not_supported": ("request_uri",)}, {}, RequestUriNotSupported),
        ({"not_supported": ("registration",)}, {}, RegistrationNotSupported),
        ({"not_supported": ("request",), "response_type": ""}, {}, RequestNotSupported),
        ({}, {"profile": "fapi2"}, UnauthorizedClient),
        ({}, {"grant_types": frozenset({"client_credentials"})}, UnauthorizedClient),
        ({"response_type": ""}, {}, InvalidRequest),
        *(
            ({"response_type": kind}, {}, UnsupportedResponseType)
            for kind in (
                "none",
                "token",
                "id_token",
                "code token",
                "code id_token",
                "id_token token",
                "CODE",
                "code ",
                "x",
            )
        ),
        ({"response_mode": "fragment"}, {}, InvalidRequest),
        ({"response_mode": "form_post.jwt"}, {}, InvalidRequest),
        ({"response_mode": "web_message"}, {}, InvalidRequest),
        ({"response_mode": "form_post"}, {"response_modes": frozenset({"query"})}, InvalidRequest),
        ({"response_mode": "query"}, {"response_modes": frozenset({"form_post"})}, InvalidRequest),
        ({"response_mode": None}, {"response_modes": frozenset({"form_post"})}, InvalidRequest),
        ({"scope": ()}, {}, InvalidScope),
        ({"scope": ("profile",)}, {}, InvalidScope),
        ({"scope": ("OpenID",)}, {}, InvalidScope),
        ({"scope": ("openid", "phone")}, {}, InvalidScope),
        ({"prompt": frozenset({"none", "login"})}, {}, InvalidRequest),
        ({"prompt": frozenset({"none", "consent"})}, {}, InvalidRequest),
        ({"prompt": frozenset({"create"})}, {}, InvalidRequest),
        ({"prompt": frozenset({"Login"})}, {}, InvalidRequest),
        ({"display": "hologram"}, {}, InvalidRequest),
        ({"code_challenge": None, "code_challenge_method": None}, {}, InvalidRequest),
        (
            {"code_challenge": None, "code_challenge_method": None},
            {"require_pkce": False, "token_endpoint_auth_method": "none"},
            InvalidRequest,
        ),
        ({"code_challenge": None}, {"require_pkce": False}, InvalidRequest),
        ({"code_challenge_method": None}, {}, InvalidRequest),
        ({"code_challenge_method": None}, {"require_pkce": False}, InvalidRequest),
        ({"code_challenge_method": "plain"}, {}, InvalidRequest),
        ({"code_challenge_method": "plain"}, {"require_pkce": False}, InvalidRequest),
        ({"code_challenge_method": "s256"}, {}, InvalidRequest),
        *(
            ({"code_challenge": challenge}, {"require_pkce": required}, InvalidRequest)
            for challenge in ("x" * 42, "x" * 129, "x" * 42 + "=", "x" * 42 + "+", "x" * 42 + "é", "x" * 43 + "\n")
            for required in (True, False)
        ),
        ({}, {"purpose_codes": ()}, UnauthorizedClient),
        ({"authorization_details": PurposeDetail("pajak")}, {}, InvalidAuthorizationDetails),
        ({"resources": ("https://other.test",)}, {}, InvalidTarget),
        ({"resources": ("https://api.test", "https://other.test")}, {}, InvalidTarget),
        (
            {"resources": ("https://api.test#x",)},
            {"allowed_resources": frozenset({"https://api.test#x"})},
            InvalidTarget,
        ),
        ({"resources": ("/api",)}, {"allowed_resources": frozenset({"/api"})}, InvalidTarget),
        ({"resources": ("api",)}, {"allowed_resources": frozenset({"api"})}, InvalidTarget),
    ],
)
@pytest.mark.threat("N15", "N16", "N26", "N65", "N69")
def test_what_breaks_a_rule_is_refused_by_its_own_code(
    request_changes: dict[str, Any], client_changes: dict[str, Any], expected: type[OAuthError]
) -> None:
    with pytest.raises(OAuthError) as refused:
        check_request(parsed(**request_changes), registered_app(**client_changes))
    assert type(refused.value) is expected
    assert refused.value.description


def test_every_check_says_where_its_rule_comes_from() -> None:
    assert [check.__name__ for check in CHECKS if "Spec: " not in (check.__doc__ or "")] == []


@pytest.mark.threat("N70")
@pytest.mark.parametrize(
    ("redirect_uri", "client_changes", "expected"),
    [
        ("https://rp.test/cb", {}, False),
        ("https://rp.test/cb", {"verified": False}, False),
        ("https://rp.test/cb", {"token_endpoint_auth_method": "none", "application_type": "spa"}, False),
        ("https://rp.test/cb", {"token_endpoint_auth_method": "none", "verified": False}, True),
        ("id.go.app:/cb", {"token_endpoint_auth_method": "none", "application_type": "native"}, True),
        ("http://127.0.0.1:5/cb", {"token_endpoint_auth_method": "none", "application_type": "native"}, True),
        ("https://claimed.test/cb", {"token_endpoint_auth_method": "none", "application_type": "native"}, False),
    ],
)
def test_who_could_be_an_impostor_asks_every_time(
    redirect_uri: str, client_changes: dict[str, Any], expected: bool
) -> None:
    assert could_be_an_impostor(registered_app(**client_changes), redirect_uri) is expected


# --- what is asked ---


class Version:
    """As much of a purpose's version as counts here."""

    id = "version"
    purpose_id = "purpose"
    claims = frozenset({"name", "email", "gender"})
    required = frozenset({"name"})
    compatible_version_ids: frozenset[str] = frozenset()


def asked(**changes: Any) -> tuple[set[str], set[str], bool]:
    """The required and the optional items of a request, and whether refresh tokens are asked for."""
    ask = ask_for(Version(), parsed(**changes), registered_app())  # type: ignore[arg-type]  # a stand-in with the members that count
    return set(ask.required), set(ask.optional), ask.offline_access


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"scope": ("openid",)}, (set(), set(), False)),
        ({"scope": ("openid", "profile")}, ({"name"}, {"gender"}, False)),
        ({"scope": ("openid", "email")}, (set(), {"email"}, False)),
        ({"scope": ("openid", "phone")}, (set(), set(), False)),
        ({"scope": ("openid", "offline_access")}, (set(), set(), True)),
        (
            {"scope": ("openid",), "claims": ClaimsRequest(userinfo={"email": Wish()}, id_token={"name": Wish(True)})},
            ({"name"}, {"email"}, False),
        ),
        ({"scope": ("openid",), "claims": ClaimsRequest(userinfo={"nik": Wish(True)})}, (set(), set(), False)),
        (
            {"scope": ("openid",), "authorization_details": PurposeDetail("kunjungan", ("gender",))},
            (set(), {"gender"}, False),
        ),
    ],
)
def test_what_is_asked_is_what_is_named_and_the_purpose_has(
    changes: dict[str, Any], expected: tuple[set[str], set[str], bool]
) -> None:
    assert asked(**changes) == expected


def test_offline_access_is_not_asked_by_a_client_that_cannot_refresh() -> None:
    client = registered_app(grant_types=frozenset({"authorization_code"}))
    ask = ask_for(Version(), parsed(scope=("openid", "offline_access")), client)  # type: ignore[arg-type]  # as above
    assert not ask.offline_access


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"hinted_subject": "siti"}, True),
        ({"hinted_subject": "budi"}, False),
        ({"claims": ClaimsRequest(id_token={"sub": Wish()})}, True),
        ({"claims": ClaimsRequest(id_token={"sub": Wish(False, ("siti",))})}, True),
        ({"claims": ClaimsRequest(id_token={"sub": Wish(False, ("budi",))})}, False),
        ({"claims": ClaimsRequest(userinfo={"sub": Wish(True, ("budi", "siti"))})}, True),
        ({"claims": ClaimsRequest(userinfo={"sub": Wish(False, (1, None, ["siti"]))})}, False),
        ({"hinted_subject": "siti", "claims": ClaimsRequest(id_token={"sub": Wish(False, ("budi",))})}, False),
    ],
)
def test_who_is_asked_for(changes: dict[str, Any], expected: bool) -> None:
    assert is_expected_subject("siti", parsed(**changes)) is expected


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (None, set()),
        (Wish(), set()),
        (Wish(True), set()),
        (Wish(False, ("card",)), set()),
        (Wish(True, ("card", "password")), {"card", "password"}),
    ],
)
def test_only_an_essential_acr_with_values_is_a_condition(wish: Wish | None, expected: set[str]) -> None:
    claims = ClaimsRequest(id_token={} if wish is None else {"acr": wish})
    assert essential_acr(parsed(claims=claims, acr_values=("card",))) == expected


def test_the_honest_challenge_is_a_challenge() -> None:
    assert len(CHALLENGE) == 43
