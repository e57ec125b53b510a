"""Registers more in the little country: apps of its agencies, purposes, and purposes' next versions.

registrar = Registrar(database, world, now=…, entropy=…, transport=…, clock=…)
app = await registrar.app("kemenkes", purpose_codes=("kunjungan-puskesmas",), scopes=("openid", "profile"))
"""

from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any, Self

import httpx2
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from joserfc.jwk import ECKey, OKPKey

from consent.agencies import agency_by_code
from consent.purposes import PurposeVersionView
from idp.clients.management import ClientSpec, create_client
from idp.clock import Clock
from idp.database import Database
from idp.demo.registry import PURPOSES
from idp.demo.world import APPS
from keys.entropy import Entropy
from tests.support.purposes import active_purpose
from tests.support.relying_party import RelyingParty

HEALTH = next(app for app in APPS if app.name == "health")
VISIT = next(purpose for purpose in PURPOSES if purpose["code"] == HEALTH.purpose)


class Registrar:
    """The operator who registers, on the test's own connection to the provider's database."""

    def __init__(
        self,
        database: Database,
        *,
        issuer: str,
        clock: Clock,
        entropy: Entropy,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._database = database
        self._issuer = issuer
        self._clock = clock
        self._entropy = entropy
        self._transport = transport
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    @property
    def now(self) -> datetime:
        """The provider's now."""
        return self._clock()

    async def register(self, agency: str = "kemenkes", **spec: Any) -> tuple[str, str | None]:
        """Registers an app like the health app, with changes. Returns its id and its secret."""
        said: dict[str, Any] = {
            "names": {"id": "Antrean RSUD", "en": "Hospital Queue"},
            "verified": True,
            "redirect_uris": ("https://antrean.test/callback",),
            "grant_types": ("authorization_code", "refresh_token"),
            "scopes": HEALTH.scopes,
            "purpose_codes": (HEALTH.purpose,),
        }
        said |= spec
        async with self._database.transaction() as session:
            owner = await agency_by_code(session, agency)
            assert owner is not None
            client, secret = await create_client(
                session, ClientSpec(agency_id=owner.id, **said), now=self.now, entropy=self._entropy
            )
            return client.client_id, secret

    async def app(
        self,
        agency: str = "kemenkes",
        *,
        key: ECKey | OKPKey | None = None,
        redirect_uri: str | None = None,
        **spec: Any,
    ) -> RelyingParty:
        """Registers an app and builds it on Authlib's client. With a `key`, it authenticates by `private_key_jwt`."""
        if key is not None:
            spec |= {
                "token_endpoint_auth_method": "private_key_jwt",
                "jwks": {"keys": [key.as_dict(private=False)]},
            }
        client_id, secret = await self.register(agency, **spec)
        method = spec.get("token_endpoint_auth_method") or ("client_secret_basic" if secret else "none")
        registered = spec.get("redirect_uris", ("https://antrean.test/callback",))
        app = RelyingParty(
            issuer=self._issuer,
            client_id=client_id,
            client_secret=secret,
            auth_method=method,
            redirect_uri=redirect_uri or next(iter(registered), ""),
            transport=self._transport,
            clock=self._clock,
        )
        if key is not None:
            app.oauth.client_secret = key
            app.oauth.register_client_auth_method(SignedAssertion(f"{self._issuer}/token", alg=str(key["alg"])))
        await self._opened.enter_async_context(app)
        return app

    async def purpose(self, agency: str = "kemenkes", **changes: Any) -> PurposeVersionView:
        """Puts in force a purpose like the health app's with changes; of an existing code, its next version."""
        said = {name: value for name, value in VISIT.items() if name != "agency"} | changes
        async with self._database.transaction() as session:
            owner = await agency_by_code(session, agency)
            assert owner is not None
            return await active_purpose(session, agency_id=owner.id, **said, now=self.now, entropy=self._entropy)


class SignedAssertion(PrivateKeyJWT):
    """Authlib's method with a minute's lifetime: its own default is an hour, which the provider refuses."""

    def sign(self, auth: Any, token_endpoint: str) -> str:
        """A fresh assertion."""
        return str(
            private_key_jwt_sign(
                auth.client_secret,
                client_id=auth.client_id,
                token_endpoint=token_endpoint,
                alg=self.alg,
                expires_in=60,
            )
        )
