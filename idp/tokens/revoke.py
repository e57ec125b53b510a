"""Ends families: an authorization, and with it every access and refresh token that came of it.

Spec: RFC 6749 §4.1.2; RFC 7009 §2.1; RFC 9700 §4.14.2.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, update
from sqlalchemy.ext.asyncio import AsyncSession

from idp.tokens.tables import AUTHORIZATIONS

_AT_ONCE: Final = 500
_REVOKE: Final = (
    update(AUTHORIZATIONS)
    .where(AUTHORIZATIONS.c.id == bindparam("family"), AUTHORIZATIONS.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("at"), revoked_because=bindparam("because"))
    .returning(AUTHORIZATIONS.c.id)
)


async def revoke_family(session: AsyncSession, authorization_id: str, *, because: str, now: datetime) -> bool:
    """Revokes an authorization. Returns whether it was alive until now."""
    done = await session.execute(_REVOKE, {"family": authorization_id, "at": now, "because": because})
    return done.scalar_one_or_none() is not None


async def revoke_all_of(session: AsyncSession, account_id: str, *, because: str, now: datetime) -> None:
    """Revokes every authorization of a person, for good: opening a shut account again revives nothing."""
    await session.execute(
        update(AUTHORIZATIONS)
        .where(AUTHORIZATIONS.c.account_id == account_id, AUTHORIZATIONS.c.revoked_at.is_(None))
        .values(revoked_at=now, revoked_because=because)
    )


async def revoke_resting_on(session: AsyncSession, consent_ids: Sequence[str], *, because: str, now: datetime) -> None:
    """Revokes every authorization that rests on these consents, and with each all its tokens."""
    for start in range(0, len(consent_ids), _AT_ONCE):
        await session.execute(
            update(AUTHORIZATIONS)
            .where(
                AUTHORIZATIONS.c.consent_id.in_(consent_ids[start : start + _AT_ONCE]),
                AUTHORIZATIONS.c.revoked_at.is_(None),
            )
            .values(revoked_at=now, revoked_because=because)
        )
