"""Who signs notes: a log with Ed25519, a witness with timestamped Ed25519, and either with ML-DSA-44.

Spec: C2SP signed-note, Ed25519 signatures; C2SP tlog-cosignature
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.log.errors import Unavailable
from consent.log.note import Signature
from consent.log.vkey import KeyType, VerifierKey, signed_bytes

try:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
except ImportError:  # an older `cryptography`: everything but ML-DSA still works
    MLDSA44PrivateKey = None  # type: ignore[assignment,misc]  # `ml_dsa_signer` says so

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PrivateKey(Protocol):
    """What a signer needs of a private key; one in a hardware module can have it too."""

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`."""
        ...


class Signer(Protocol):
    """Signs notes with one key."""

    @property
    def vkey(self) -> VerifierKey:
        """The public key, by which the signatures are believed."""
        ...

    def sign(self, text: str, *, now: datetime) -> Signature:
        """Signs a note's text. `now` goes into signatures that say when they were made."""
        ...


@dataclass(frozen=True)
class NoteSigner:
    """Signs with one key, in the way of the key's type."""

    vkey: VerifierKey
    private_key: PrivateKey

    def sign(self, text: str, *, now: datetime) -> Signature:
        """Signs a note's text. Raises `FormatRefused` when the type signs checkpoints only and the text is none.

        Spec: C2SP signed-note, Ed25519 signatures; C2SP tlog-cosignature, Format
        """
        if now.tzinfo is None:
            raise ValueError("now must be aware")
        timestamp, prefix = None, b""
        if self.vkey.type.timestamped:
            timestamp = int((now - _EPOCH).total_seconds())
            prefix = timestamp.to_bytes(8, "big")
        signature = self.private_key.sign(signed_bytes(self.vkey.type, self.vkey.name, text, timestamp))
        return Signature(self.vkey.name, self.vkey.id, prefix + signature)


def ed25519_signer(name: str, seed: bytes) -> NoteSigner:
    """A log's signer: plain Ed25519 over the text. `seed` is 32 secret bytes, for this signer alone.

    Spec: RFC 8032 §5.1.5
    """
    return _ed25519(name, KeyType.ED25519, seed)


def cosigner(name: str, seed: bytes) -> NoteSigner:
    """A witness's signer: timestamped Ed25519, `cosignature/v1`. `seed` is 32 secret bytes, for this signer alone.

    Spec: C2SP tlog-cosignature, Ed25519 signed message; RFC 8032 §5.1.5
    """
    return _ed25519(name, KeyType.COSIGNATURE, seed)


def _ed25519(name: str, kind: KeyType, seed: bytes) -> NoteSigner:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return NoteSigner(VerifierKey(name, kind, private.public_key().public_bytes_raw()), private)


def ml_dsa_signer(name: str, seed: bytes) -> NoteSigner:
    """A log's or a witness's signer that quantum computers do not break. `seed` is 32 secret bytes, for it alone.

    Raises `Unavailable` where `cryptography` does not have ML-DSA.

    Spec: C2SP tlog-cosignature, ML-DSA-44 signed message; FIPS 204 §5.1
    """
    if MLDSA44PrivateKey is None:
        raise Unavailable("ML-DSA-44 needs a newer `cryptography` than is here")
    try:
        private = MLDSA44PrivateKey.from_seed_bytes(seed)
    except UnsupportedAlgorithm:
        raise Unavailable("this `cryptography` was built without ML-DSA-44") from None
    return NoteSigner(VerifierKey(name, KeyType.ML_DSA_44, private.public_key().public_bytes_raw()), private)
