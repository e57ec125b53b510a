"""What the provider says of itself, so that an app needs its issuer and nothing else.

Most lists are read from the code that implements them; nothing is announced that is not there. The documents are made
from the settings alone: no header of a request can change a word of them.
Spec: OpenID Connect Discovery 1.0 §3, §4; RFC 8414 §2, §3; RFC 9207 §3; RFC 9396 §10; RFC 9701 §7; RFC 7517 §5.
"""

from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consent.http import authzen
from consent.http.api.streams import POLL_METHOD, PUSH_METHOD
from idp.accounts.profile import CLAIMS, CLAIMS_OF_SCOPE
from idp.answers import cacheable_answer
from idp.authorize.checks import CODE_CHALLENGE_METHODS, PROMPTS, RESPONSE_MODES
from idp.authorize.details import TYPE as PURPOSE_DETAIL
from idp.clients.algorithms import SIGNING_ALGORITHMS
from idp.clients.authentication.authenticate import METHODS
from idp.clients.authentication.none import NONE
from idp.cors import for_everybody
from idp.introspection import SIGNED_ALG
from idp.login.factors.verified import ACR_VALUES
from idp.provider import provider_of
from idp.settings import Settings
from idp.status_list.publishing import aggregation
from idp.token_endpoint import GRANTS
from keys.jwks import etag, jwks_document
from keys.ring import KeyRing

DISCOVERY_MAX_AGE: Final = 3600
PROTOCOL_CLAIMS: Final = ("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid")


def metadata(settings: Settings) -> dict[str, Any]:
    """The metadata, the same for OpenID Connect Discovery and RFC 8414."""
    issuer = settings.issuer
    methods = [method.name for method in METHODS]
    confidential = [name for name in methods if name != NONE.name]
    algorithms = list(SIGNING_ALGORITHMS)
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "introspection_endpoint": f"{issuer}/introspect",
        "revocation_endpoint": f"{issuer}/revoke",
        "end_session_endpoint": f"{issuer}/end_session",
        "status_list_aggregation_endpoint": aggregation(issuer),
        # Ours alone, so with a name of ours: what agencies ask before they give data, and how.
        "satupintu_consent_check_endpoint": f"{issuer}/consent/v1/check",
        "satupintu_consent_openapi": f"{issuer}/consent/v1/openapi.json",
        "jwks_uri": f"{issuer}/jwks",
        "scopes_supported": list(CLAIMS_OF_SCOPE),
        "response_types_supported": ["code"],
        "response_modes_supported": list(RESPONSE_MODES),
        "grant_types_supported": list(GRANTS),
        "acr_values_supported": list(ACR_VALUES),
        "subject_types_supported": ["pairwise", "public"],
        "id_token_signing_alg_values_supported": algorithms,
        "userinfo_signing_alg_values_supported": algorithms,
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_signing_alg_values_supported": [SIGNED_ALG],
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "code_challenge_methods_supported": list(CODE_CHALLENGE_METHODS),
        "display_values_supported": ["page"],  # the others are accepted, and get the same page
        "prompt_values_supported": list(PROMPTS),
        "claim_types_supported": ["normal"],
        "claims_supported": [*PROTOCOL_CLAIMS, *CLAIMS],
        "ui_locales_supported": ["id", "en"],
        "authorization_details_types_supported": [PURPOSE_DETAIL],
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "require_request_uri_registration": False,
        "authorization_response_iss_parameter_supported": True,
    }


def transmitter(settings: Settings) -> dict[str, Any]:
    """What a receiver of security events has to know. Every stream is about all people that its app had consents of.

    Spec: OpenID Shared Signals Framework 1.0 §7.1.
    """
    issuer = settings.issuer
    return {
        "spec_version": "1_0",
        "issuer": issuer,
        "jwks_uri": f"{issuer}/jwks",
        "delivery_methods_supported": [PUSH_METHOD, POLL_METHOD],
        "configuration_endpoint": f"{issuer}/consent/v1/stream",
        "status_endpoint": f"{issuer}/consent/v1/stream/status",
        "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}],
        "default_subjects": "ALL",
    }


def routes(settings: Settings) -> list[Route]:
    """The documents, made once, and the keys.

    With an issuer that has a path, RFC 8414 puts the path behind the well-known part and OpenID Connect before it. A
    proxy that strips the path sends both here, so each is answered with and without it.
    """
    document = orjson.dumps(metadata(settings))
    tag = etag(document)

    @for_everybody
    async def discovery(request: Request) -> Response:
        return cacheable_answer(request, document, tag=tag, max_age=DISCOVERY_MAX_AGE, media_type="application/json")

    path = urlsplit(settings.issuer).path
    addresses = {
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        f"{path}/.well-known/openid-configuration",
        f"/.well-known/oauth-authorization-server{path}",
    }
    return [
        *(Route(address, discovery, methods=["GET"]) for address in sorted(addresses)),
        *_well_known(authzen.WELL_KNOWN, path, authzen.metadata(settings.issuer)),
        *_well_known("/.well-known/ssf-configuration", path, transmitter(settings)),
        Route("/jwks", jwks, methods=["GET"]),
    ]


def _well_known(address: str, path: str, content: dict[str, Any]) -> list[Route]:
    """A document at its well-known address, and at that with the issuer's path behind it.

    Spec: RFC 8615 §3; AuthZEN Authorization API 1.0 §9.2; OpenID Shared Signals Framework 1.0 §7.2.
    """
    document = orjson.dumps(content)
    tag = etag(document)

    @for_everybody
    async def configuration(request: Request) -> Response:
        return cacheable_answer(request, document, tag=tag, max_age=DISCOVERY_MAX_AGE, media_type="application/json")

    return [Route(one, configuration, methods=["GET"]) for one in sorted({address, f"{address}{path}"})]


class PublishedKeys:
    """The keys as bytes, made anew only when the ring is another one."""

    def __init__(self) -> None:
        self._ring: KeyRing | None = None
        self._document = b""
        self._tag = ""

    def of(self, ring: KeyRing) -> tuple[bytes, str]:
        """The document of this ring, and its entity tag."""
        if ring is not self._ring:
            self._document = orjson.dumps(jwks_document(ring.public_jwks()))
            self._tag = etag(self._document)
            self._ring = ring
        return self._document, self._tag


_published: Final = PublishedKeys()


@for_everybody
async def jwks(request: Request) -> Response:
    """The public keys. How long they may be kept is how long a new key is shown before it signs."""
    provider = provider_of(request)
    document, tag = _published.of(provider.keys)
    max_age = provider.settings.jwks_max_age
    return cacheable_answer(request, document, tag=tag, max_age=max_age, media_type="application/jwk-set+json")
