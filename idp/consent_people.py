"""The people and apps of the consent windows: who is found by which name, and what an app is called."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from consent.http.ports import App, Citizen
from consent.identifiers import is_id
from idp.accounts.directory import normalise_username
from idp.accounts.models import Account
from idp.accounts.profile import NIK
from idp.accounts.subjects import Subjects
from idp.clients.models import Client
from idp.clients.registry import CLIENT_ID, RegisteredClient, registered

MOST_APPS: Final = 2000


async def find_app(session: AsyncSession, client_id: str, locale: str) -> App | None:
    """The live app of an id."""
    client = await _client(session, client_id)
    return _app(client, locale) if client is not None else None


async def list_apps(session: AsyncSession, locale: str) -> Sequence[App]:
    """Every live app that may ask people for something, by name."""
    statement = select(*Client.__table__.c).where(Client.status == "live").limit(MOST_APPS)
    clients = [registered(row) for row in await session.execute(statement)]
    apps = [_app(client, locale) for client in clients if client.purpose_codes]
    return sorted(apps, key=lambda app: app.name)


async def subject_ref(session: AsyncSession, subjects: Subjects, subject_id: str, client_id: str) -> str | None:
    """The `sub` by which an app's agency knows a person."""
    client = await _client(session, client_id)
    return subjects.sub_for(subject_id, client) if client is not None else None


async def find_citizen(session: AsyncSession, by: str, identifier: str) -> Citizen | None:
    """The one person of a `username`, a `national_id` or a `subject_id`, unless their account is disabled."""
    statement = _who(by, identifier)
    if statement is None:
        return None
    found = (await session.execute(statement.where(Account.disabled_at.is_(None)).limit(2))).all()
    if len(found) != 1:
        # Of two who claim one number, nobody can say here whose it is.
        return None
    account_id, profile, username = found[0]
    return Citizen(subject_id=account_id, display_name=str(profile.get("name") or username))


def _who(by: str, identifier: str) -> Select[str, dict[str, object], str] | None:
    statement = select(Account.id, Account.profile, Account.username)
    if by == "subject_id":
        return statement.where(Account.id == identifier) if is_id(identifier) else None
    if by == "username" and identifier.isprintable():
        return statement.where(Account.username == normalise_username(identifier))
    if by == "national_id" and identifier.isascii() and identifier.isdigit():
        return statement.where(Account.profile[NIK].as_string() == identifier)
    return None


async def _client(session: AsyncSession, client_id: str) -> RegisteredClient | None:
    # On the transaction's own connection: to ask for another could leave every one of the pool waiting for one more.
    if CLIENT_ID.fullmatch(client_id) is None:
        return None
    statement = select(*Client.__table__.c).where(Client.client_id == client_id, Client.status == "live")
    row = (await session.execute(statement)).one_or_none()
    return registered(row) if row is not None else None


def _app(client: RegisteredClient, locale: str) -> App:
    return App(
        client_id=client.client_id,
        name=client.name(locale),
        is_verified=client.verified,
        agency_id=client.agency_id,
        purpose_codes=client.purpose_codes,
    )
