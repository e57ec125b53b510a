"""What a key does for us, wherever it is kept."""

from typing import Protocol


class Signer(Protocol):
    """A private key that signs and is never seen: in this process, or in a device that does not give it away."""

    @property
    def alg(self) -> str:
        """The one algorithm of this key, by its name on the wire."""
        ...

    @property
    def kid(self) -> str:
        """The key's name in the JWKS."""
        ...

    async def sign(self, signing_input: bytes) -> bytes:
        """Signs without keeping the event loop from its other work."""
        ...

    def sign_now(self, signing_input: bytes) -> bytes:
        """Signs at once, for callers that are not on the event loop or know the key to be fast."""
        ...
