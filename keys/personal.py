"""One person's key: what is said of them is sealed under it, and what is committed to is opened by it.

Destroying the key erases both at once: the sealed texts are noise, and a commitment tells no two people apart. The
openings need not be kept, for each is derived from the key and the id of its row.
"""

import hashlib
import hmac
from typing import Final, NoReturn, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.entropy import Entropy
from keys.errors import KeyRefused, SealBroken

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_VERSION: Final = b"\x01"
_PURPOSE: Final = b"satupintu personal v1\x00"


class PersonalKey:
    """A person's 256-bit key, opened. It is sealed under the master key wherever it is kept."""

    __slots__ = ("_opening", "_sealing")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise KeyRefused(f"a personal key is {KEY_BYTES} bytes, not {len(secret)}")
        self._sealing = AESGCM(_derive(secret, b"sealing"))
        self._opening = _derive(secret, b"opening")

    @classmethod
    def generate(cls, entropy: Entropy) -> tuple[Self, bytes]:
        """A new key, and the secret to be sealed and kept."""
        secret = entropy.token_bytes(KEY_BYTES)
        return cls(secret), secret

    def seal(self, plaintext: bytes, *, context: bytes, entropy: Entropy) -> bytes:
        """Encrypts and authenticates what one row says. The context names the row, so that no two can be exchanged.

        The result is a version byte, a random 96-bit nonce, and AES-256-GCM's ciphertext with its tag.
        Spec: NIST SP 800-38D §8.2.2; RFC 5116 §5.2
        """
        nonce = entropy.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._sealing.encrypt(nonce, plaintext, _VERSION + context)

    def unseal(self, sealed: bytes, *, context: bytes) -> bytes:
        """Opens what was sealed. Raises `SealBroken` for another key, another row, or one altered bit."""
        if sealed[:1] != _VERSION or len(sealed) < len(_VERSION) + _NONCE_BYTES + _TAG_BYTES:
            raise SealBroken("not a sealed value of a known version")
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._sealing.decrypt(nonce, ciphertext, _VERSION + context)
        except InvalidTag as error:
            raise SealBroken(f"the seal of {context!r} does not open with this key") from error

    def opening(self, row_id: str) -> bytes:
        """The 32 bytes that hide what a row's commitment commits to, until they are shown."""
        return hmac.digest(self._opening, row_id.encode(), hashlib.sha256)

    def __repr__(self) -> str:
        return "<PersonalKey, not shown>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a personal key does not leave the process")


def _derive(secret: bytes, name: bytes) -> bytes:
    return hmac.digest(secret, _PURPOSE + name, hashlib.sha256)
