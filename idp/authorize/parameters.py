"""An authorization request, read into types. What it may ask for is decided in `checks.py`; here only its shape counts.

Every parameter has a length that no honest client needs more than: an unbounded one is a denial of service.
Spec: OpenID Connect Core §3.1.2.1; RFC 6749 §4.1.1 and appendix A; RFC 7636 §4.3; RFC 8707 §2; RFC 9396 §2.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from idp.authorize.claims import ClaimsRequest, parse_claims
from idp.authorize.details import PurposeDetail, parse_details, read_detail
from idp.errors import InvalidRequest, InvalidScope

MAX_CHARS: Final[Mapping[str, int]] = {
    "response_type": 100,
    "response_mode": 100,
    "scope": 2000,
    "state": 2048,
    "nonce": 1000,
    "prompt": 100,
    "max_age": 10,
    "login_hint": 320,
    "id_token_hint": 8192,
    "ui_locales": 200,
    "claims_locales": 200,
    "acr_values": 1000,
    "display": 20,
    "code_challenge": 200,
    "code_challenge_method": 20,
    "resource": 8192,
}
MAX_RESOURCES: Final = 10
NOT_SUPPORTED: Final = ("request", "request_uri", "registration")

# RFC 6749 appendix A.4: no quote, no backslash, nothing outside ASCII, and one space between tokens.
_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*")
_DIGITS: Final = re.compile(r"[0-9]{1,10}")
_CONTROL: Final = re.compile(r"[\x00-\x1F\x7F\x80-\x9F\u2028\u2029]")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """What an app asks for.

    `not_supported` names the parameters that it sent and that we refuse by their own codes. `hinted_subject` takes the
    place of `id_token_hint` once that is verified: the row keeps no token. `claims_locales` is accepted; no claim has
    translations.
    """

    client_id: str
    redirect_uri: str
    redirect_uri_was_sent: bool
    response_type: str
    response_mode: str | None = None
    scope: tuple[str, ...] = ()
    state: str | None = None
    nonce: str | None = None
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    login_hint: str | None = None
    id_token_hint: str | None = None
    hinted_subject: str | None = None
    ui_locales: tuple[str, ...] = ()
    claims_locales: tuple[str, ...] = ()
    acr_values: tuple[str, ...] = ()
    display: str | None = None
    claims: ClaimsRequest = field(default_factory=ClaimsRequest)
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    resources: tuple[str, ...] = ()
    authorization_details: PurposeDetail | None = None
    not_supported: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For the interaction's row: what was checked, kept on the server where nobody can change it."""
        said: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, (tuple, frozenset)):
                value = sorted(value) if isinstance(value, frozenset) else list(value)
            elif isinstance(value, (ClaimsRequest, PurposeDetail)):
                value = value.to_json()
            if value not in (None, [], {}):
                said[name] = value
        return said

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """The request that `to_json` wrote."""
        values = dict(said)
        for name in ("scope", "ui_locales", "claims_locales", "acr_values", "resources", "not_supported"):
            values[name] = tuple(values.get(name, ()))
        values["prompt"] = frozenset(values.get("prompt", ()))
        values["claims"] = ClaimsRequest.from_json(values.get("claims", {}))
        if "authorization_details" in values:
            values["authorization_details"] = read_detail(values["authorization_details"])
        return cls(**values)


def parse_request(
    sent: Mapping[str, str], *, client_id: str, redirect_uri: str, redirect_uri_was_sent: bool
) -> AuthorizationRequest:
    """Reads the parameters of a request whose client and redirect URI are already known to be good.

    Unknown parameters are ignored (RFC 6749 §3.1).
    Errors: `invalid_request`, `invalid_scope`, `invalid_authorization_details`.
    """
    for name, longest in MAX_CHARS.items():
        value = sent.get(name, "")
        if len(value) > longest:
            raise InvalidRequest(f"{name} is longer than {longest} characters")
        if _CONTROL.search(value):
            # Log lines, headers and PostgreSQL's text each break on one of them.
            raise InvalidRequest(f"{name} has a control character")
    return AuthorizationRequest(
        client_id=client_id,
        redirect_uri=redirect_uri,
        redirect_uri_was_sent=redirect_uri_was_sent,
        response_type=sent.get("response_type", ""),
        response_mode=sent.get("response_mode"),
        scope=_scope(sent.get("scope")),
        state=sent.get("state"),
        nonce=sent.get("nonce"),
        prompt=frozenset(_words(sent.get("prompt"))),
        max_age=_max_age(sent.get("max_age")),
        login_hint=sent.get("login_hint"),
        id_token_hint=sent.get("id_token_hint"),
        ui_locales=_words(sent.get("ui_locales")),
        claims_locales=_words(sent.get("claims_locales")),
        acr_values=_words(sent.get("acr_values")),
        display=sent.get("display"),
        claims=parse_claims(sent.get("claims")),
        code_challenge=sent.get("code_challenge"),
        code_challenge_method=sent.get("code_challenge_method"),
        resources=_resources(sent.get("resource")),
        authorization_details=parse_details(sent.get("authorization_details")),
        not_supported=tuple(name for name in NOT_SUPPORTED if name in sent),
    )


def echoable_state(sent: Mapping[str, str]) -> str | None:
    """The `state` that an error may carry back: the one that was sent, unless it is itself what is wrong."""
    state = sent.get("state")
    if state is None or len(state) > MAX_CHARS["state"] or _CONTROL.search(state):
        return None
    return state


def _words(value: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value.split())) if value else ()


def _scope(value: str | None) -> tuple[str, ...]:
    if value is None:
        return ()
    if _SCOPE.fullmatch(value) is None:
        raise InvalidScope("scope has a character that RFC 6749 does not allow, or not exactly one space between names")
    return _words(value)


def _max_age(value: str | None) -> int | None:
    if value is None:
        return None
    if _DIGITS.fullmatch(value) is None:
        raise InvalidRequest("max_age must be a number of seconds, zero or more")
    return int(value)


def _resources(value: str | None) -> tuple[str, ...]:
    resources = _words(value)
    if len(resources) > MAX_RESOURCES:
        raise InvalidRequest(f"at most {MAX_RESOURCES} resources can be asked for at once")
    return resources
