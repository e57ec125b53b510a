"""A ministry, its apps and a citizen who has logged in and agreed: everything up to the code, made by the product's own
functions, so that tests of tokens can begin where the browser has left.
"""

import base64
import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import httpx2

from consent.agencies import create_agency
from consent.decisions import withdraw
from consent.purposes import PurposeVersionView
from idp.accounts.directory import create_account
from idp.authorize.claims import ClaimsRequest
from idp.authorize.parameters import AuthorizationRequest
from idp.clients.management import ClientSpec, create_client
from idp.provider import Provider
from idp.sessions.store import start_session
from idp.tokens.codes import KEEP, AuthenticatedPerson, new_code
from keys.encoding import b64url_decode, b64url_encode, strict_json_loads
from tests.consent.registry import a_purpose, grant_to, item
from tests.support.purposes import active_purpose

CALLBACK: Final = "https://app.test/callback"
VERIFIER: Final = "the-verifier-of-a-test-has-at-least-forty-three-characters"
CHALLENGE: Final = b64url_encode(hashlib.sha256(VERIFIER.encode()).digest())
PROFILE: Final[dict[str, Any]] = {
    "name": "Siti Rahayu",
    "given_name": "Siti",
    "gender": "female",
    "email": "siti@example.id",
    "email_verified": True,
    "urn:satupintu:claims:nik": "3171234567890001",
}
ITEMS: Final = ("name", "email", "email_verified", "gender", "urn:satupintu:claims:nik")


@dataclass(frozen=True)
class App:
    """A registered app and its secret."""

    client_id: str
    secret: str
    redirect_uri: str = CALLBACK

    @property
    def basic(self) -> dict[str, str]:
        """Its Authorization header."""
        return basic(self.client_id, self.secret)


@dataclass(frozen=True)
class Citizen:
    """A person who is logged in."""

    account_id: str
    login: AuthenticatedPerson


