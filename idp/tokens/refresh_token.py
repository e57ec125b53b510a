"""Refresh tokens: 256 bits, kept as SHA-256; the next one follows from the last.

Because the successor is computed from the token, a client whose answer was lost can ask again and gets the same one:
no second lineage can start, and nothing secret needs to be kept to make that possible.
Spec: RFC 6749 §6; RFC 9700 §4.14.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from idp.provider import Provider
from keys.encoding import b64url_encode
from keys.entropy import new_token, sha256


def digest(token: str) -> bytes:
    """What is kept of a token."""
    return sha256(token.encode("utf-8", "surrogatepass"))


def successor_of(token: str, *, secret: bytes) -> str:
    """The token that replaces this one: nobody without the secret can compute it."""
    return b64url_encode(hmac.digest(secret, token.encode("utf-8", "surrogatepass"), hashlib.sha256))


def first_token(provider: Provider) -> str:
    """The first of a family."""
    return new_token(provider.entropy)


def row_of(
    provider: Provider,
    token: str,
    *,
    authorization_id: str,
    client_id: str,
    family_expires_at: datetime,
    now: datetime,
) -> Mapping[str, Any]:
    """The row of a new token. It lives until it is idle for too long, and never longer than its family."""
    idle_until = now + timedelta(seconds=provider.settings.refresh_idle_lifetime)
    return {
        "token_sha256": digest(token),
        "authorization_id": authorization_id,
        "client_id": client_id,
        "issued_at": now,
        "expires_at": min(idle_until, family_expires_at),
        "rotated_at": None,
    }
