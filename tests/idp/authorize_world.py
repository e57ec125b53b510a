"""An agency, a purpose, an app and two people, for tests of the way from an app's request to its answer."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx2
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from consent.models import ConsentEvent, ConsentRecord
from consent.purposes import PurposeVersionView
from idp.accounts.directory import create_account
from idp.authorize.parameters import AuthorizationRequest
from idp.browser import SESSION_COOKIE
from idp.clients.management import ClientSpec, create_client
from idp.clients.registry import RegisteredClient
from idp.provider import Provider
from idp.sessions.store import start_session
from idp.tokens.models import Authorization
from tests.consent.registry import a_purpose, write_registry
from tests.support.clock import FakeClock
from tests.support.purposes import active_purpose

CALLBACK = "https://sehat.test/cb"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
PASSWORD = "kunci-yang-panjang-sekali"


@dataclass(frozen=True)
class World:
    """Who and what there is."""

    provider: Provider
    clock: FakeClock
    version: PurposeVersionView
    client: RegisteredClient
    siti: str
    budi: str

    def request(self, **changes: str | None) -> dict[str, str]:
        """An honest authorization request, with changes; None leaves a parameter out."""
        return request_of(**{"client_id": self.client.client_id, **changes})

    def address(self, **changes: str | None) -> str:
        """That request as an address."""
        return f"/authorize?{urlencode(self.request(**changes))}"

    async def sign_in(self, client: httpx2.AsyncClient, account_id: str, **changes: Any) -> str:
        """Signs a person in without the login page. Returns the session's id."""
        now = self.provider.clock()
        async with self.provider.database.transaction() as session:
            cookie, started = await start_session(
                session,
                account_id=account_id,
                acr=changes.get("acr", "urn:satupintu:acr:password"),
                amr=("pwd",),
                previous_cookie=None,
                lifetime=timedelta(days=1),
                now=now,
                entropy=self.provider.entropy,
            )
        client.cookies.set(SESSION_COOKIE, cookie, domain="idp.test", path="/")
        return started.id

    async def new_version(self, **changes: Any) -> PurposeVersionView:
        """The next version of the purpose."""
        async with self.provider.database.transaction() as session:
            return await active_purpose(
                session,
                agency_id=self.version.agency_id,
                **a_purpose(**changes),
                now=self.provider.clock(),
                entropy=self.provider.entropy,
            )

    async def count(self, table: type[Any]) -> int:
        """How many rows a table has."""
        async with self.provider.database.reading() as session:
            return int(await session.scalar(select(func.count()).select_from(table)) or 0)

    async def authorizations(self) -> list[Authorization]:
        """What was authorized, oldest first."""
        async with self.provider.database.reading() as session:
            return list(await session.scalars(select(Authorization).order_by(Authorization.id)))

    async def consents(self) -> list[ConsentRecord]:
        """The decisions, oldest first."""
        async with self.provider.database.reading() as session:
            return list(await session.scalars(select(ConsentRecord).order_by(ConsentRecord.id)))

    async def events(self) -> list[ConsentEvent]:
        """What happened to them, oldest first."""
        async with self.provider.database.reading() as session:
            return list(await session.scalars(select(ConsentEvent).order_by(ConsentEvent.id)))


def request_of(**changes: str | None) -> dict[str, str]:
    """An honest authorization request."""
    request: dict[str, str | None] = {
        "client_id": "sehat",
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid profile email",
        "state": "st4te",
        "nonce": "n0nce",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in request.items() if value is not None}


def parsed(**changes: Any) -> AuthorizationRequest:
    """An honest request as the checks see it."""
    values: dict[str, Any] = {
        "client_id": "sehat",
        "redirect_uri": CALLBACK,
        "redirect_uri_was_sent": True,
        "response_type": "code",
        "scope": ("openid", "profile", "email"),
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return AuthorizationRequest(**{**values, **changes})


def registered_app(**changes: Any) -> RegisteredClient:
    """An honest app as the checks see it."""
    values: dict[str, Any] = {
        "client_id": "sehat",
        "agency_id": "agency",
        "names": {"id": "Sehat Bersama", "en": "Healthy Together"},
        "status": "live",
        "verified": True,
        "profile": "oidc",
        "application_type": "web",
        "redirect_uris": (CALLBACK,),
        "post_logout_redirect_uris": (),
        "grant_types": frozenset({"authorization_code", "refresh_token"}),
        "response_modes": frozenset({"query", "form_post"}),
        "token_endpoint_auth_method": "client_secret_basic",
        "secrets": (),
        "verification_keys": (),
        "scopes": frozenset({"openid", "profile", "email", "offline_access"}),
        "resources": frozenset(),
        "allowed_resources": frozenset({"https://api.test"}),
        "purpose_codes": ("kunjungan",),
        "subject_type": "pairwise",
        "id_token_signed_response_alg": "RS256",
        "userinfo_signed_response_alg": None,
        "require_pkce": True,
        "default_max_age": None,
        "web_origins": frozenset(),
        "client_uri": None,
    }
    return RegisteredClient(**{**values, **changes})


async def make_world(provider: Provider, **client_changes: Any) -> World:
    """Fills the provider's database."""
    now, entropy = provider.clock(), provider.entropy
    async with provider.database.transaction() as session:
        version = await write_registry(session, now=now, entropy=entropy)
        await register_app(session, provider, version, **client_changes)
        password_hash = await provider.passwords.hash(PASSWORD)
        people = [
            await create_account(
                session,
                username=username,
                password_hash=password_hash,
                profile={"name": username.title(), "email": f"{username}@warga.test"},
                now=now,
                entropy=entropy,
            )
            for username in ("siti", "budi")
        ]
    client = await provider.clients.get(client_changes.get("client_id", "sehat"), now)
    assert client is not None
    assert isinstance(provider.clock, FakeClock)
    return World(
        provider=provider, clock=provider.clock, version=version, client=client, siti=people[0].id, budi=people[1].id
    )


async def register_app(
    session: AsyncSession, provider: Provider, version: PurposeVersionView, **changes: Any
) -> str | None:
    """Registers an app of the purpose's agency, and returns its secret."""
    spec: dict[str, Any] = {
        "agency_id": version.agency_id,
        "names": {"id": "Sehat Bersama", "en": "Healthy Together"},
        "client_id": "sehat",
        "verified": True,
        "redirect_uris": (CALLBACK,),
        "grant_types": ("authorization_code", "refresh_token"),
        "scopes": ("openid", "profile", "email", "offline_access"),
        "purpose_codes": (version.code,),
    }
    _, secret = await create_client(
        session, ClientSpec(**{**spec, **changes}), now=provider.clock(), entropy=provider.entropy
    )
    return secret
