"""What an app's registration may say: one check per rule, each naming the member and what to change.

Spec: RFC 7591 §2; OpenID Connect Dynamic Client Registration §2; RFC 9700 §2.1, §2.4, §2.5; FAPI 2.0 Security
Profile §5.3.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from idp.accounts.profile import CLAIMS_OF_SCOPE
from idp.authorize.redirect_uri import NotRegistrable, check_registrable
from idp.clients.algorithms import algorithms_for
from keys.errors import KeyRefused
from keys.verification import VerificationKeys

SECRET_METHODS: Final = frozenset({"client_secret_basic", "client_secret_post"})
AUTH_METHODS: Final = SECRET_METHODS | {"private_key_jwt", "none"}
GRANT_TYPES: Final = ("authorization_code", "refresh_token", "client_credentials")
RESPONSE_MODES: Final = ("query", "form_post")
LANGUAGES: Final = frozenset({"id", "en"})

# At most 40 characters: a `sub` has 43, so no client can ever be taken for a person (RFC 9700 §4.15).
_CLIENT_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{1,38}[a-z0-9])")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,100}")
_RESOURCE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:[A-Za-z0-9\-._~:/?@!$&'()*+,;=%]{1,460}")
_HOST: Final = re.compile(r"[a-z0-9.-]+|\[::1\]")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_INVISIBLE: Final = re.compile("[\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


class ClientRefused(Exception):
    """A registration that breaks a rule: which member, and what the rule is."""

    def __init__(self, member: str, rule: str) -> None:
        super().__init__(f"{member}: {rule}")
        self.member = member
        self.rule = rule


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSpec:
    """What somebody wants to register, in the words of RFC 7591.

    `client_id` is made up when it is empty. `token_endpoint_auth_method` defaults to `none` for `native` and `spa`
    apps, to `private_key_jwt` under `fapi2` and to `client_secret_basic` otherwise.
    """

    agency_id: str
    names: Mapping[str, str]
    client_id: str = ""
    profile: str = "oidc"
    application_type: str = "web"
    verified: bool = False
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ("authorization_code",)
    response_modes: tuple[str, ...] = RESPONSE_MODES
    token_endpoint_auth_method: str = ""
    jwks: Mapping[str, Any] | None = None
    scopes: tuple[str, ...] = ("openid",)
    resources: tuple[str, ...] = ()
    allowed_resources: tuple[str, ...] = ()
    purpose_codes: tuple[str, ...] = ()
    subject_type: str = "pairwise"
    id_token_signed_response_alg: str = ""
    userinfo_signed_response_alg: str | None = None
    require_pkce: bool = True
    default_max_age: int | None = None
    web_origins: tuple[str, ...] = ()
    client_uri: str | None = None
    development: bool = field(default=False)

    @property
    def auth_method(self) -> str:
        """The method that was named, or the default of this kind of app."""
        if self.token_endpoint_auth_method:
            return self.token_endpoint_auth_method
        if self.application_type in {"native", "spa"}:
            return "none"
        return "private_key_jwt" if self.profile == "fapi2" else "client_secret_basic"

    @property
    def id_token_alg(self) -> str:
        """The algorithm that was named; RS256 is OpenID Connect's default, and FAPI 2.0 forbids it."""
        return self.id_token_signed_response_alg or ("PS256" if self.profile == "fapi2" else "RS256")


def check_name(spec: ClientSpec) -> None:
    """People read the name on the consent page: it must show what it says."""
    if not spec.names or not set(spec.names) <= LANGUAGES:
        raise ClientRefused("names", "give the app's name in 'id', 'en' or both")
    for name in spec.names.values():
        if not 1 <= len(name.strip()) <= 100 or not name.isprintable() or _INVISIBLE.search(name):
            raise ClientRefused("names", "a name has 1 to 100 visible characters, and no invisible ones")


def check_client_id(spec: ClientSpec) -> None:
    """An id that no person's `sub` can look like."""
    if spec.client_id and _CLIENT_ID.fullmatch(spec.client_id) is None:
        raise ClientRefused("client_id", "3 to 40 of a-z, 0-9, '.', '_' and '-', or leave it out")


def check_kind(spec: ClientSpec) -> None:
    """Words that are one of a few."""
    for member, value, allowed in (
        ("profile", spec.profile, {"oidc", "fapi2"}),
        ("application_type", spec.application_type, {"web", "native", "spa"}),
        ("subject_type", spec.subject_type, {"pairwise", "public"}),
    ):
        if value not in allowed:
            raise ClientRefused(member, f"one of {', '.join(sorted(allowed))}")


def check_auth_method(spec: ClientSpec) -> None:
    """Phone and browser apps cannot keep a secret; servers must."""
    method = spec.auth_method
    if method not in AUTH_METHODS:
        raise ClientRefused("token_endpoint_auth_method", f"one of {', '.join(sorted(AUTH_METHODS))}")
    public_kind = spec.application_type in {"native", "spa"}
    if public_kind and method != "none":
        raise ClientRefused("token_endpoint_auth_method", "a native or spa app cannot keep a secret: it must be 'none'")
    if not public_kind and method == "none":
        raise ClientRefused("token_endpoint_auth_method", "a web app must authenticate: 'none' is for native and spa")


def check_pkce(spec: ClientSpec) -> None:
    """PKCE is all that protects a public app's codes. Spec: RFC 9700 §2.1.1."""
    if spec.require_pkce:
        return
    if spec.auth_method == "none":
        raise ClientRefused("require_pkce", "an app without a secret must use PKCE")
    if spec.profile == "fapi2":
        raise ClientRefused("require_pkce", "the fapi2 profile requires PKCE")


