"""The public keys as the world fetches them."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from keys.encoding import b64url_encode
from keys.entropy import sha256
from keys.errors import KeyRefused

_PUBLISHED: Final = ("kty", "use", "alg", "kid", "crv", "x", "y", "n", "e")


def jwks_document(public_jwks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The JWK Set to publish, in one order whatever the order given, so that caches and ETags hold.

    Raises `KeyRefused` on any member that is not known to be public: an endpoint that fails is repaired in an hour, a
    published private key is a new key for the whole country.

    Spec: RFC 7517 §5
    """
    listed = []
    for jwk in public_jwks:
        if strange := jwk.keys() - set(_PUBLISHED):
            raise KeyRefused(f"members {sorted(strange)} are not for publishing")
        listed.append({name: jwk[name] for name in _PUBLISHED if name in jwk})
    return {"keys": sorted(listed, key=lambda jwk: str(jwk["kid"]))}


def etag(document_bytes: bytes) -> str:
    """A strong entity tag, with its quotes, of the exact bytes that are served.

    Spec: RFC 9110 §8.8.3
    """
    return f'"{b64url_encode(sha256(document_bytes))}"'
