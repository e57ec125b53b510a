"""A resource server's side of a status list, written from the draft and with a stranger's library."""

import zlib
from typing import Any

import httpx2
import jwt

from keys.encoding import b64url_decode

VALID, INVALID, SUSPENDED = 0, 1, 2


async def keys_of(http: httpx2.AsyncClient) -> jwt.PyJWKSet:
    """The issuer's keys, from where discovery says."""
    metadata = (await http.get("/.well-known/openid-configuration")).json()
    found = (await http.get(metadata["jwks_uri"])).json()
    return jwt.PyJWKSet.from_dict({"keys": [key for key in found["keys"] if key["alg"] == "ES256"]})


def verified(token: str, keys: jwt.PyJWKSet, *, typ: str) -> dict[str, Any]:
    """A JWT of the issuer's. Time is the test's own, so PyJWT leaves it alone."""
    header = jwt.get_unverified_header(token)
    assert header["typ"] == typ
    claims: dict[str, Any] = jwt.decode(
        token,
        keys[header["kid"]],
        algorithms=["ES256"],
        issuer="https://idp.test",
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False},
    )
    return claims


async def status_of(http: httpx2.AsyncClient, access_token: str) -> int:
    """Follows a token to its list, and reads its status: the steps of §8.3."""
    keys = await keys_of(http)
    reference: dict[str, Any] = verified(access_token, keys, typ="at+jwt")["status"]["status_list"]
    answer = await http.get(reference["uri"], headers={"Accept": "application/statuslist+jwt"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/statuslist+jwt"
    claims = verified(answer.text, keys, typ="statuslist+jwt")
    assert claims["sub"] == reference["uri"]
    assert claims["iat"] < claims["exp"]
    bits: int = claims["status_list"]["bits"]
    lst: str = claims["status_list"]["lst"]
    array = zlib.decompress(b64url_decode(lst))
    index: int = reference["idx"]
    each = 8 // bits
    return (array[index // each] >> (index % each * bits)) & ((1 << bits) - 1)
