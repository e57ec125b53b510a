"""`private_key_jwt`: the app signs a short statement that it is itself, for us, once.

Spec: RFC 7523 §2.2 and §3; OpenID Connect Core §9; FAPI 2.0 Security Profile §5.3.2.1 (audience, algorithms).
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.requests import Request

from idp.clients.algorithms import algorithms_for
from idp.clients.authentication.presented import Attempt, Method, NotAuthenticated, Presented
from idp.clients.registry import RegisteredClient
from idp.errors import InvalidClient, InvalidRequest
from idp.protocol import Parameters
from idp.replay import use_once
from idp.settings import Settings
from keys.encoding import b64url_decode, strict_json_loads
from keys.errors import InvalidToken, MalformedEncoding
from keys.jws import MAX_TOKEN_BYTES, verify_jwt

JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_LIFETIME: Final = timedelta(minutes=5)
SKEW: Final = timedelta(seconds=10)


def read(_request: Request, parameters: Parameters) -> Presented | None:
    """The assertion, and the client that it claims to come from."""
    assertion = parameters.get("client_assertion")
    kind = parameters.get("client_assertion_type")
    if assertion is None and kind is None:
        return None
    if assertion is None or kind != JWT_BEARER:
        raise InvalidRequest("client_assertion and client_assertion_type go together, and the type is jwt-bearer")
    issuer = claimed_client(assertion)
    client_id = parameters.get("client_id", issuer)
    # RFC 7521 §4.2: when sent, it must identify the same client as the assertion.
    if client_id != issuer:
        raise InvalidClient("client_id and the client assertion name different clients")
    return Presented(client_id=issuer, proof=assertion)


async def verify(attempt: Attempt) -> RegisteredClient:
    """The client, when its own key signed a fresh assertion for us that was not used before."""
    client = attempt.client
    if client is None:
        raise NotAuthenticated("unknown or disabled client")
    try:
        claims = verify_jwt(
            attempt.presented.proof,
            keys=client.verification_keys,
            expected_algs=frozenset(algorithms_for(client.profile)),
            now=attempt.now,
            expected_typ=frozenset({"JWT", "client-authentication+jwt"}),
            expected_issuer=client.client_id,
            expected_audience=audiences_for(client, attempt.settings),
            # An assertion for two servers can be replayed by one at the other.
            audience_exactly=True,
            require=("exp", "jti", "sub"),
        ).claims
    except InvalidToken as refused:
        raise NotAuthenticated(refused.detail) from None
    check_subject(claims, expected_client_id=client.client_id)
    expires_at = check_lifetime(claims, now=attempt.now)
    jti = check_jti(claims)
    # Spent before anything is done for it: whatever goes wrong from here on, it opens nothing a second time.
    async with attempt.database.transaction() as session:
        first = await use_once(
            session,
            kind="client_assertion",
            issuer=client.client_id,
            # A jti may be of any length and character; its hash fits the column.
            identifier=hashlib.sha256(jti.encode()).hexdigest(),
            expires_at=expires_at + SKEW,
        )
    if not first:
        raise NotAuthenticated("the assertion was used before")
    return client


def audiences_for(client: RegisteredClient, settings: Settings) -> frozenset[str]:
    """How the assertion may name us. FAPI 2.0 wants the issuer alone: a token endpoint's address can be a trap."""
    if client.profile == "fapi2":
        return frozenset({settings.issuer})
    return frozenset({settings.issuer, f"{settings.issuer}/token"})


def check_subject(claims: Mapping[str, Any], *, expected_client_id: str) -> None:
    """`sub` is the client, as `iss` is. Spec: RFC 7523 §3 (2)."""
    if claims["sub"] != expected_client_id:
        raise NotAuthenticated("sub of the assertion must be the client_id", told=True)


def check_lifetime(claims: Mapping[str, Any], *, now: datetime) -> datetime:
    """`exp` is no more than five minutes ahead, so that little need be remembered. Returns it.

    Spec: RFC 7523 §3 (4).
    """
    expires_at = datetime.fromtimestamp(claims["exp"], UTC)
    if expires_at > now + MAX_LIFETIME + SKEW:
        raise NotAuthenticated("the assertion must not live for more than five minutes", told=True)
    return expires_at


def check_jti(claims: Mapping[str, Any]) -> str:
    """`jti`, without which once could not mean once. Spec: RFC 7523 §3 (7)."""
    jti = claims["jti"]
    if not isinstance(jti, str) or not jti:
        raise NotAuthenticated("jti of the assertion must be a string", told=True)
    return jti


def claimed_client(assertion: str) -> str:
    """Which client the assertion says it is of, to find the keys by. Nothing is believed yet."""
    parts = assertion.split(".")
    if len(parts) != 3 or len(assertion) > MAX_TOKEN_BYTES:
        raise InvalidClient("the client assertion is not a signed JWT")
    try:
        claims = strict_json_loads(b64url_decode(parts[1]), max_bytes=MAX_TOKEN_BYTES)
    except MalformedEncoding:
        raise InvalidClient("the client assertion is not a signed JWT") from None
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    if not isinstance(issuer, str):
        raise InvalidClient("the client assertion has no iss")
    return issuer


PRIVATE_KEY_JWT: Final = Method(name="private_key_jwt", read=read, verify=verify)
