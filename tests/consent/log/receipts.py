"""Receipt files and trust files, made with nothing of `keys/`: what the verifier must read, written independently."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from consent.log.entry import COMMITMENT_KEY
from consent.log.signers import NoteSigner
from tests.consent.log.growing import LOG, WITNESSES, GrowingLog, numbered_leaves, seed

EVENT = {"consent": "c-1", "seq": 1, "type": "granted", "items": ["name", "alamat"], "purpose": "bansos@3"}
OPENING = seed("the opening")
ED25519 = Ed25519PrivateKey.from_private_bytes(seed("receipts"))
P256 = ec.derive_private_key(int.from_bytes(seed("receipts"), "big"), ec.SECP256R1())


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jcs(value: dict[str, Any]) -> bytes:
    """Canonical JSON, of ASCII members."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def commitment_of(event: dict[str, Any], opening: bytes = OPENING) -> bytes:
    """The commitment, by the letter of the format."""
    return hmac.digest(COMMITMENT_KEY, b"consentlog commit v1" + opening + jcs(event), "sha256")


def _point() -> tuple[bytes, bytes]:
    numbers = P256.public_key().public_numbers()
    return numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")


JWKS = {
    "keys": [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "kid": "ed",
            "alg": "EdDSA",
            "x": b64(ED25519.public_key().public_bytes_raw()),
        },
        {"kty": "EC", "crv": "P-256", "kid": "ec", "x": b64(_point()[0]), "y": b64(_point()[1])},
        {"kty": "RSA", "kid": "rsa", "alg": "RS256", "n": "AQAB", "e": "AQAB"},
    ]
}


def signed(claims: bytes, header: dict[str, Any]) -> str:
    """A compact JWS, by the key that the header names (Ed25519 unless it is `ec`)."""
    message = f"{b64(json.dumps(header).encode())}.{b64(claims)}".encode()
    if header.get("kid") == "ec":
        r, s = decode_dss_signature(P256.sign(message, ec.ECDSA(SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    else:
        signature = ED25519.sign(message)
    return f"{message.decode()}.{b64(signature)}"


@dataclass
class ReceiptFile:
    """A receipt that holds, until a test changes a part of it."""

    event: dict[str, Any] = field(default_factory=lambda: dict(EVENT))
    kind: int = 1
    header: dict[str, Any] = field(default_factory=lambda: {"typ": "consent-receipt+jwt", "alg": "EdDSA", "kid": "ed"})
    more_claims: dict[str, Any] = field(default_factory=dict)
    before: int = 4
    after: int = 7
    signer: NoteSigner = LOG
    cosigners: list[NoteSigner] = field(default_factory=lambda: WITNESSES[:2])

    def log(self) -> GrowingLog:
        """The log, with the event among others."""
        leaf = b"consentlog/v1\n" + bytes([self.kind]) + commitment_of(self.event)
        return GrowingLog(signer=self.signer).append(
            *numbered_leaves(self.before), leaf, *numbered_leaves(self.after, "later")
        )

    def claims(self) -> dict[str, Any]:
        """What is signed."""
        return {
            "iss": "https://izin.example",
            "jti": "r-1",
            "event_sha256": b64(hashlib.sha256(jcs(self.event)).digest()),
            "log": {"origin": self.signer.vkey.name, "commitment": b64(commitment_of(self.event))},
            **self.more_claims,
        }

    def document(self) -> dict[str, Any]:
        """The file's content."""
        return {
            "format": "satupintu-receipt/1",
            "receipt": signed(json.dumps(self.claims()).encode(), self.header),
            "event": self.event,
            "kind": self.kind,
            "proof": str(self.log().proof(self.before, extra=OPENING, cosigners=self.cosigners)),
        }

    def data(self, **changed: Any) -> bytes:
        """The file's bytes, with members changed."""
        return json.dumps({**self.document(), **changed}).encode()


POLICY = (
    f"log {LOG.vkey}\nwitness bpk {WITNESSES[0].vkey}\nwitness uni {WITNESSES[1].vkey}\n"
    f"witness press {WITNESSES[2].vkey}\ngroup g 2 bpk uni press\nquorum g\n"
)


def trust_data(**changed: Any) -> bytes:
    """The trust file's bytes, with members changed."""
    document = {"format": "satupintu-trust/1", "log": str(LOG.vkey), "policy": POLICY, "receipts": JWKS, **changed}
    return json.dumps({name: value for name, value in document.items() if value is not ...}).encode()
