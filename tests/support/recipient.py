"""An app's own event endpoint, as an agency would build it with PyJWT: it verifies, remembers, and attests.

It knows the provider's keys and nothing else of it, and has a key of its own that the provider knows.
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import jwt
from joserfc.jwk import ECKey

from tests.support.canary import Canary, Visit, answering

TYP = "secevent+jwt"


def new_key() -> ECKey:
    """A signing key as an app makes one."""
    return ECKey.generate_key("P-256", {"alg": "ES256", "use": "sig"}, auto_kid=True)


@dataclass
class Recipient:
    """`seen` counts each token by its `jti`; `events` has what each said. `answer` may be changed by a test."""

    issuer: str
    audience: str
    jwks: dict[str, Any]
    key: ECKey = field(default_factory=new_key)
    seen: Counter[str] = field(default_factory=Counter)
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    canary: Canary = field(default_factory=Canary)

    async def __aenter__(self) -> Self:
        self.canary.answer = self.take
        await self.canary.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.canary.shut()

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.canary.url

    @property
    def public_jwks(self) -> dict[str, Any]:
        """Its key, as it is registered."""
        return {"keys": [self.key.as_dict(private=False)]}

    async def take(self, visit: Visit, writer: asyncio.StreamWriter) -> None:
        """Verifies what came, and answers as RFC 8935 says."""
        try:
            claims = self.verify(visit.body.decode())
        except jwt.PyJWTError as refused:
            self.wrong.append(str(refused))
            body = json.dumps({"err": "authentication_failed", "description": str(refused)}).encode()
            await answering("400 Bad Request", body, "Content-Type: application/json")(visit, writer)
            return
        self.seen[claims["jti"]] += 1
        self.events[claims["jti"]] = claims
        await answering()(visit, writer)

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a token that is the provider's, for this recipient, and of the right kind."""
        header = jwt.get_unverified_header(token)
        if header.get("typ") != TYP:
            raise jwt.InvalidTokenError(f"typ is {header.get('typ')}")
        key = next(key for key in jwt.PyJWKSet.from_dict(self.jwks).keys if key.key_id == header["kid"])
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=["ES256"],
            audience=self.audience,
            issuer=self.issuer,
            # PyJWT knows the wall clock only, and a test's may be days ahead.
            options={"require": ["iss", "aud", "iat", "jti"], "verify_iat": False},
        )
        return claims

    def attestation(self, delivery: str, state: str, /, *, at: datetime, **changes: Any) -> str:
        """A signed statement about a delivery. `changes` change its claims, or with `typ` and `key` how it is made."""
        typ, key = changes.pop("typ", "consent-attestation+jwt"), changes.pop("key", self.key)
        claims = {
            "iss": self.audience,
            "aud": self.issuer,
            "iat": int(at.timestamp()),
            "delivery": delivery,
            "state": state,
        } | changes
        private = jwt.PyJWK(key.as_dict(private=True), algorithm="ES256").key
        return jwt.encode(
            {name: value for name, value in claims.items() if value is not None},
            private,
            algorithm="ES256",
            headers={"typ": typ, "kid": key.kid},
        )
