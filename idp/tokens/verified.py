"""Remembers which access tokens have verified, so that one signature is not checked at each of a token's many uses.

It is remembered of the exact bytes, under the very keys that a process has at the moment, and says nothing about being
alive: expiry, and everything that ends a token, is asked anew at each use.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from keys.ring import KeyRing

CAPACITY: Final = 4096


class VerifiedTokens:
    """The claims of tokens that verified lately. All is forgotten when the ring is read anew, every few seconds."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._ring: KeyRing | None = None
        self._claims: OrderedDict[str, Mapping[str, Any]] = OrderedDict()

    def recall(self, ring: KeyRing, token: str) -> Mapping[str, Any] | None:
        """The claims, when exactly this token has verified under exactly this ring."""
        if ring is not self._ring:
            self._claims.clear()
            self._ring = ring
        claims = self._claims.get(token)
        if claims is not None:
            self._claims.move_to_end(token)
        return claims

    def remember(self, ring: KeyRing, token: str, claims: Mapping[str, Any]) -> None:
        """Keeps what was verified just now; the longest unused one leaves when there are too many."""
        if ring is not self._ring:
            return
        self._claims[token] = claims
        if len(self._claims) > self._capacity:
            self._claims.popitem(last=False)
