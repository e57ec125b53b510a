"""The people the provider knows: made, found, disabled; and the roles of the few who have one."""

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from idp.accounts.errors import AccountRefused
from idp.accounts.models import Account, RoleGrant
from idp.accounts.password_policy import refuse_weak
from idp.accounts.profile import check_profile
from idp.sessions.store import end_all
from idp.tokens.revoke import revoke_all_of
from keys.entropy import Entropy, new_id

MAX_USERNAME: Final = 200


class Role(StrEnum):
    """What an account may do besides being a citizen."""

    PRIVACY_OFFICER = "privacy_officer"
    ASSISTING_OFFICER = "assisting_officer"


def normalise_username(username: str) -> str:
    """The one spelling under which a name is kept and found: NFKC, case folded, no surrounding space.

    Otherwise "Ani" and "ani", or a full-width "ａｎｉ", would be two people to us and one to everybody else.
    """
    folded = unicodedata.normalize("NFKC", username.strip()).casefold()
    return unicodedata.normalize("NFKC", folded).strip()


async def create_account(
    session: AsyncSession,
    *,
    username: str,
    password: str | None = None,
    password_hash: str | None = None,
    profile: Mapping[str, Any],
    locale: str | None = None,
    now: datetime,
    entropy: Entropy,
) -> Account:
    """Makes an account. `password` is only looked at, to refuse a weak one; `password_hash` is what is kept.

    Errors: `AccountRefused` (the name), `WeakPassword`, `ProfileRefused` (the data).
    """
    name = normalise_username(username)
    if not 0 < len(name) <= MAX_USERNAME or not name.isprintable() or " " in name:
        raise AccountRefused("A username is 1 to 200 visible characters without spaces.")
    checked = check_profile(profile)
    if password is not None:
        refuse_weak(password, [name, *(value for value in checked.values() if isinstance(value, str))])
    account = Account(
        id=new_id(entropy),
        username=name,
        password_hash=password_hash,
        profile=checked,
        locale=locale,
        created_at=now,
        updated_at=now,
        password_changed_at=now if password_hash else None,
        disabled_at=None,
    )
    # Asked and inserted at once: of two that choose one name at the same moment, one is told so.
    try:
        async with session.begin_nested():
            session.add(account)
    except IntegrityError:
        raise AccountRefused("This username is taken.", status=409) from None
    return account


async def find_by_username(session: AsyncSession, username: str) -> Account | None:
    """The account of this name, in whichever spelling; disabled ones too."""
    found = await session.execute(select(Account).where(Account.username == normalise_username(username)))
    return found.scalar_one_or_none()


async def require_account(session: AsyncSession, username: str) -> Account:
    """The account of this name. Error: `AccountRefused` when there is none."""
    account = await find_by_username(session, username)
    if account is None:
        raise AccountRefused("There is nobody of this username.", status=404)
    return account


async def disable_account(session: AsyncSession, *, username: str, now: datetime) -> Account:
    """Shuts an account: nobody logs in, every session ends, and every token dies, for all read `disabled_at`.

    An account that is shut already stays shut since when it was. Error: `AccountRefused` when there is none.
    """
    account = await require_account(session, username)
    if account.disabled_at is None:
        account.disabled_at = now
        await session.flush()
    await end_all(session, account.id, now=now)
    await revoke_all_of(session, account.id, because="account_disabled", now=now)
    return account


async def enable_account(session: AsyncSession, *, username: str) -> Account:
    """Opens a disabled account again; its sessions and tokens stay dead. Error: `AccountRefused` when there is none."""
    account = await require_account(session, username)
    account.disabled_at = None
    await session.flush()
    return account


async def set_password(session: AsyncSession, account_id: str, *, password_hash: str, now: datetime) -> None:
    """Gives the account a new password, and ends every session and token that came of the old one."""
    await session.execute(
        update(Account).where(Account.id == account_id).values(password_hash=password_hash, password_changed_at=now)
    )
    await end_all(session, account_id, now=now)
    await revoke_all_of(session, account_id, because="password_changed", now=now)


async def grant_role(session: AsyncSession, *, username: str, role: str, granted_by: str, now: datetime) -> str:
    """Gives a role; giving it twice is giving it once. Returns the account's id.

    Error: `AccountRefused` when there is no such role or person.
    """
    account = await require_account(session, username)
    known = _role(role)
    if known not in await roles_of(session, account.id):
        await session.execute(
            insert(RoleGrant).values(account_id=account.id, role=known.value, granted_at=now, granted_by=granted_by)
        )
    return account.id


async def revoke_role(session: AsyncSession, *, username: str, role: str) -> str:
    """Takes a role away; it is gone from the next request on. Returns the account's id.

    Error: `AccountRefused` when there is no such role or person.
    """
    account = await require_account(session, username)
    await session.execute(
        delete(RoleGrant).where(RoleGrant.account_id == account.id, RoleGrant.role == _role(role).value)
    )
    return account.id


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise AccountRefused(f"There is no role {name!r}; the roles are: {', '.join(Role)}.") from None


async def roles_of(session: AsyncSession, account_id: str) -> frozenset[Role]:
    """The roles of an account."""
    rows = await session.execute(select(RoleGrant.role).where(RoleGrant.account_id == account_id))
    return frozenset(Role(role) for role in rows.scalars())
