"""The signature of a receipt, checked with the standard library and `cryptography` alone.

`keys/` verifies every other token; this is here because a receipt must be checkable by somebody who has nothing of ours
but a few files of plain Python.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from consent.log.errors import FormatRefused, LogError
from keys.encoding import b64url_decode, strict_json_loads
from keys.errors import MalformedEncoding

TYPE: Final = "consent-receipt+jwt"
MAX_JWS_CHARACTERS: Final = 1024 * 1024
_MAX_HEADER_BYTES: Final = 4096


class ReceiptSignatureRefused(LogError):
    """A receipt that none of the trusted keys has signed as it stands."""


@dataclass(frozen=True)
class ReceiptKey:
    """A public key for receipts. It fixes the algorithms (two names for EdDSA are one): a token's header never does."""

    kid: str
    algorithms: frozenset[str]
    public: Ed25519PublicKey | EllipticCurvePublicNumbers

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> "ReceiptKey":
        """Reads a JWK. Raises `FormatRefused` on one that is not for EdDSA or ES256.

        Spec: RFC 7518 §6.2; RFC 8037 §2; RFC 9864 §2.2
        """
        kid = jwk.get("kid")
        if not isinstance(kid, str) or not kid:
            raise FormatRefused("a key for receipts has a kid")
        public: Ed25519PublicKey | EllipticCurvePublicNumbers
        try:
            match jwk.get("kty"), jwk.get("crv"):
                case "OKP", "Ed25519":
                    algorithms = frozenset({"EdDSA", "Ed25519"})
                    public = Ed25519PublicKey.from_public_bytes(_bytes_of(jwk, "x"))
                case "EC", "P-256":
                    algorithms = frozenset({"ES256"})
                    x, y = (int.from_bytes(_bytes_of(jwk, name), "big") for name in ("x", "y"))
                    public = EllipticCurvePublicNumbers(x, y, SECP256R1())
                    public.public_key()  # refuses a point that is not on the curve
                case _:
                    raise FormatRefused(f"the key {kid} is neither an Ed25519 nor a P-256 key")
        except ValueError:
            raise FormatRefused(f"the key {kid} is not a public key") from None
        named = jwk.get("alg")
        if named is not None and named not in algorithms:
            raise FormatRefused(f"the key {kid} is not for {named}")
        return cls(kid, algorithms if named is None else frozenset({named}), public)

    def verify(self, signature: bytes, message: bytes) -> None:
        """Checks a signature. Raises `InvalidSignature`.

        Spec: RFC 7518 §3.4; RFC 8037 §3.1
        """
        if isinstance(self.public, Ed25519PublicKey):
            self.public.verify(signature, message)
            return
        if len(signature) != 64:
            raise InvalidSignature
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        self.public.public_key().verify(encode_dss_signature(r, s), message, ECDSA(SHA256()))


def receipt_keys(jwks: object) -> tuple[ReceiptKey, ...]:
    """Reads a JWK Set. Raises `FormatRefused`, also when two keys have one kid.

    Spec: RFC 7517 §5
    """
    listed = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(listed, list) or not listed or not all(isinstance(jwk, Mapping) for jwk in listed):
        raise FormatRefused("the keys for receipts are not a JWK Set with at least one key")
    # A published set may hold keys for other things too (RSA for ID tokens); they cannot sign receipts.
    read = tuple(ReceiptKey.from_jwk(jwk) for jwk in listed if jwk.get("kty") in {"OKP", "EC"})
    if not read or len({key.kid for key in read}) != len(read):
        raise FormatRefused("the keys for receipts hold no usable key, or two of one kid")
    return read


def verify_receipt(jws: str, *, keys: Sequence[ReceiptKey]) -> tuple[str, dict[str, Any]]:
    """Checks a compact JWS and returns the kid and the claims. Raises `ReceiptSignatureRefused`.

    Spec: RFC 7515 §5.2; RFC 8725 §3.1, §3.11
    """
    parts = jws.split(".", 3)
    if len(jws) > MAX_JWS_CHARACTERS or len(parts) != 3:
        raise ReceiptSignatureRefused("the receipt is not a compact JWS")
    try:
        header = strict_json_loads(b64url_decode(parts[0]), max_bytes=_MAX_HEADER_BYTES)
        payload, signature = b64url_decode(parts[1]), b64url_decode(parts[2])
    except MalformedEncoding as refused:
        raise ReceiptSignatureRefused(f"the receipt is not a compact JWS: {refused}") from None
    if not isinstance(header, dict) or header.get("typ") != TYPE:
        raise ReceiptSignatureRefused(f"the signed token is not a receipt: its typ is not {TYPE}")
    if "crit" in header:
        raise ReceiptSignatureRefused("the receipt's header demands what this verifier does not know")
    key = next((key for key in keys if key.kid == header.get("kid")), None)
    if key is None:
        raise ReceiptSignatureRefused(f"no trusted key has the receipt's kid {header.get('kid')!r}")
    if header.get("alg") not in key.algorithms:
        raise ReceiptSignatureRefused(f"the receipt says {header.get('alg')!r}, for which its key is not")
    try:
        key.verify(signature, f"{parts[0]}.{parts[1]}".encode())
    except InvalidSignature:
        raise ReceiptSignatureRefused(f"the receipt's signature was not made by the key {key.kid}") from None
    try:
        claims = strict_json_loads(payload, max_bytes=MAX_JWS_CHARACTERS)
    except MalformedEncoding as refused:
        raise ReceiptSignatureRefused(f"the receipt's claims are not JSON: {refused}") from None
    if not isinstance(claims, dict):
        raise ReceiptSignatureRefused("the receipt's claims are not a JSON object")
    return key.kid, claims


def _bytes_of(jwk: Mapping[str, Any], name: str) -> bytes:
    value = jwk.get(name)
    try:
        data = b64url_decode(value) if isinstance(value, str) else b""
    except MalformedEncoding:
        data = b""
    if len(data) != 32:
        raise FormatRefused(f"the member {name} of a key is not 32 bytes of base64url")
    return data
