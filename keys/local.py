"""A signer whose key is in this process's memory, unsealed once when the ring is loaded."""

import asyncio
from dataclasses import dataclass, field

from keys.key import ALGORITHMS, PrivateKey


@dataclass(frozen=True, slots=True)
class LocalSigner:
    """Signs with a loaded key: parsing an RSA key for every token would cost forty times the signature."""

    alg: str
    kid: str
    private: PrivateKey = field(repr=False)

    async def sign(self, signing_input: bytes) -> bytes:
        """Signs; RSA in a thread (it takes most of a millisecond, and releases the interpreter lock meanwhile)."""
        if ALGORITHMS[self.alg].slow:
            return await asyncio.to_thread(self.sign_now, signing_input)
        return self.sign_now(signing_input)

    def sign_now(self, signing_input: bytes) -> bytes:
        """Signs here and now. For ES256 the result is r and s, 32 bytes each, as JOSE wants it.

        Spec: RFC 7518 §3.3–3.5; RFC 8037 §3.1
        """
        return ALGORITHMS[self.alg].mathematics.sign(signing_input, self.private)
