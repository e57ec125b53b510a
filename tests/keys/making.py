"""Keys, tokens and moments that the tests of `keys` share."""

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

from keys.encoding import b64url_encode
from keys.key import ALL_ALGS, PrivateKey, generate_private, public_jwk
from keys.local import LocalSigner
from keys.verification import VerificationKeys

NOW = datetime(2026, 8, 17, 3, 0, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
ISSUER = "https://satupintu.example"
AUDIENCE = "https://app.example"
CLAIMS: dict[str, Any] = {"iss": ISSUER, "sub": "s-1", "aud": AUDIENCE, "iat": SECONDS, "exp": SECONDS + 300}


@cache
def private_key(alg: str, rsa_bits: int = 2048) -> PrivateKey:
    return generate_private(alg, rsa_bits=rsa_bits)


def signer(alg: str) -> LocalSigner:
    return LocalSigner(alg, jwk(alg)["kid"], private_key(alg))


def jwk(alg: str) -> dict[str, Any]:
    return public_jwk(private_key(alg), alg=alg)


def keys(*algs: str) -> VerificationKeys:
    return VerificationKeys.from_jwks({"keys": [jwk(alg) for alg in algs]}, ALL_ALGS)


def segment(value: object) -> str:
    return b64url_encode(value if isinstance(value, bytes) else json.dumps(value).encode())


def forged(header: object, claims: object = CLAIMS, *, alg: str = "ES256") -> str:
    """Any header and any claims, under a true signature: what is refused is refused for what it says."""
    unsigned = f"{segment(header)}.{segment(claims)}"
    return f"{unsigned}.{b64url_encode(signer(alg).sign_now(unsigned.encode()))}"


def header(alg: str = "ES256", **more: object) -> dict[str, object]:
    return {"alg": alg, "kid": jwk(alg)["kid"], **more}
