"""ID tokens: what the app that asked learns about the login, signed with the algorithm that it registered.

Spec: OpenID Connect Core §2, §3.1.3.3, §3.1.3.6, §12.2.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from idp.clients.registry import RegisteredClient
from idp.provider import Provider
from keys.encoding import b64url_encode
from keys.jws import sign_jwt

# Nothing that a profile holds may ever speak for the provider.
PROTOCOL_CLAIMS: Final = frozenset(
    [
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "nbf",
        "jti",
        "auth_time",
        "nonce",
        "acr",
        "amr",
        "azp",
        "at_hash",
        "c_hash",
        "sid",
    ]
)

# `EdDSA` over Ed25519 hashes with SHA-512 inside, and so does its `at_hash`.
_HASHES: Final = {
    "RS256": hashlib.sha256,
    "PS256": hashlib.sha256,
    "ES256": hashlib.sha256,
    "EdDSA": hashlib.sha512,
    "Ed25519": hashlib.sha512,
}


async def mint(
    provider: Provider,
    client: RegisteredClient,
    *,
    subject: str,
    sid: str,
    auth_time: datetime,
    acr: str,
    amr: list[str],
    nonce: str | None,
    access_token: str,
    released: Mapping[str, Any],
    now: datetime,
) -> str:
    """Signs an ID token. `released` are the person's claims that were asked for here and agreed to."""
    alg = client.id_token_signed_response_alg
    claims: dict[str, Any] = {name: value for name, value in released.items() if name not in PROTOCOL_CLAIMS}
    claims |= {
        "iss": provider.settings.issuer,
        "sub": subject,
        "aud": client.client_id,
        "exp": int(now.timestamp()) + provider.settings.id_token_lifetime,
        "iat": int(now.timestamp()),
        "auth_time": int(auth_time.timestamp()),
        "acr": acr,
        "amr": amr,
        "sid": sid,
        "at_hash": left_half_hash(access_token, alg=alg),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    return await sign_jwt(provider.keys.signer_for(alg), claims, typ="JWT")


def left_half_hash(value: str, *, alg: str) -> str:
    """`at_hash`: binds the ID token to the access token beside it, so that neither can be exchanged.

    Spec: OpenID Connect Core §3.1.3.6.
    """
    digest = _HASHES[alg](value.encode("ascii")).digest()
    return b64url_encode(digest[: len(digest) // 2])
