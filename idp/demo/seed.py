"""Makes the demonstration's agencies, purposes, apps and people where they are missing.

Running it again changes nothing but the addresses, should the ports have changed.
"""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.agencies import agency_by_code, create_agency
from consent.errors import UnknownAgency
from consent.purposes import create_purpose, list_purposes
from idp.accounts.directory import create_account, find_by_username, grant_role, set_password
from idp.accounts.passwords import Passwords
from idp.clients.management import ClientSpec, create_client, rotate_secret
from idp.clients.models import Client
from idp.database import Database
from idp.demo.state import AppState, DemoState, PersonState
from idp.demo.world import AGENCIES, APPS, PEOPLE, PURPOSES, WORDS, DemoApp, DemoPerson
from keys.entropy import Entropy

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
        await _registry(session, now=now, entropy=entropy)
        apps = [await _app(session, app, url=urls[app.name], known=known, now=now, entropy=entropy) for app in APPS]
    passwords = Passwords(parallelism=2)
    try:
        people = [
            await _person(database, passwords, person, known=known, now=now, entropy=entropy) for person in PEOPLE
        ]
    finally:
        passwords.close()
    return DemoState(issuer=issuer, apps=apps, people=people)


async def _registry(session: AsyncSession, *, now: datetime, entropy: Entropy) -> None:
    for agency in AGENCIES:
        if await agency_by_code(session, agency["code"]) is None:
            await create_agency(session, **agency, now=now, entropy=entropy)
    existing = {version.code for version in await list_purposes(session)}
    for purpose in PURPOSES:
        if purpose["code"] not in existing:
            says = {name: value for name, value in purpose.items() if name != "agency"}
            owner = await _agency_id(session, purpose["agency"])
            await create_purpose(session, agency_id=owner, **says, created_by="demo", now=now, entropy=entropy)


async def _agency_id(session: AsyncSession, code: str) -> str:
    agency = await agency_by_code(session, code)
    if agency is None:
        raise UnknownAgency(code)
    return agency.id


async def _app(
    session: AsyncSession, app: DemoApp, *, url: str, known: DemoState | None, now: datetime, entropy: Entropy
) -> AppState:
    redirect_uris, after_logout = [f"{url}/callback"], [f"{url}/"]
    if await session.get(Client, app.client_id) is None:
        spec = ClientSpec(
            client_id=app.client_id,
            agency_id=await _agency_id(session, app.agency),
            names=app.names,
            verified=True,
            redirect_uris=tuple(redirect_uris),
            post_logout_redirect_uris=tuple(after_logout),
            grant_types=("authorization_code", "refresh_token"),
            token_endpoint_auth_method="client_secret_basic",  # noqa: S106 - the name of a method
            scopes=app.scopes,
            purpose_codes=(app.purpose,),
            development=True,
        )
        _client, secret = await create_client(session, spec, now=now, entropy=entropy)
    else:
        await session.execute(
            update(Client)
            .where(Client.client_id == app.client_id)
            .values(redirect_uris=redirect_uris, post_logout_redirect_uris=after_logout, updated_at=now)
        )
        secret = next((a.client_secret for a in known.apps if a.client_id == app.client_id), None) if known else None
        if secret is None:
            secret = await rotate_secret(session, app.client_id, now=now, entropy=entropy)
    assert secret is not None
    return AppState(name=app.name, url=url, client_id=app.client_id, client_secret=secret)


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
                if person.role != "citizen":
                    await grant_role(session, username=person.username, role=person.role, granted_by="demo", now=now)
            else:
                await set_password(session, account.id, password_hash=password_hash, now=now)
    return PersonState(role=person.role, username=person.username, password=password)


def _passphrase(entropy: Entropy) -> str:
    # The remainder favours a few of the 60 words by one part in a thousand.
    numbers = [int.from_bytes(entropy.token_bytes(2)) for _ in range(PASSWORD_WORDS)]
    return "-".join(WORDS[number % len(WORDS)] for number in numbers)
