"""What an authorization request must be, one function for each MUST. `CHECKS`, at the end, is the page to read.

They run in order, after the client and its redirect URI are known to be good, so every refusal goes to the app.
"""

import re
from collections.abc import Callable
from typing import Final

from idp.authorize.parameters import AuthorizationRequest
from idp.clients.registry import RegisteredClient
from idp.errors import (
    InvalidAuthorizationDetails,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    RegistrationNotSupported,
    RequestNotSupported,
    RequestUriNotSupported,
    UnauthorizedClient,
    UnsupportedResponseType,
)

Check = Callable[[AuthorizationRequest, RegisteredClient], None]

DEFAULT_RESPONSE_MODE: Final = "query"
RESPONSE_MODES: Final = (DEFAULT_RESPONSE_MODE, "form_post")
PROMPTS: Final = ("none", "login", "consent", "select_account")
DISPLAYS: Final = ("page", "popup", "touch", "wap")
CODE_CHALLENGE_METHODS: Final = ("S256",)

# RFC 7636 §4.2: unreserved characters, 43 to 128 of them.
_CODE_CHALLENGE: Final = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
_ABSOLUTE_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:(?:[A-Za-z0-9\-._~:/?@!$&'()*+,;=\[\]]|%[0-9A-Fa-f]{2})+")


def refuse_what_is_not_implemented(request: AuthorizationRequest, _client: RegisteredClient) -> None:
    """A request object that we ignored could ask for something else than the parameters beside it.

    Spec: OpenID Connect Core §3.1.2.6, §6, §7.2.1.
    """
    if "request" in request.not_supported:
        raise RequestNotSupported("the request parameter is not supported here")
    if "request_uri" in request.not_supported:
        raise RequestUriNotSupported("the request_uri parameter is not supported here")
    if "registration" in request.not_supported:
        raise RegistrationNotSupported("the registration parameter is not supported here")


def refuse_stronger_profile(_request: AuthorizationRequest, client: RegisteredClient) -> None:
    """A `fapi2` client is promised that only pushed requests are taken; until they are, none is.

    Spec: FAPI 2.0 Security Profile §5.3.2.2.
    """
    if client.profile != "oidc":
        raise UnauthorizedClient("this client's profile allows pushed authorization requests only")


def check_grant_type(_request: AuthorizationRequest, client: RegisteredClient) -> None:
    """Spec: RFC 7591 §2 (grant_types)."""
    if "authorization_code" not in client.grant_types:
        raise UnauthorizedClient("this client is not registered for the authorization_code grant")


def check_response_type(request: AuthorizationRequest, _client: RegisteredClient) -> None:
    """Only `code`: an access token in an address leaks through history, logs and scripts.

    Spec: RFC 6749 §3.1.1; RFC 9700 §2.1.2.
    """
    if not request.response_type:
        raise InvalidRequest("response_type is missing")
    if request.response_type != "code":
        raise UnsupportedResponseType("the only response_type here is code")


def check_response_mode(request: AuthorizationRequest, client: RegisteredClient) -> None:
    """`query`, the default for a code, or `form_post`, as registered.

    `fragment` with `code` is possible by the specification, which forbids only the reverse, tokens in a query. It
    leaves to us whether to offer it, and we do not: any script on the app's page reads a fragment, and a redirect that
    follows inherits it, while the query does all that it does.
    Spec: OAuth 2.0 Multiple Response Type Encoding Practices §2.1; OAuth 2.0 Form Post Response Mode §2.
    """
    mode = request.response_mode or DEFAULT_RESPONSE_MODE
    if mode not in RESPONSE_MODES:
        raise InvalidRequest("the response_modes here are query and form_post")
    if mode not in client.response_modes:
        raise InvalidRequest(f"this client is not registered for the response_mode {mode}")


def check_scope(request: AuthorizationRequest, client: RegisteredClient) -> None:
    """OpenID Connect requests only, and nothing that the client did not register.

    Spec: OpenID Connect Core §3.1.2.1; RFC 6749 §3.3.
    """
    if "openid" not in request.scope:
        raise InvalidScope("scope must contain openid")
    beyond = [scope for scope in request.scope if scope not in client.scopes]
    if beyond:
        raise InvalidScope("this client is not registered for every scope that it asks for")


def check_prompt(request: AuthorizationRequest, _client: RegisteredClient) -> None:
    """Known values, and `none` alone: "ask nothing" and "ask again" cannot both be done.

    Spec: OpenID Connect Core §3.1.2.1.
    """
    if not request.prompt.issubset(PROMPTS):
        raise InvalidRequest("the prompt values here are none, login, consent and select_account")
    if "none" in request.prompt and len(request.prompt) > 1:
        raise InvalidRequest("prompt=none stands alone")


def check_display(request: AuthorizationRequest, _client: RegisteredClient) -> None:
    """Spec: OpenID Connect Core §3.1.2.1."""
    if request.display is not None and request.display not in DISPLAYS:
        raise InvalidRequest("the display values are page, popup, touch and wap")


def check_pkce(request: AuthorizationRequest, client: RegisteredClient) -> None:
    """S256 or nothing, and not nothing where it is required.

    `plain` shows the verifier to whoever reads the request. A missing method would mean `plain` by RFC 7636 §4.3, so it
    is refused too, and not read as S256.
    Spec: RFC 7636 §4.2, §4.3, §4.4.1; RFC 9700 §2.1.1.
    """
    if request.code_challenge is None:
        if request.code_challenge_method is not None:
            raise InvalidRequest("code_challenge_method was sent without code_challenge")
        if client.require_pkce or client.is_public:
            raise InvalidRequest("code_challenge is required (PKCE, S256)")
        return
    if request.code_challenge_method not in CODE_CHALLENGE_METHODS:
        raise InvalidRequest("code_challenge_method must be S256")
    if _CODE_CHALLENGE.fullmatch(request.code_challenge) is None:
        raise InvalidRequest("code_challenge must have 43 to 128 unreserved characters")


def check_purpose(request: AuthorizationRequest, client: RegisteredClient) -> None:
    """Data is asked for a purpose, and an app has only the purposes that it registered.

    Spec: RFC 9396 §5; Law 27/2022 (UU PDP) article 20(2).
    """
    if not client.purpose_codes:
        raise UnauthorizedClient("this client has no registered purpose")
    detail = request.authorization_details
    if detail is not None and detail.purpose not in client.purpose_codes:
        raise InvalidAuthorizationDetails("this client is not registered for that purpose")


def check_locations(request: AuthorizationRequest, client: RegisteredClient) -> None:
    """An app names only APIs that it may ask tokens for. Spec: RFC 9396 §2.2, §5."""
    detail = request.authorization_details
    if detail is not None and not client.allowed_resources.issuperset(detail.locations):
        raise InvalidAuthorizationDetails("this client is not registered for every one of the locations")


def check_resources(request: AuthorizationRequest, client: RegisteredClient) -> None:
    """Spec: RFC 8707 §2."""
    for resource in request.resources:
        if _ABSOLUTE_URI.fullmatch(resource) is None:
            raise InvalidTarget("resource must be an absolute URI without a fragment")
        if resource not in client.allowed_resources:
            raise InvalidTarget("this client is not registered for that resource")


CHECKS: Final[tuple[Check, ...]] = (
    refuse_what_is_not_implemented,
    refuse_stronger_profile,
    check_grant_type,
    check_response_type,
    check_response_mode,
    check_scope,
    check_prompt,
    check_display,
    check_pkce,
    check_purpose,
    check_locations,
    check_resources,
)


def check_request(request: AuthorizationRequest, client: RegisteredClient) -> None:
    """Every check, in order. Errors: each check's own."""
    for check in CHECKS:
        check(request, client)
