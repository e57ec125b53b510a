"""The password as a factor.

Spec: RFC 8176 §2 (`pwd`); NIST SP 800-63B-4 §3.1.1.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import and_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from idp.accounts.directory import MAX_USERNAME
from idp.accounts.models import Account
from idp.accounts.passwords import Passwords
from idp.errors import Refusal
from idp.login.factors.verified import ACR_PASSWORD, VerifiedFactor
from idp.login.known_browsers import KnownBrowser

AMR: Final = ("pwd",)


@dataclass(frozen=True, slots=True)
class Candidate:
    """The account that somebody says is theirs; nothing is proven yet."""

    account_id: str
    password_hash: str | None
    password_changed_at: datetime | None
    is_open: bool
    browser_is_known: bool


class AccountChanged(Refusal):
    """The password was changed, or the account shut, while this login's password was being verified."""


async def find_candidate(session: AsyncSession, *, username: str, browser_sha256: bytes) -> Candidate | None:
    """The account of this (normalised) username, and whether it has logged in from this browser: one select."""
    # PostgreSQL has no NUL in text: what cannot be a username must not become an error that tells it apart.
    sought = username if len(username) <= MAX_USERNAME and username.isprintable() else ""
    row = (
        await session.execute(
            select(
                Account.id,
                Account.password_hash,
                Account.password_changed_at,
                Account.disabled_at,
                KnownBrowser.last_at,
            )
            .outerjoin(
                KnownBrowser,
                and_(KnownBrowser.account_id == Account.id, KnownBrowser.browser_sha256 == browser_sha256),
            )
            .where(Account.username == sought)
        )
    ).one_or_none()
    if row is None:
        return None
    return Candidate(
        row.id, row.password_hash, row.password_changed_at, row.disabled_at is None, row.last_at is not None
    )


async def verify(passwords: Passwords, candidate: Candidate | None, password: str) -> VerifiedFactor | None:
    """The factor, or nothing. That nobody has that name, or the account is shut, takes as long as a wrong password.

    Error: `temporarily_unavailable` when too many are waiting.
    """
    check = await passwords.verify(password, candidate.password_hash if candidate is not None else None)
    if candidate is None or not candidate.is_open or not check.ok:
        return None
    return VerifiedFactor(candidate.account_id, ACR_PASSWORD, AMR, hash_is_outdated=check.needs_rehash)


async def check_unchanged(session: AsyncSession, candidate: Candidate | None) -> None:
    """That the account is still the one that was verified, and stays so until the transaction ends.

    Verifying takes a while, and longer in a queue: without this look, a login with the old password could open a
    session after the new one was set. Error: `AccountChanged`.
    """
    assert candidate is not None, "nobody was verified"
    row = (
        await session.execute(
            select(Account.password_changed_at, Account.disabled_at)
            .where(Account.id == candidate.account_id)
            .with_for_update()
        )
    ).one_or_none()
    if row is None or row.disabled_at is not None or row.password_changed_at != candidate.password_changed_at:
        raise AccountChanged


async def renew_hash(session: AsyncSession, candidate: Candidate, new_hash: str) -> None:
    """Keeps a hash made with today's parameters, unless the password was changed meanwhile."""
    await session.execute(
        update(Account)
        .where(Account.id == candidate.account_id, Account.password_hash == candidate.password_hash)
        .values(password_hash=new_hash)
    )
