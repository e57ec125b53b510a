from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from keys.encoding import b64url_encode
from keys.errors import KeyRefused, KeyUnsuitable
from keys.key import (
    ALGORITHMS,
    ALL_ALGS,
    RSA_BITS,
    check_public_jwk,
    generate_private,
    private_from_bytes,
    private_to_bytes,
    public_jwk,
    thumbprint,
)
from keys.local import LocalSigner
from tests.keys.making import jwk, private_key, signer

pytestmark = pytest.mark.anyio

ES256 = jwk("ES256")
RS256 = jwk("RS256")
ED25519 = jwk("Ed25519")


def number(value: int, length: int | None = None) -> str:
    return b64url_encode(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


def modulus() -> int:
    key = private_key("RS256")
    assert isinstance(key, rsa.RSAPrivateKey)
    return key.public_key().public_numbers().n


@pytest.mark.parametrize("alg", sorted(ALGORITHMS))
async def test_every_algorithm_signs_verifies_and_survives_being_written_down(alg: str) -> None:
    original = signer(alg)
    again = LocalSigner(alg, original.kid, private_from_bytes(private_to_bytes(private_key(alg))))
    key = check_public_jwk(jwk(alg), allowed_algs=ALL_ALGS)
    for one in (original, again):
        assert key.verifies(b"to sign", one.sign_now(b"to sign"), alg=alg)
        assert key.verifies(b"to sign", await one.sign(b"to sign"), alg=alg)
    assert "private" not in repr(original)


@pytest.mark.threat("N37")
@pytest.mark.parametrize(
    ("alg", "other"), [("Ed25519", "EdDSA"), ("ES256", "RS256"), ("RS256", "HS256"), ("ES256", "none")]
)
def test_a_key_verifies_nothing_under_another_algorithms_name(alg: str, other: str) -> None:
    key = check_public_jwk(jwk(alg), allowed_algs=ALL_ALGS)
    assert not key.verifies(b"to sign", signer(alg).sign_now(b"to sign"), alg=other)


@pytest.mark.parametrize("alg", sorted(ALGORITHMS))
def test_a_public_jwk_has_the_members_of_its_type_and_no_other(alg: str) -> None:
    members = {"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}}[ALGORITHMS[alg].kty]
    made = jwk(alg)
    assert made.keys() == {"kty", "use", "alg", "kid"} | members
    assert (made["use"], made["alg"]) == ("sig", alg)
    assert made["kid"] == f"{thumbprint(made)}.{alg}"
    assert public_jwk(private_key(alg).public_key(), alg=alg) == made


def test_one_key_under_two_algorithms_has_two_kids() -> None:
    assert public_jwk(private_key("EdDSA"), alg="Ed25519")["kid"] != jwk("EdDSA")["kid"]


def test_new_rsa_keys_have_3072_bits() -> None:
    key = generate_private("PS256")
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == RSA_BITS == 3072
    assert key.public_key().public_numbers().e == 65537


@pytest.mark.parametrize("bits", [1024, 2047, 16384])
def test_a_weak_or_absurd_rsa_key_is_not_made(bits: int) -> None:
    with pytest.raises(KeyRefused):
        generate_private("RS256", rsa_bits=bits)


@pytest.mark.parametrize("alg", ["none", "HS256", "ES384", "rs256", ""])
def test_an_algorithm_that_we_do_not_speak_has_no_keys(alg: str) -> None:
    with pytest.raises(KeyRefused):
        generate_private(alg)
    with pytest.raises(KeyRefused):
        public_jwk(private_key("ES256"), alg=alg)


def test_a_key_is_not_published_for_an_algorithm_of_another_type() -> None:
    with pytest.raises(KeyRefused):
        public_jwk(private_key("ES256"), alg="RS256")
    with pytest.raises(KeyRefused, match="P-256"):
        public_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), alg="ES256")


@pytest.mark.parametrize(
    "bare", [{"use"}, {"alg"}, {"kid"}, {"use", "alg", "kid"}], ids=["use", "alg", "kid", "all three"]
)
def test_members_that_are_optional_may_be_missing(bare: set[str]) -> None:
    key = check_public_jwk({k: v for k, v in RS256.items() if k not in bare}, allowed_algs=ALL_ALGS)
    assert key.algs == ({"RS256", "PS256"} if "alg" in bare else {"RS256"})


