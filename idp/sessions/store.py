"""Sessions: begun at a login, found by their cookie, ended at logout.

The cookie's value is 256 random bits and changes at every login, so that a value planted before a login is worth
nothing after it (session fixation). Rows keep only its SHA-256.
Spec: OWASP Session Management; NIST SP 800-63B-4 §5.1.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from idp.accounts.models import Account, RoleGrant
from idp.browser import SECRET_BYTES, decode_secret
from idp.sessions.models import LoginSession
from keys.encoding import b64url_encode
from keys.entropy import Entropy, new_row_id, sha256

TOUCH_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class CurrentSession:
    """A person who is signed in now. `roles` is filled only when it was asked for."""

    id: str
    account_id: str
    username: str
    display_name: str
    auth_time: datetime
    last_seen_at: datetime
    acr: str
    amr: tuple[str, ...]
    locale: str | None
    roles: frozenset[str] = field(default_factory=frozenset)


async def start_session(
    session: AsyncSession,
    *,
    account_id: str,
    acr: str,
    amr: tuple[str, ...],
    previous_cookie: str | None,
    lifetime: timedelta,
    user_agent: str = "",
    now: datetime,
    entropy: Entropy,
) -> tuple[str, LoginSession]:
    """Signs a person in: the cookie's new value, and the session.

    Whatever value the browser came with is dead afterwards. When it was the same person's live session (a step-up, a
    `prompt=login`), that session goes on under the new value: to end it would kill the tokens of every app that the
    person is using.
    """
    secret = entropy.token_bytes(SECRET_BYTES)
    renewed = {
        "token_sha256": sha256(secret),
        "authenticated_at": now,
        "last_seen_at": now,
        "expires_at": now + lifetime,
        "acr": acr,
        "amr": list(amr),
        "user_agent": user_agent[:300],
    }
    login = await _renew(session, account_id, _digest_of_cookie(previous_cookie), renewed, now=now)
    if login is None:
        login = LoginSession(
            id=new_row_id(entropy, now), account_id=account_id, created_at=now, ended_at=None, **renewed
        )
        session.add(login)
        await session.flush()
    return b64url_encode(secret), login


async def _renew(
    session: AsyncSession,
    account_id: str,
    previous: bytes | None,
    renewed: dict[str, Any],
    *,
    now: datetime,
) -> LoginSession | None:
    if previous is None:
        return None
    await session.execute(
        update(LoginSession)
        .where(
            LoginSession.token_sha256 == previous,
            LoginSession.ended_at.is_(None),
            LoginSession.account_id != account_id,
        )
        .values(ended_at=now)
    )
    return (
        await session.execute(
            update(LoginSession)
            .where(
                LoginSession.token_sha256 == previous,
                LoginSession.ended_at.is_(None),
                LoginSession.expires_at > now,
                LoginSession.account_id == account_id,
            )
            .values(**renewed)
            .returning(LoginSession)
        )
    ).scalar_one_or_none()


# Built once: every request of a signed-in person asks this.
BY_COOKIE: Final = (
    select(
        LoginSession.id,
        LoginSession.account_id,
        LoginSession.authenticated_at,
        LoginSession.last_seen_at,
        LoginSession.acr,
        LoginSession.amr,
        Account.username,
        Account.profile,
        Account.locale,
    )
    .join(Account, Account.id == LoginSession.account_id)
    .where(
        LoginSession.token_sha256 == bindparam("digest"),
        LoginSession.ended_at.is_(None),
        LoginSession.expires_at > bindparam("now"),
        LoginSession.authenticated_at > bindparam("oldest_login"),
        LoginSession.last_seen_at > bindparam("oldest_seen"),
        Account.disabled_at.is_(None),
    )
)
_WITH_ROLES: Final = BY_COOKIE.add_columns(RoleGrant.role).outerjoin(
    RoleGrant, RoleGrant.account_id == LoginSession.account_id
)


async def current_session(
    session: AsyncSession,
    cookie: str | None,
    *,
    now: datetime,
    idle: timedelta,
    absolute: timedelta,
    with_roles: bool = False,
) -> CurrentSession | None:
    """Who is signed in with this cookie, if anybody: one select, and at most once a minute one small update.

    Nobody when the session has ended, has run out, was left alone for too long, or its account is disabled.
    """
    asked = live_with(cookie, now=now, idle=idle, absolute=absolute)
    if asked is None:
        return None
    statement = _WITH_ROLES if with_roles else BY_COOKIE
    rows = (await session.execute(statement, asked)).all()
    if not rows:
        return None
    current = read_session(rows[0], frozenset(row.role for row in rows if row.role) if with_roles else frozenset())
    if is_touch_due(current, now=now) and can_write(session):
        await touch(session, current.id, now=now)
    return current


def live_with(cookie: str | None, *, now: datetime, idle: timedelta, absolute: timedelta) -> dict[str, Any] | None:
    """The values of `BY_COOKIE`; nothing when the cookie is not one of ours."""
    digest = _digest_of_cookie(cookie)
    if digest is None:
        return None
    return {"digest": digest, "now": now, "oldest_login": now - absolute, "oldest_seen": now - idle}


def read_session(row: Any, roles: frozenset[str] = frozenset()) -> CurrentSession:
    """The session in a row of `BY_COOKIE`."""
    return CurrentSession(
        id=row.id,
        account_id=row.account_id,
        username=row.username,
        display_name=str(row.profile.get("name") or row.username),
        auth_time=row.authenticated_at,
        last_seen_at=row.last_seen_at,
        acr=row.acr,
        amr=tuple(row.amr),
        locale=row.locale,
        roles=roles,
    )


def is_touch_due(current: CurrentSession, *, now: datetime) -> bool:
    """Whether it is time to note that the person is still there."""
    return current.last_seen_at <= now - TOUCH_EVERY


def can_write(session: AsyncSession) -> bool:
    """Whether what this database session writes is kept: on SQLite, one that reads throws it away."""
    return not session.get_bind().get_execution_options().get("satupintu_reading", False)


async def touch(session: AsyncSession, session_id: str, *, now: datetime) -> None:
    """Notes that the person is still there."""
    await session.execute(
        update(LoginSession)
        .where(LoginSession.id == session_id, LoginSession.last_seen_at <= now - TOUCH_EVERY)
        .values(last_seen_at=now)
    )


async def end_session(session: AsyncSession, session_id: str, *, now: datetime) -> bool:
    """Ends a session; what was issued in it dies with it. Returns whether it was alive until now."""
    done = await session.execute(
        update(LoginSession)
        .where(LoginSession.id == session_id, LoginSession.ended_at.is_(None))
        .values(ended_at=now)
        .returning(LoginSession.id)
    )
    return done.scalar_one_or_none() is not None


async def end_all(session: AsyncSession, account_id: str, *, now: datetime) -> int:
    """Ends every session of a person, in every browser. Returns how many were alive."""
    done = await session.execute(
        update(LoginSession)
        .where(LoginSession.account_id == account_id, LoginSession.ended_at.is_(None))
        .values(ended_at=now)
        .returning(LoginSession.id)
    )
    return len(done.all())


def _digest_of_cookie(cookie: str | None) -> bytes | None:
    secret = decode_secret(cookie)
    return sha256(secret) if secret is not None else None
