"""How an app hears that somebody took a consent back, and says, signed, what it did about it. Copy this too.

Satu Pintu pushes a signed event; the app checks it, does what it says, answers, and then attests. In a real app the
event would be kept before it is answered, for what was answered is not sent again.
Spec: RFC 8417 (the event); RFC 8935 (the push).
"""

import time
from collections.abc import Callable
from typing import Any

from authlib.integrations.base_client.errors import OAuthError
from httpx2 import HTTPError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

PREFIX = "urn:satupintu:events:consent-"
# What is said of an event, in the order in which it may be said.
STATES = {"acknowledged": ("acknowledged",), "stopped": ("stopped",), "erased": ("stopped", "erased")}


class Listener:
    """The endpoint for events. `heed(kind, sub, event, happened_at)` does what an event of this kind says."""

    def __init__(
        self,
        provider: Any,
        *,
        issuer: str,
        client_id: str,
        signing_key: str,
        key_id: str,
        heed: Callable[[str, str, dict[str, Any], int], None],
    ) -> None:
        self._provider = provider
        self._issuer = issuer
        self._client_id = client_id
        self._key = ECKey.import_key(signing_key)
        self._key_id = key_id
        self._heed = heed
        self._seen: set[str] = set()

    async def take(self, request: Request) -> Response:
        """Takes one event. A second copy of it is answered like the first, and changes nothing."""
        try:
            claims = await self._verified((await request.body()).decode())
        except (JoseError, UnicodeDecodeError, KeyError, ValueError) as wrong:
            return JSONResponse({"err": "authentication_failed", "description": type(wrong).__name__}, status_code=400)
        name, event = next((name, said) for name, said in claims["events"].items() if name.startswith(PREFIX))
        if claims["jti"] in self._seen:
            return Response(status_code=202)
        self._seen.add(claims["jti"])
        self._heed(name.removeprefix(PREFIX), claims.get("sub_id", {}).get("sub", ""), event, claims["toe"])
        return Response(status_code=202, background=BackgroundTask(self._attest, claims["jti"], event["attest"]))

    async def _verified(self, token: str) -> dict[str, Any]:
        keys = KeySet.import_key_set(await self._provider.fetch_jwk_set())
        verified = jwt.decode(token, keys, algorithms=["ES256"])
        claims = verified.claims
        if verified.header.get("typ") != "secevent+jwt":
            raise ValueError("another kind of token")
        if (claims["iss"], claims["aud"]) != (self._issuer, self._client_id):
            raise ValueError("another's event")
        return claims

    async def _attest(self, delivery: str, last: str) -> None:
        """Says what was done. Only what is so: uses that others report are compared with it."""
        metadata = await self._provider.load_server_metadata()
        try:
            async with self._provider._get_oauth_client(**metadata) as client:
                await client.fetch_token(
                    metadata["token_endpoint"], grant_type="client_credentials", scope="consent:events"
                )
                for state in STATES[last]:
                    answer = await client.post(
                        f"{self._issuer}/consent/v1/events/attestations",
                        content=self._signed(delivery, state),
                        headers={"Content-Type": "application/consent-attestation+jwt"},
                    )
                    answer.raise_for_status()
        except (HTTPError, OAuthError) as failed:
            # A real app tries again; the clock of what is due goes on.
            print(f"{self._client_id}: not attested yet: {failed}")  # noqa: T201 - the demonstration's own voice

    def _signed(self, delivery: str, state: str) -> str:
        header = {"alg": "ES256", "kid": self._key_id, "typ": "consent-attestation+jwt"}
        claims = {"iss": self._client_id, "aud": self._issuer, "iat": int(time.time()), "delivery": delivery}
        return jwt.encode(header, {**claims, "state": state}, self._key)