def test_a_key_with_key_ops_and_a_certificate_beside_is_taken() -> None:
    check_public_jwk({**ES256, "key_ops": ["verify"], "x5c": ["ignored"]}, allowed_algs=ALL_ALGS)


REFUSED: list[tuple[str, Any]] = [
    ("not an object", []),
    ("private EC", {**ES256, "d": "AQ"}),
    ("private RSA", {**RS256, "p": "AQ"}),
    ("private by an empty member", {**ES256, "d": None}),
    ("symmetric", {"kty": "oct", "k": "AAAA"}),
    ("RSA of 1024 bits", {**RS256, "n": number(modulus() >> 1024 | 1)}),
    ("RSA of 2047 bits", {**RS256, "n": number(modulus() >> 1 | 1)}),
    ("RSA of 16384 bits", {**RS256, "n": number(2**16383 + 1)}),
    ("even RSA modulus", {**RS256, "n": number(modulus() & ~1)}),
    ("e = 1", {**RS256, "e": number(1)}),
    ("e = 3", {**RS256, "e": number(3)}),
    ("even e", {**RS256, "e": number(65538)}),
    ("huge e", {**RS256, "e": number(2**64 + 1)}),
    ("leading zero", {**RS256, "e": "AAEAAQ"}),
    ("empty e", {**RS256, "e": ""}),
    ("n missing", {k: v for k, v in RS256.items() if k != "n"}),
    ("n not a string", {**RS256, "n": 5}),
    ("n padded", {**RS256, "n": RS256["n"] + "=="}),
    ("point not on the curve", {**ES256, "y": ES256["x"]}),
    ("point at infinity", {**ES256, "x": number(0, 32), "y": number(0, 32)}),
    ("short coordinate", {**ES256, "x": number(5, 31)}),
    ("long coordinate", {**ES256, "x": number(5, 33)}),
    ("short Ed25519", {**ED25519, "x": number(5, 31)}),
    ("kid not a string", {**ES256, "kid": 7}),
    ("kid empty", {**ES256, "kid": ""}),
    ("kid long", {**ES256, "kid": "k" * 201}),
]


@pytest.mark.threat("N40")
@pytest.mark.parametrize("bad", [bad for _, bad in REFUSED], ids=[name for name, _ in REFUSED])
def test_a_key_that_proves_nothing_is_refused(bad: object) -> None:
    with pytest.raises(KeyRefused) as refused:
        check_public_jwk(bad, allowed_algs=ALL_ALGS)
    assert not isinstance(refused.value, KeyUnsuitable)


UNSUITABLE: list[tuple[str, dict[str, Any]]] = [
    ("for encryption", {**ES256, "use": "enc"}),
    ("use not a string", {**ES256, "use": ["sig"]}),
    ("for signing only", {**ES256, "key_ops": ["sign"]}),
    ("key_ops not a list", {**ES256, "key_ops": "verify"}),
    ("unknown type", {**ES256, "kty": "AKP"}),
    ("type not a string", {**ES256, "kty": ["EC"]}),
    ("no type", {k: v for k, v in ES256.items() if k != "kty"}),
    ("another curve", {**ES256, "crv": "P-384"}),
    ("curve not a string", {**ES256, "crv": ["P-256"]}),
    ("Ed448", {**ED25519, "crv": "Ed448"}),
    ("alg of another type", {**ES256, "alg": "RS256"}),
    ("alg none", {**ES256, "alg": "none"}),
    ("alg HS256", {**RS256, "alg": "HS256"}),
    ("alg not a string", {**ES256, "alg": ["ES256"]}),
]


@pytest.mark.threat("N37", "N40")
@pytest.mark.parametrize("bad", [bad for _, bad in UNSUITABLE], ids=[name for name, _ in UNSUITABLE])
def test_a_key_for_something_else_is_refused_and_said_to_be_unsuitable(bad: dict[str, Any]) -> None:
    with pytest.raises(KeyUnsuitable):
        check_public_jwk(bad, allowed_algs=ALL_ALGS)


def test_a_key_of_an_algorithm_that_the_caller_does_not_allow_is_unsuitable() -> None:
    with pytest.raises(KeyUnsuitable):
        check_public_jwk(RS256, allowed_algs=frozenset({"ES256", "PS256"}))
