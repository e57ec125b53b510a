"""What an operator does with apps: register, list, look at, disable, give a new secret.

A secret is shown once, when it is made; only its SHA-256 is kept.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, cast, select
from sqlalchemy.ext.asyncio import AsyncSession

from consent.models import Agency, Purpose
from idp.clients.models import Client
from idp.clients.spec import SECRET_METHODS, ClientRefused, ClientSpec, check, check_jwks, check_scopes
from keys.entropy import Entropy, new_token

__all__ = [
    "ClientRefused",
    "ClientSpec",
    "change_client",
    "create_client",
    "disable_client",
    "enable_client",
    "list_clients",
    "rotate_secret",
    "show_client",
]


async def create_client(
    session: AsyncSession, spec: ClientSpec, *, now: datetime, entropy: Entropy
) -> tuple[Client, str | None]:
    """Registers an app. Returns its row, and its secret when its method has one. Error: `ClientRefused`."""
    check(spec)
    await _check_agency(session, spec)
    if spec.resources:
        await _check_resources(session, spec)
    client_id = spec.client_id or f"app-{entropy.token_bytes(12).hex()}"
    if await session.get(Client, client_id) is not None:
        raise ClientRefused("client_id", "taken")
    secret = new_token(entropy) if spec.auth_method in SECRET_METHODS else None
    client = Client(
        client_id=client_id,
        agency_id=spec.agency_id,
        names=dict(spec.names),
        status="live",
        verified=spec.verified,
        profile=spec.profile,
        application_type=spec.application_type,
        redirect_uris=list(spec.redirect_uris),
        post_logout_redirect_uris=list(spec.post_logout_redirect_uris),
        grant_types=list(spec.grant_types),
        response_modes=list(spec.response_modes),
        token_endpoint_auth_method=spec.auth_method,
        secrets=[_stored(secret, now)] if secret is not None else [],
        jwks=dict(spec.jwks) if spec.jwks is not None else None,
        scopes=list(dict.fromkeys(spec.scopes)),
        resources=list(spec.resources),
        allowed_resources=list(spec.allowed_resources),
        purpose_codes=list(spec.purpose_codes),
        subject_type=spec.subject_type,
        id_token_signed_response_alg=spec.id_token_alg,
        userinfo_signed_response_alg=spec.userinfo_signed_response_alg,
        require_pkce=spec.require_pkce,
        default_max_age=spec.default_max_age,
        web_origins=list(spec.web_origins),
        client_uri=spec.client_uri,
        created_at=now,
        updated_at=now,
        disabled_at=None,
    )
    session.add(client)
    await session.flush()
    return client, secret


async def list_clients(session: AsyncSession, *, agency_id: str | None = None) -> Sequence[Client]:
    """Every app, or those of one agency, by id."""
    statement = select(Client).order_by(Client.client_id)
    if agency_id is not None:
        statement = statement.where(Client.agency_id == agency_id)
    return (await session.scalars(statement)).all()


async def show_client(session: AsyncSession, client_id: str) -> Client:
    """One app. Error: `ClientRefused` when there is none of that id."""
    client = await session.get(Client, client_id)
    if client is None:
        raise ClientRefused("client_id", f"there is no app {client_id!r}")
    return client


async def change_client(
    session: AsyncSession,
    client_id: str,
    *,
    add_scopes: Sequence[str] = (),
    jwks: Mapping[str, Any] | None = None,
    now: datetime,
) -> Client:
    """Gives an app more scopes, or other public keys, by the rules of its registration. Error: `ClientRefused`."""
    client = await show_client(session, client_id)
    spec = ClientSpec(
        agency_id=client.agency_id,
        names=client.names,
        client_id=client.client_id,
        profile=client.profile,
        application_type=client.application_type,
        redirect_uris=tuple(client.redirect_uris),
        grant_types=tuple(client.grant_types),
        response_modes=tuple(client.response_modes),
        token_endpoint_auth_method=client.token_endpoint_auth_method,
        jwks=dict(jwks) if jwks is not None else client.jwks,
        scopes=(*client.scopes, *add_scopes),
        purpose_codes=tuple(client.purpose_codes),
        require_pkce=client.require_pkce,
        id_token_signed_response_alg=client.id_token_signed_response_alg,
    )
    check_jwks(spec)
    check_scopes(spec)
    client.scopes = list(dict.fromkeys(spec.scopes))
    client.jwks = dict(spec.jwks) if spec.jwks is not None else None
    client.updated_at = now
    await session.flush()
    return client


async def disable_client(session: AsyncSession, client_id: str, *, now: datetime) -> Client:
    """Shuts an app: it can no longer log in, and its tokens are dead with this commit. Harmless to repeat."""
    client = await show_client(session, client_id)
    if client.status != "disabled":
        client.status = "disabled"
        client.disabled_at = now
        client.updated_at = now
        await session.flush()
    return client


async def enable_client(session: AsyncSession, client_id: str, *, now: datetime) -> Client:
    """Opens an app again that was shut. Harmless to repeat."""
    client = await show_client(session, client_id)
    if client.status != "live":
        client.status = "live"
        client.disabled_at = None
        client.updated_at = now
        await session.flush()
    return client


async def rotate_secret(
    session: AsyncSession,
    client_id: str,
    *,
    keep_old_for: timedelta = timedelta(0),
    now: datetime,
    entropy: Entropy,
) -> str:
    """Gives an app a new secret, and lets the old ones live on for a while so that it can be rolled out.

    Error: `ClientRefused` when the app's method has no secret.
    """
    client = await show_client(session, client_id)
    if client.token_endpoint_auth_method not in SECRET_METHODS:
        raise ClientRefused("token_endpoint_auth_method", f"{client.token_endpoint_auth_method} has no secret")
    secret = new_token(entropy)
    until = now + max(keep_old_for, timedelta(0))
    old = [_shortened(stored, until) for stored in client.secrets if not _is_over(stored, now)]
    client.secrets = [_stored(secret, now), *(old if until > now else [])]
    client.updated_at = now
    await session.flush()
    return secret


async def _check_agency(session: AsyncSession, spec: ClientSpec) -> None:
    status = await session.scalar(select(Agency.status).where(Agency.id == spec.agency_id))
    if status != "active":
        raise ClientRefused("agency_id", "there is no such active agency")
    owners = await session.execute(select(Purpose.code, Purpose.agency_id).where(Purpose.code.in_(spec.purpose_codes)))
    agency_of = {owner.code: owner.agency_id for owner in owners}
    for code in spec.purpose_codes:
        # An app that asks in another ministry's name would mislead the person who reads the consent page.
        if agency_of.get(code) != spec.agency_id:
            raise ClientRefused("purpose_codes", f"the agency has no purpose {code!r}")
    if "authorization_code" in spec.grant_types and not spec.purpose_codes:
        raise ClientRefused("purpose_codes", "an app that people log in to needs at least one purpose")


async def _check_resources(session: AsyncSession, spec: ClientSpec) -> None:
    """A resource is one agency's: whoever is a token's audience may ask what the token says."""
    others = await session.execute(
        select(Client.resources).where(Client.agency_id != spec.agency_id, cast(Client.resources, String) != "[]")
    )
    taken = {resource for resources in others.scalars() for resource in resources}
    if taken.intersection(spec.resources):
        raise ClientRefused("resources", "another agency's app is this resource")


def _stored(secret: str, now: datetime) -> dict[str, Any]:
    sha256 = hashlib.sha256(secret.encode()).hexdigest()
    return {"sha256": sha256, "created_at": now.isoformat(), "expires_at": None}


def _shortened(stored: dict[str, Any], until: datetime) -> dict[str, Any]:
    ends = stored["expires_at"]
    sooner = min(datetime.fromisoformat(ends), until) if ends else until
    return {**stored, "expires_at": sooner.isoformat()}


def _is_over(stored: dict[str, Any], now: datetime) -> bool:
    return bool(stored["expires_at"]) and datetime.fromisoformat(stored["expires_at"]) <= now
