"""What was authorized under a consent goes on under the one that took its place.

Agreeing again on one device must not log a person out on another. What each endpoint releases is read from the consent
in force, so an item that the person now refuses is gone from older tokens too.
"""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.models import ConsentRecord
from idp.tokens.models import Authorization


async def rest_on_successor(session: AsyncSession, consent_id: str) -> None:
    """Lets authorizations that rest on what this consent superseded rest on it instead, in its own transaction."""
    successor = (
        select(ConsentRecord.subject_id, ConsentRecord.client_id, ConsentRecord.purpose_id)
        .where(ConsentRecord.id == consent_id)
        .subquery()
    )
    superseded = select(ConsentRecord.id).join(
        successor,
        (ConsentRecord.subject_id == successor.c.subject_id)
        & (ConsentRecord.client_id == successor.c.client_id)
        & (ConsentRecord.purpose_id == successor.c.purpose_id)
        & (ConsentRecord.status == "superseded"),
    )
    await session.execute(
        update(Authorization)
        .where(Authorization.revoked_at.is_(None), Authorization.consent_id.in_(superseded))
        .values(consent_id=consent_id)
        .execution_options(synchronize_session=False)
    )
