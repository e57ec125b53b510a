"""A use that counts: by a consent to one use, or to so many in a while. The count and the record are one transaction.

The count is taken before the record is written, by an update that hits only while uses are left: of many at once, as
many succeed as were agreed to.
Spec: Law 27/2022 (UU PDP) article 16(2) (limited and specific); GovStack Consent Building Block (fetch type).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, case, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.decisions import expire_after_use
from consent.gate import ONE_TIME, Facts, limit_of
from consent.log.entries import append
from consent.models import ConsentRecord
from consent.statuses import PERMITTING
from consent.uses.disclosure import Written
from consent.uses.models import Use
from keys.columns import UtcDateTime
from keys.entropy import Entropy

_PERMITTING: Final = sorted(PERMITTING)


async def take(session: AsyncSession, facts: Facts, *, now: datetime) -> bool:
    """Counts one use of a consent that is limited. False when none is left, or the consent was changed."""
    limit = limit_of(facts)
    days = facts.use_window_days if facts.fetch_type != ONE_TIME else None
    begins_anew: ColumnElement[bool] = ConsentRecord.window_started_at.is_(None)
    if days is not None:
        begins_anew = or_(begins_anew, ConsentRecord.window_started_at <= now - timedelta(days=days))
    counted = await session.execute(
        update(ConsentRecord)
        .where(
            ConsentRecord.id == facts.consent_id,
            ConsentRecord.last_seq == facts.last_seq,
            ConsentRecord.status.in_(_PERMITTING),
            or_(begins_anew, ConsentRecord.used < limit),
        )
        .values(
            used=case((begins_anew, 1), else_=ConsentRecord.used + 1),
            window_started_at=case((begins_anew, literal(now, UtcDateTime)), else_=ConsentRecord.window_started_at),
        )
        .returning(ConsentRecord.id)
        .execution_options(synchronize_session=False)
    )
    return counted.one_or_none() is not None


async def record_counted(
    session: AsyncSession, written: Written, facts: Facts, *, now: datetime, entropy: Entropy
) -> bool:
    """Counts a use and records it; a consent to one use ends with it. False when it may not be: nothing was written."""
    if not await take(session, facts, now=now):
        return False
    await session.execute(insert(Use), [written.use])
    await append(session, [written.entry])
    if facts.fetch_type == ONE_TIME:
        assert facts.consent_id is not None
        await expire_after_use(session, consent_id=facts.consent_id, now=now, entropy=entropy)
    return True


async def note_reported(session: AsyncSession, uses: Mapping[str, int], *, now: datetime, entropy: Entropy) -> None:
    """Counts uses that happened elsewhere, by consent; a consent to one use ends with it.

    They are counted also beyond the limit: what happened happened, and nothing more may then.
    """
    if not uses:
        return
    limited = or_(ConsentRecord.use_limit.is_not(None), ConsentRecord.fetch_type == ONE_TIME)
    rows = (
        await session.execute(
            select(
                ConsentRecord.id,
                ConsentRecord.status,
                ConsentRecord.fetch_type,
                ConsentRecord.use_window_days,
                ConsentRecord.used,
                ConsentRecord.window_started_at,
            )
            .where(ConsentRecord.id.in_(sorted(uses)), limited)
            .with_for_update()
        )
    ).all()
    for row in rows:
        days = row.use_window_days if row.fetch_type != ONE_TIME else None
        started = row.window_started_at
        begins_anew = started is None or (days is not None and started <= now - timedelta(days=days))
        await session.execute(
            update(ConsentRecord)
            .where(ConsentRecord.id == row.id)
            .values(
                used=uses[row.id] if begins_anew else row.used + uses[row.id],
                window_started_at=now if begins_anew else started,
            )
            .execution_options(synchronize_session=False)
        )
        if row.fetch_type == ONE_TIME and row.status in PERMITTING:
            await expire_after_use(session, consent_id=row.id, now=now, entropy=entropy)
