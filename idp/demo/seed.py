"""Makes the demonstration's agencies, purposes, apps and people where they are missing.

Running it again changes nothing but the addresses, should the ports have changed.
"""

from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.agencies import agency_by_code
from consent.errors import UnknownAgency
from consent.withdrawal.streams import list_streams, put_stream
from idp.accounts.directory import create_account, find_by_username, grant_role, set_password
from idp.accounts.passwords import Passwords
from idp.clients.management import ClientSpec, create_client, rotate_secret
from idp.clients.models import Client
from idp.database import Database
from idp.demo.seed_registry import seed_registry
from idp.demo.state import AppState, DemoState, PersonState
from idp.demo.world import APPS, PEOPLE, WORDS, DemoApp, DemoPerson
from keys.entropy import Entropy
from keys.key import PrivateKey, generate_private, public_jwk

PASSWORD_WORDS = 5  # of 60: with the throttle in front, enough for invented people on one machine


async def seed(
    database: Database,
    *,
    known: DemoState | None,
    issuer: str,
    urls: dict[str, str],
    now: datetime,
    entropy: Entropy,
) -> DemoState:
    """Makes what is missing and says what there is. Secrets that were lost with their file are made anew."""
    async with database.transaction() as session:
        await seed_registry(session, now=now, entropy=entropy)
        apps = [await _app(session, app, url=urls[app.name], known=known, now=now, entropy=entropy) for app in APPS]
    passwords = Passwords(parallelism=2)
    try:
        people = [
            await _person(database, passwords, person, known=known, now=now, entropy=entropy) for person in PEOPLE
        ]
    finally:
        passwords.close()
    return DemoState(issuer=issuer, apps=apps, people=people)


async def _agency_id(session: AsyncSession, code: str) -> str:
    agency = await agency_by_code(session, code)
    if agency is None:
        raise UnknownAgency(code)
    return agency.id


async def _app(
    session: AsyncSession, app: DemoApp, *, url: str, known: DemoState | None, now: datetime, entropy: Entropy
) -> AppState:
    redirect_uris, after_logout = [f"{url}/callback"], [f"{url}/"]
    scopes, grant_types = (*app.scopes, *app.own_scopes), ("authorization_code", "refresh_token", "client_credentials")
    kept = next((a for a in known.apps if a.client_id == app.client_id), None) if known else None
    key = _key_from(kept.signing_key) if kept and kept.signing_key else generate_private("ES256")
    jwk = public_jwk(key, alg="ES256")
    if await session.get(Client, app.client_id) is None:
        spec = ClientSpec(
            client_id=app.client_id,
            agency_id=await _agency_id(session, app.agency),
            names=app.names,
            verified=True,
            redirect_uris=tuple(redirect_uris),
            post_logout_redirect_uris=tuple(after_logout),
            grant_types=grant_types,
            token_endpoint_auth_method="client_secret_basic",  # noqa: S106 - the name of a method
            jwks={"keys": [jwk]},
            scopes=scopes,
            purpose_codes=(app.purpose,),
            development=True,
        )
        _client, secret = await create_client(session, spec, now=now, entropy=entropy)
    else:
        await session.execute(
            update(Client)
            .where(Client.client_id == app.client_id)
            .values(
                redirect_uris=redirect_uris,
                post_logout_redirect_uris=after_logout,
                # Made by an earlier version of the demonstration, it would have less.
                grant_types=list(grant_types),
                scopes=list(scopes),
                jwks={"keys": [jwk]},
                updated_at=now,
            )
        )
        secret = kept.client_secret if kept else None
        if secret is None:
            secret = await rotate_secret(session, app.client_id, now=now, entropy=entropy)
    assert secret is not None
    return AppState(
        name=app.name,
        url=url,
        client_id=app.client_id,
        client_secret=secret,
        signing_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        key_id=str(jwk["kid"]),
    )


async def tell_apps(session: AsyncSession, state: DemoState, *, now: datetime, entropy: Entropy) -> None:
    """Says where the running apps are told of withdrawals: on this machine, which only a developer's settings allow."""
    for app in state.apps:
        client = await session.get(Client, app.client_id)
        assert client is not None
        endpoint = f"{app.url.replace('localhost', '127.0.0.1')}/events"
        known = [stream for stream in await list_streams(session) if stream.client_id == app.client_id]
        if [stream.endpoint for stream in known] != [endpoint]:
            await put_stream(
                session,
                agency_id=client.agency_id,
                client_id=app.client_id,
                delivery="push",
                endpoint=endpoint,
                now=now,
                entropy=entropy,
            )


def _key_from(pem: str) -> PrivateKey:
    key = load_pem_private_key(pem.encode(), password=None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return key


async def _person(
    database: Database,
    passwords: Passwords,
    person: DemoPerson,
    *,
    known: DemoState | None,
    now: datetime,
    entropy: Entropy,
) -> PersonState:
    kept = next((p for p in known.people if p.username == person.username), None) if known else None
    password = kept.password if kept else _passphrase(entropy)
    async with database.reading() as session:
        account = await find_by_username(session, person.username)
    if account is None or kept is None:
        password_hash = await passwords.hash(password)
        async with database.transaction() as session:
            if account is None:
                await create_account(
                    session,
                    username=person.username,
                    password=password,
                    password_hash=password_hash,
                    profile=person.profile,
                    now=now,
                    entropy=entropy,
                )
            else:
                await set_password(session, account.id, password_hash=password_hash, now=now)
    async with database.transaction() as session:
        for one in person.roles:
            await grant_role(session, username=person.username, role=one, granted_by="demo", now=now)
    role = ", ".join(person.roles) or "citizen"
    return PersonState(role=role, username=person.username, password=password)


def _passphrase(entropy: Entropy) -> str:
    # The remainder favours a few of the 60 words by one part in a thousand.
    numbers = [int.from_bytes(entropy.token_bytes(2)) for _ in range(PASSWORD_WORDS)]
    return "-".join(WORDS[number % len(WORDS)] for number in numbers)
