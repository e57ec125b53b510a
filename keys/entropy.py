"""Randomness, and what is built from it. The only importer of `secrets`."""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from keys.encoding import b64url_encode

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Entropy(Protocol):
    """A source of unpredictable bytes. It is passed in, so that a test can replay a run."""

    def token_bytes(self, n: int) -> bytes:
        """Returns `n` bytes that nobody can guess."""
        ...


class SystemEntropy:
    """The operating system's generator."""

    def token_bytes(self, n: int) -> bytes:
        """Returns `n` bytes from the operating system."""
        return secrets.token_bytes(n)


def new_token(entropy: Entropy, nbytes: int = 32) -> str:
    """A secret for a URL, a cookie or a header: base64url without padding, 256 bits unless told otherwise."""
    return b64url_encode(entropy.token_bytes(nbytes))


def new_id(entropy: Entropy) -> str:
    """An identifier that says nothing, not even when it was made.

    Spec: RFC 9562 §5.4 (UUIDv4)
    """
    return str(UUID(bytes=entropy.token_bytes(16), version=4))


def new_row_id(entropy: Entropy, now: datetime) -> str:
    """An identifier that sorts by time, so that an index over a billion rows grows at one end only.

    It tells when it was made, so it is for rows, never for people. Raises `ValueError` on a naive `now`.

    Spec: RFC 9562 §5.7 (UUIDv7)
    """
    if now.tzinfo is None:
        raise ValueError("now must be aware")
    milliseconds = (now - _EPOCH) // timedelta(milliseconds=1)
    noise = entropy.token_bytes(10)
    value = milliseconds.to_bytes(6, "big") + noise
    number = int.from_bytes(value, "big")
    number = number & ~(0xF << 76) | (0x7 << 76)
    number = number & ~(0b11 << 62) | (0b10 << 62)
    # As `str(UUID(int=number))` would say it, at a quarter of its price: every row has one.
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def constant_time_equals(a: bytes, b: bytes) -> bool:
    """Whether two secrets are the same, without telling by the time taken how much of them is."""
    return hmac.compare_digest(a, b)


def sha256(data: bytes) -> bytes:
    """The SHA-256 digest, which is how tokens are kept: 256-bit random values need no salt and no slow hash."""
    return hashlib.sha256(data).digest()