@dataclass
class World:
    """The stage. Every method is one step of the story, in a transaction of its own."""

    provider: Provider
    http: httpx2.AsyncClient
    agency_id: str
    purpose: PurposeVersionView
    consents: dict[str, str] = field(default_factory=dict)

    async def app(self, **changes: Any) -> App:
        """Registers an app: a server with a secret, all grants and people's scopes, unless told otherwise."""
        spec: dict[str, Any] = {
            "agency_id": self.agency_id,
            "names": {"id": "Sehat", "en": "Health"},
            "redirect_uris": (CALLBACK,),
            "grant_types": ("authorization_code", "refresh_token", "client_credentials"),
            "scopes": ("openid", "profile", "email", "identity", "offline_access", "reports:read", "reports:write"),
            "purpose_codes": (self.purpose.code,),
            "id_token_signed_response_alg": "ES256",
        }
        async with self.provider.database.transaction() as session:
            client, secret = await create_client(
                session, ClientSpec(**{**spec, **changes}), now=self.provider.clock(), entropy=self.provider.entropy
            )
        return App(client.client_id, secret or "")

    async def public_app(self, **changes: Any) -> App:
        """Registers a browser app, which has no secret."""
        spec = {
            "application_type": "spa",
            "grant_types": ("authorization_code", "refresh_token"),
            "web_origins": ("https://app.test",),
        }
        return await self.app(**{**spec, **changes})

    async def citizen(self, username: str = "siti") -> Citizen:
        """Makes a person and logs them in."""
        now, entropy = self.provider.clock(), self.provider.entropy
        async with self.provider.database.transaction() as session:
            account = await create_account(
                session, username=username, password_hash=None, profile=PROFILE, now=now, entropy=entropy
            )
            _cookie, login = await start_session(
                session,
                account_id=account.id,
                acr="urn:satupintu:acr:password",
                amr=("pwd",),
                previous_cookie=None,
                lifetime=timedelta(hours=1),
                now=now,
                entropy=entropy,
            )
        person = AuthenticatedPerson(
            session_id=login.id, account_id=account.id, auth_time=now, acr=login.acr, amr=("pwd",)
        )
        return Citizen(account.id, person)

    async def consent(
        self, app: App, citizen: Citizen, *, granted: Collection[str] = ITEMS, offline_access: bool = False
    ) -> str:
        """The citizen agrees. Returns the consent's id."""
        async with self.provider.database.transaction() as session:
            return await grant_to(
                session,
                self.purpose,
                now=self.provider.clock(),
                entropy=self.provider.entropy,
                granted=tuple(granted),
                subject_id=citizen.account_id,
                client_id=app.client_id,
                offline_access=offline_access,
            )

    async def withdraw(self, citizen: Citizen, consent_id: str) -> None:
        """The citizen takes it back."""
        async with self.provider.database.transaction() as session:
            await withdraw(
                session,
                consent_id=consent_id,
                subject_id=citizen.account_id,
                now=self.provider.clock(),
                entropy=self.provider.entropy,
            )

    async def code(
        self, app: App, citizen: Citizen, *, consent_id: str | None = None, claims: Any = None, **changes: Any
    ) -> str:
        """A code for what was asked and agreed to, as `/authorize` issues it."""
        scope: tuple[str, ...] = changes.pop("scope", ("openid", "profile", "email"))
        if consent_id is None:
            consent_id = await self.consent(app, citizen, offline_access="offline_access" in scope)
        self.consents[app.client_id] = consent_id
        now = self.provider.clock()
        client = await self.provider.clients.get(app.client_id, now)
        assert client is not None
        asked: dict[str, Any] = {
            "client_id": app.client_id,
            "redirect_uri": app.redirect_uri,
            "redirect_uri_was_sent": True,
            "response_type": "code",
            "scope": scope,
            "nonce": "n-0S6_WzA2Mj",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "prompt": frozenset({"consent"}),
            "claims": ClaimsRequest.from_json(claims or {}),
        }
        new = new_code(
            request=AuthorizationRequest(**{**asked, **changes}),
            client=client,
            person=citizen.login,
            consent_id=consent_id,
            subjects=self.provider.subjects,
            settings=self.provider.settings,
            now=now,
            entropy=self.provider.entropy,
        )
        await self.provider.database.driver.row(KEEP, new.row)
        return new.code

    async def token(self, app: App, **form: str | None) -> httpx2.Response:
        """A token request of the app, with its secret in the header if it has one. `None` leaves a parameter out."""
        sent = {name: value for name, value in form.items() if value is not None}
        if not app.secret:
            sent.setdefault("client_id", app.client_id)
        return await self.http.post("/token", data=sent, headers=app.basic if app.secret else {})

    async def redeem(self, app: App, code: str, **changes: str | None) -> httpx2.Response:
        """Redeems a code as the app should, but for the changes."""
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": app.redirect_uri,
            "code_verifier": VERIFIER,
        }
        return await self.token(app, **{**form, **changes})

    async def tokens(self, app: App, citizen: Citizen, **changes: Any) -> dict[str, Any]:
        """The whole way from consent to tokens. Error: `AssertionError` with the refusal."""
        answer = await self.redeem(app, await self.code(app, citizen, **changes))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def refresh(self, app: App, refresh_token: str, **changes: str) -> httpx2.Response:
        """A refresh as the app should do it."""
        return await self.token(app, grant_type="refresh_token", refresh_token=refresh_token, **changes)

    async def userinfo(self, access_token: str) -> httpx2.Response:
        """What userinfo says to a token."""
        return await self.http.get("/userinfo", headers={"Authorization": f"Bearer {access_token}"})

    async def introspect(self, app: App, token: str) -> dict[str, Any]:
        """What introspection tells this app about a token."""
        answer = await self.http.post("/introspect", data={"token": token}, headers=app.basic)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


async def new_world(provider: Provider, http: httpx2.AsyncClient) -> World:
    """A ministry with a purpose."""
    now, entropy = provider.clock(), provider.entropy
    async with provider.database.transaction() as session:
        agency = await create_agency(
            session,
            code="kesehatan",
            names={"id": "Kementerian Kesehatan", "en": "Ministry of Health"},
            contact="Jalan Contoh 1",
            privacy_contact="pdp@kesehatan.example",
            address="Jalan Contoh 1, Jakarta",
            now=now,
            entropy=entropy,
        )
        items = [item(claim, required=claim == "name") for claim in ITEMS]
        purpose = await active_purpose(session, agency_id=agency.id, **a_purpose(items=items), now=now, entropy=entropy)
    return World(provider, http, agency.id, purpose)


def basic(client_id: str, secret: str) -> dict[str, str]:
    """A Basic header."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def claims_in(token: str) -> dict[str, Any]:
    """What a JWT says; its signature is somebody else's test."""
    claims: dict[str, Any] = strict_json_loads(b64url_decode(token.split(".")[1]), max_bytes=65536)
    return claims
