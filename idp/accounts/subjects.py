"""The names under which apps know people: pairwise, so that two ministries cannot join their data on them.

Spec: OpenID Connect Core §8.1; OpenID Connect Front-Channel Logout §3 (`sid`).
"""

import hashlib
import hmac
from typing import Protocol

from keys.encoding import b64url_encode


class Sectored(Protocol):
    """What of a client decides which `sub` it sees: its agency is the sector."""

    @property
    def agency_id(self) -> str:
        """The agency, the sector within which a person has one `sub`."""
        ...

    @property
    def subject_type(self) -> str:
        """`pairwise` or `public`."""
        ...


class Subjects:
    """Derives `sub` and `sid`; nothing is stored, and without the secret nothing can be joined or turned back."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 32:
            raise ValueError("the pairwise secret needs at least 32 bytes")
        self._secret = secret
        # Other uses get keys of their own, so that no `sid` can ever equal a `sub`.
        self._sid_key = hmac.digest(secret, b"sid", hashlib.sha256)
        self._public_key = hmac.digest(secret, b"public sub", hashlib.sha256)

    def sub(self, account_id: str, sector: str) -> str:
        """The person's name within a sector: 43 characters."""
        return _mac(self._secret, sector, account_id)

    def public_sub(self, account_id: str) -> str:
        """The person's one name for the clients whose registration says `public`."""
        return _mac(self._public_key, account_id)

    def sub_for(self, account_id: str, client: Sectored) -> str:
        """The `sub` that this client sees."""
        if client.subject_type == "public":
            return self.public_sub(account_id)
        return self.sub(account_id, client.agency_id)

    def sid(self, session_id: str, client_id: str) -> str:
        """The session's name for one client; two clients cannot join people on it."""
        return _mac(self._sid_key, client_id, session_id)


def _mac(key: bytes, *parts: str) -> str:
    digest = hmac.digest(key, b"\x00".join(part.encode() for part in parts), hashlib.sha256)
    return b64url_encode(digest)
