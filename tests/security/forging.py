"""Tokens as attackers make them: with a header, a payload or a signature that no honest party would write."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys.encoding import b64url_encode
from keys.signer import Signer

NONE: Final = ("none", "None", "NONE", "nOnE", "")


def segment(value: Any) -> str:
    """A part of a token: JSON, or text and bytes as they are."""
    text = value if isinstance(value, str | bytes) else json.dumps(value)
    return b64url_encode(text.encode() if isinstance(text, str) else text)


async def signed(signer: Signer, payload: Any, **header: Any) -> str:
    """A token with a true signature over whatever header and payload. A header of `...` is left out."""
    said = {"alg": signer.alg, "kid": signer.kid, "typ": "JWT", **header}
    unsigned = f"{segment({name: value for name, value in said.items() if value is not ...})}.{segment(payload)}"
    return f"{unsigned}.{b64url_encode(await signer.sign(unsigned.encode()))}"


def unsigned(payload: Any, *, typ: str, kid: str) -> list[str]:
    """`alg: none` in every spelling, with an empty signature, some signature, and none at all."""
    made = []
    for alg in NONE:
        for header in ({"alg": alg, "typ": typ}, {"alg": alg, "typ": typ, "kid": kid}):
            head = f"{segment(header)}.{segment(payload)}"
            made += [f"{head}.", f"{head}.AAAA", head]
    return made


def with_public_key_as_secret(payload: Any, jwk: Mapping[str, Any], *, typ: str) -> list[str]:
    """HMAC with the bytes of a public key, in each form in which the server may hold it."""
    public: Any = jwt.PyJWK(dict(jwk)).key
    secrets = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        json.dumps(jwk, separators=(",", ":")).encode(),
        b"",
    ]
    made = []
    for secret in secrets:
        for alg, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
            head = f"{segment({'alg': alg, 'typ': typ, 'kid': jwk['kid']})}.{segment(payload)}"
            made.append(f"{head}.{b64url_encode(hmac.digest(secret, head.encode(), digest))}")
    return made


def with_other_signature(token: str) -> list[str]:
    """A true token whose signature is empty, cut, stretched, all zero (the "psychic" one) or doubled."""
    head, _, signature = token.rpartition(".")
    return [
        head,
        f"{head}.",
        f"{head}.{signature[:-2]}",
        f"{head}.{signature}AA",
        f"{token}.",
        f"{token}.{signature}",
        f"{head}.{b64url_encode(bytes(64))}",
        f"{head}.{b64url_encode(bytes(256))}",
        f"{head}.{b64url_encode(bytes.fromhex('3006020100020100'))}",
        f"{head}.{signature}=",
        f"{head}.{signature}\n",
    ]
