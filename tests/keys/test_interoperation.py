"""Two libraries that know nothing of us verify what we sign, and we verify what they sign."""

from typing import Any

import joserfc.jwk
import joserfc.jwt
import jwt
import pytest

from keys.jwks import jwks_document
from keys.jws import sign_jwt, verify_jwt
from keys.key import ALGORITHMS, ALL_ALGS
from tests.keys.making import AUDIENCE, CLAIMS, ISSUER, NOW, header, jwk, keys, private_key, signer

pytestmark = pytest.mark.anyio

EVERY = sorted(ALGORITHMS)
DOCUMENT = jwks_document(jwk(alg) for alg in EVERY)
# PyJWT knows the algorithm of RFC 9864 only by its older name.
KNOWN_TO_PYJWT = [alg for alg in EVERY if alg in jwt.algorithms.get_default_algorithms()]


@pytest.mark.parametrize("alg", KNOWN_TO_PYJWT)
async def test_pyjwt_verifies_what_we_sign(alg: str) -> None:
    token = await sign_jwt(signer(alg), CLAIMS, typ="at+jwt")
    key = jwt.PyJWKSet.from_dict({"keys": [jwk(alg)]})[signer(alg).kid]
    options: Any = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, key, algorithms=[alg], audience=AUDIENCE, issuer=ISSUER, options=options)
    assert claims == CLAIMS


@pytest.mark.filterwarnings("ignore:.*EdDSA.*")
@pytest.mark.parametrize("alg", EVERY)
async def test_joserfc_verifies_what_we_sign_with_our_published_document(alg: str) -> None:
    token = await sign_jwt(signer(alg), CLAIMS, typ="at+jwt")
    published = joserfc.jwk.KeySet.import_key_set(DOCUMENT)  # type: ignore[arg-type]  # its TypedDict is narrower
    decoded = joserfc.jwt.decode(token, published, algorithms=[alg])
    assert decoded.claims == CLAIMS
    assert decoded.header == {"alg": alg, "kid": signer(alg).kid, "typ": "at+jwt"}


@pytest.mark.parametrize("alg", KNOWN_TO_PYJWT)
def test_we_verify_what_pyjwt_signs(alg: str) -> None:
    private: Any = private_key(alg)
    check(jwt.encode(CLAIMS, private, algorithm=alg, headers={"kid": jwk(alg)["kid"]}), alg)


@pytest.mark.filterwarnings("ignore:.*EdDSA.*")
@pytest.mark.parametrize("alg", EVERY)
def test_we_verify_what_joserfc_signs(alg: str) -> None:
    kind: Any = {"RSA": joserfc.jwk.RSAKey, "EC": joserfc.jwk.ECKey, "OKP": joserfc.jwk.OKPKey}[ALGORITHMS[alg].kty]
    private: Any = private_key(alg)
    check(joserfc.jwt.encode(header(alg), CLAIMS, kind(private, private), algorithms=[alg]), alg)


def check(token: str, alg: str) -> None:
    verified = verify_jwt(
        token,
        keys=keys(*EVERY),
        expected_algs=frozenset({alg}) & ALL_ALGS,
        expected_typ=None,
        expected_issuer=ISSUER,
        expected_audience=AUDIENCE,
        now=NOW,
    )
    assert verified.claims == CLAIMS