def check_jwks(spec: ClientSpec) -> None:
    """Public keys, inline, for the method that needs them."""
    keys = VerificationKeys(())
    if spec.jwks is not None:
        try:
            keys = VerificationKeys.from_jwks(dict(spec.jwks), frozenset(algorithms_for(spec.profile)))
        except KeyRefused as refused:
            raise ClientRefused("jwks", refused.detail) from None
    if spec.auth_method == "private_key_jwt" and len(keys) == 0:
        raise ClientRefused("jwks", "private_key_jwt needs the app's public keys")


def check_grant_types(spec: ClientSpec) -> None:
    """The grants there are, and who may use them."""
    grants = set(spec.grant_types)
    if not grants or not grants <= set(GRANT_TYPES):
        raise ClientRefused("grant_types", f"one or more of {', '.join(GRANT_TYPES)}")
    if "client_credentials" in grants and spec.auth_method == "none":
        raise ClientRefused("grant_types", "client_credentials is for apps that can keep a secret")
    if "refresh_token" in grants and "authorization_code" not in grants:
        raise ClientRefused("grant_types", "refresh_token comes with authorization_code")


def check_redirect_uris(spec: ClientSpec) -> None:
    """Exact addresses, and at least one when there are codes to send."""
    if "authorization_code" in spec.grant_types and not spec.redirect_uris:
        raise ClientRefused("redirect_uris", "authorization_code needs at least one")
    for member, uris in (
        ("redirect_uris", spec.redirect_uris),
        ("post_logout_redirect_uris", spec.post_logout_redirect_uris),
    ):
        if len(uris) > 50 or len(set(uris)) != len(uris):
            raise ClientRefused(member, "at most 50, each once")
        for uri in uris:
            try:
                check_registrable(uri, spec.application_type, development=spec.development)
            except NotRegistrable as refused:
                raise ClientRefused(member, f"{uri[:200]!r}: {refused}") from None


def check_response_modes(spec: ClientSpec) -> None:
    """How codes may travel."""
    if not spec.response_modes or not set(spec.response_modes) <= set(RESPONSE_MODES):
        raise ClientRefused("response_modes", f"one or more of {', '.join(RESPONSE_MODES)}")


def check_scopes(spec: ClientSpec) -> None:
    """Well-formed, and made of what there is for the grants that are used."""
    for scope in spec.scopes:
        if _SCOPE.fullmatch(scope) is None:
            raise ClientRefused("scopes", "a scope has 1 to 100 printable characters without space, quote or backslash")
    if "offline_access" in spec.scopes and "refresh_token" not in spec.grant_types:
        raise ClientRefused("scopes", "offline_access needs the grant type refresh_token")
    if len(spec.scopes) > 100 or sum(map(len, spec.scopes)) + len(spec.scopes) > 2000:
        raise ClientRefused("scopes", "at most 100, and 2000 characters in all")
    machine_only = "authorization_code" not in spec.grant_types
    if machine_only and any(scope in CLAIMS_OF_SCOPE for scope in spec.scopes):
        raise ClientRefused("scopes", "people's scopes need the grant type authorization_code")


def check_algorithms(spec: ClientSpec) -> None:
    """How our answers to this app are signed."""
    for member, alg in (
        ("id_token_signed_response_alg", spec.id_token_alg),
        ("userinfo_signed_response_alg", spec.userinfo_signed_response_alg),
    ):
        allowed = algorithms_for(spec.profile)
        if alg is not None and alg not in allowed:
            raise ClientRefused(member, f"one of {', '.join(allowed)}")


def check_fapi2(spec: ClientSpec) -> None:
    """The stricter family: nothing weaker than a signed assertion."""
    if spec.profile != "fapi2":
        return
    if spec.auth_method != "private_key_jwt":
        raise ClientRefused("token_endpoint_auth_method", "the fapi2 profile needs private_key_jwt")


def check_resources(spec: ClientSpec) -> None:
    """Resource indicators are absolute URIs without a fragment. Spec: RFC 8707 §2."""
    for member, uris in (("resources", spec.resources), ("allowed_resources", spec.allowed_resources)):
        for uri in uris:
            if _RESOURCE.fullmatch(uri) is None:
                raise ClientRefused(member, f"{uri[:200]!r} is not an absolute URI without fragment")


def check_web_origins(spec: ClientSpec) -> None:
    """Origins whose scripts may call us: exact ones, as a browser writes them. Spec: RFC 6454 §6.2."""
    for origin in spec.web_origins:
        parts = urlsplit(origin)
        host = parts.netloc.rpartition(":")[0] if parts.netloc.rpartition(":")[2].isdigit() else parts.netloc
        secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        if not secure or origin != f"{parts.scheme}://{parts.netloc}" or _HOST.fullmatch(host) is None:
            raise ClientRefused("web_origins", f"{origin[:200]!r} is not an https origin such as https://app.example")


def check_the_rest(spec: ClientSpec) -> None:
    """Ages and addresses."""
    if spec.default_max_age is not None and spec.default_max_age < 0:
        raise ClientRefused("default_max_age", "seconds, zero or more")
    if spec.client_uri is not None and (
        not spec.client_uri.startswith("https://") or len(spec.client_uri) > 500 or not spec.client_uri.isprintable()
    ):
        # The consent page links to it: no "javascript:" there.
        raise ClientRefused("client_uri", "an https address")


CHECKS: Final = (
    check_kind,
    check_name,
    check_client_id,
    check_auth_method,
    check_pkce,
    check_jwks,
    check_grant_types,
    check_redirect_uris,
    check_response_modes,
    check_scopes,
    check_algorithms,
    check_fapi2,
    check_resources,
    check_web_origins,
    check_the_rest,
)


def check(spec: ClientSpec) -> None:
    """Every rule, in order. Error: `ClientRefused`, of the first that is broken."""
    for rule in CHECKS:
        rule(spec)
