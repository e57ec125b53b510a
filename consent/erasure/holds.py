"""Legal holds: what is argued about must not be erased, whoever asks for it, until the argument is over."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.erasure.errors import HoldRefused
from consent.erasure.models import Hold
from consent.identifiers import is_id
from consent.vault import PersonKey
from consent.wording import fault_in
from keys.entropy import Entropy, new_row_id


async def place_hold(
    session: AsyncSession,
    *,
    subject_id: str,
    reason: str,
    citation: str,
    placed_by: str,
    now: datetime,
    entropy: Entropy,
) -> str:
    """Places a hold on a person, and returns its id. Error: `HoldRefused`, also when nothing is kept of the person."""
    for what, said in (("reason", reason), ("citation", citation)):
        fault = fault_in(said, most=500)
        if fault is not None:
            raise HoldRefused(f"the {what} {fault}")
    known = await session.scalar(
        select(PersonKey.subject_id).where(PersonKey.subject_id == subject_id, PersonKey.sealed.is_not(None))
    )
    if known is None:
        raise HoldRefused("nothing is kept of this person")
    hold_id = new_row_id(entropy, now)
    await session.execute(
        insert(Hold).values(
            id=hold_id, subject_id=subject_id, reason=reason, citation=citation, placed_by=placed_by, placed_at=now
        )
    )
    return hold_id


async def lift_hold(session: AsyncSession, hold_id: str, *, lifted_by: str, now: datetime) -> None:
    """Lifts a hold. Error: `HoldRefused` when there is none that stands."""
    lifted = None
    if is_id(hold_id):
        lifted = await session.scalar(
            update(Hold)
            .where(Hold.id == hold_id, Hold.lifted_at.is_(None))
            .values(lifted_by=lifted_by, lifted_at=now)
            .returning(Hold.id)
        )
    if lifted is None:
        raise HoldRefused(f"no hold {hold_id} stands")


async def holds_of(session: AsyncSession, subject_id: str) -> Sequence[Hold]:
    """The holds that stand on a person."""
    rows = await session.scalars(
        select(Hold).where(Hold.subject_id == subject_id, Hold.lifted_at.is_(None)).order_by(Hold.placed_at)
    )
    return rows.all()


def held() -> Select[Any]:
    """The ids of those on whom a hold stands, for a statement that must leave them out."""
    return select(Hold.subject_id).where(Hold.lifted_at.is_(None))
