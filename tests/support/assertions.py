"""Client assertions as an app signs them, and with whatever a test wants to be wrong."""

import time
import uuid
from typing import Any

import jwt

from keys.key import PrivateKey, generate_private, public_jwk

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class AssertionKey:
    """An app's own key: what it registers, and what it signs."""

    def __init__(self, alg: str = "ES256") -> None:
        self.alg = alg
        self.private: PrivateKey = generate_private(alg, rsa_bits=2048)
        self.jwk = public_jwk(self.private, alg=alg)

    @property
    def jwks(self) -> dict[str, Any]:
        """The key set to register."""
        return {"keys": [self.jwk]}

    def sign(self, client_id: str, *, now: float | None = None, header: Any = None, **changes: Any) -> str:
        """An assertion of the client for `https://idp.test`. A change to `...` leaves the claim out."""
        moment = int(time.time() if now is None else now)
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": "https://idp.test",
            "iat": moment,
            "exp": moment + 60,
            "jti": str(uuid.uuid4()),
        }
        sent = {name: value for name, value in {**claims, **changes}.items() if value is not ...}
        alg = "EdDSA" if self.alg == "Ed25519" else self.alg
        return jwt.encode(sent, self.private, algorithm=alg, headers={"kid": self.jwk["kid"], **(header or {})})

    def form(self, client_id: str, **changes: Any) -> dict[str, str]:
        """The two parameters that carry an assertion."""
        return carrying(self.sign(client_id, **changes))


def carrying(assertion: str) -> dict[str, str]:
    """The parameters that carry this assertion."""
    return {"client_assertion_type": JWT_BEARER, "client_assertion": assertion}
