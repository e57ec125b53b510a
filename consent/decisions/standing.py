"""Where a person stands with one app's one purpose, and what they refused so lately that they are not asked again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, case, select
from sqlalchemy.ext.asyncio import AsyncSession

from consent import gate
from consent.coverage import Standing
from consent.models import ConsentEvent, ConsentRecord
from consent.statuses import CURRENT

# Where a person stands, as columns and as an order: the consent in force first, or else the last decision. A request
# that nobody has answered yet is no decision: it must not hide one.
STANDING: Final = (*gate.FACTS, ConsentRecord.offline_access.label("standing_offline_access"))
STANDING_ORDER: Final = (
    # One comparison each: the driver's short way has no lists.
    case(
        *((ConsentRecord.status == status, 0) for status in sorted(CURRENT)),
        (ConsentRecord.status == "requested", 2),
        else_=1,
    ),
    ConsentRecord.decided_at.desc(),
    ConsentRecord.id.desc(),
)
_STANDING_OF: Final = gate.joined(
    select(*STANDING)
    .select_from(ConsentRecord)
    .where(
        ConsentRecord.subject_id == bindparam("subject"),
        ConsentRecord.client_id == bindparam("client"),
        ConsentRecord.purpose_id == bindparam("purpose"),
    )
    .order_by(*STANDING_ORDER)
    .limit(1)
)


async def standing(session: AsyncSession, *, subject_id: str, client_id: str, purpose_id: str) -> Standing | None:
    """Where the person stands: their consent in force if there is one, or else their last decision."""
    asked = {"subject": subject_id, "client": client_id, "purpose": purpose_id}
    row = (await session.execute(_STANDING_OF, asked)).one_or_none()
    return read_standing(row) if row is not None else None


def read_standing(row: Any, start: int = 0) -> Standing | None:
    """What a row says that has the columns of `STANDING` from `start` on; nothing when no decision was joined to it."""
    facts = gate.facts_of(row, start)
    if facts.consent_id is None:
        return None
    return Standing(facts=facts, offline_access=row.standing_offline_access)


async def paused_at(session: AsyncSession, consent_id: str) -> datetime | None:
    """When the person last paused this consent, if they ever did."""
    return await session.scalar(
        select(ConsentEvent.at)
        .where(ConsentEvent.consent_id == consent_id, ConsentEvent.kind == "paused")
        .order_by(ConsentEvent.seq.desc())
        .limit(1)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A no that still counts: until `until` this app does not ask again for this version."""

    consent_id: str
    at: datetime
    until: datetime


async def remembered_refusal(
    session: AsyncSession, *, subject_id: str, client_id: str, purpose_version_id: str, now: datetime
) -> Refusal | None:
    """The person's last no to this app and this very version, if it still counts. A new version is a new question.

    Spec: EDPB Guidelines 03/2022 §4.2 (continuous prompting).
    """
    row = (
        await session.execute(
            select(ConsentRecord.id, ConsentRecord.decided_at, ConsentRecord.valid_until)
            .where(
                ConsentRecord.subject_id == subject_id,
                ConsentRecord.client_id == client_id,
                ConsentRecord.purpose_version_id == purpose_version_id,
                ConsentRecord.status == "refused",
                ConsentRecord.valid_until > now,
            )
            .order_by(ConsentRecord.decided_at.desc(), ConsentRecord.id.desc())
            .limit(1)
        )
    ).one_or_none()
    return Refusal(consent_id=row.id, at=row.decided_at, until=row.valid_until) if row is not None else None
