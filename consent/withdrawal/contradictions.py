"""A recipient that said it stopped, and was seen to use the data afterwards: found out, shown, and counted.

Looked for when an agency reports uses, and for each "stopped" once a day for three months, since reports come late.
Spec: Law 27/2022 (UU PDP) articles 40 and 57.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from consent.models import ConsentEvent
from consent.uses.disclosure import read
from consent.uses.models import Use
from consent.vault import keys_of
from consent.withdrawal.escalation import COLUMNS, Raised, Suspends, write_raised
from consent.withdrawal.models import Delivery
from consent.withdrawal.outbox import PROVIDER, RECIPIENT, SHRINKING
from keys.entropy import Entropy
from keys.errors import KeysError
from keys.personal import PersonalKey

COMPARED_EVERY: Final = timedelta(days=1)
COMPARED_FOR: Final = timedelta(days=90)
COUNTED_FOR: Final = timedelta(days=30)
# After these the data may be used again under the same consent.
_ALLOWS_AGAIN: Final = ("resumed", "renewed")
_USE: Final = tuple(Use.__table__.columns)

_may_lie: Final = and_(Delivery.stopped_at.is_not(None), Delivery.contradicted_at.is_(None))


async def compare_reported(
    session: AsyncSession,
    consent_ids: Iterable[str],
    *,
    suspend: Suspends | None,
    most: int,
    now: datetime,
    entropy: Entropy,
) -> list[Raised]:
    """Compares what was just reported under these consents with what was attested about them.

    `suspend` suspends an app that was found out `most` times in 30 days; 0 is never.
    """
    wanted = sorted(set(consent_ids))
    if not wanted:
        return []
    ids = (await session.scalars(select(Delivery.id).where(Delivery.consent_id.in_(wanted), _may_lie))).all()
    return await _compare(session, ids, suspend=suspend, most=most, now=now, entropy=entropy)


async def compare_next(
    session: AsyncSession, *, suspend: Suspends | None, most: int, now: datetime, entropy: Entropy, limit: int = 500
) -> tuple[int, list[Raised]]:
    """Compares those that were compared longest ago. Returns how many, and who was found out."""
    ids = (
        await session.scalars(
            select(Delivery.id)
            .where(
                _may_lie,
                Delivery.stopped_at > now - COMPARED_FOR,
                or_(Delivery.compared_at.is_(None), Delivery.compared_at <= now - COMPARED_EVERY),
            )
            .order_by(Delivery.compared_at.asc().nulls_first())
            .limit(limit)
        )
    ).all()
    return len(ids), await _compare(session, ids, suspend=suspend, most=most, now=now, entropy=entropy)


async def _compare(
    session: AsyncSession,
    delivery_ids: Sequence[str],
    *,
    suspend: Suspends | None,
    most: int,
    now: datetime,
    entropy: Entropy,
) -> list[Raised]:
    if not delivery_ids:
        return []
    await session.execute(update(Delivery).where(Delivery.id.in_(delivery_ids)).values(compared_at=now))
    found = await _lies(session, delivery_ids)
    raised: list[Raised] = []
    for delivery_id, use_id in found.items():
        await session.execute(
            update(Delivery).where(Delivery.id == delivery_id).values(contradicted_at=now, contradicted_by=use_id)
        )
        row = (await session.execute(select(*COLUMNS).where(Delivery.id == delivery_id))).one()
        enough = most > 0 and bool(row.client_id) and await _times(session, row.client_id, now=now) >= most
        raised += await write_raised(
            session, [row], "contradicted", suspend=suspend if enough else None, now=now, entropy=entropy
        )
    return raised


async def _lies(session: AsyncSession, delivery_ids: Sequence[str]) -> dict[str, str]:
    """The first use after each delivery's `stopped_at` that should not have been, by delivery."""
    ended, later = aliased(ConsentEvent), aliased(ConsentEvent)
    allowed_again = exists().where(
        ended.id == Delivery.event_id,
        later.consent_id == Delivery.consent_id,
        later.seq > ended.seq,
        later.kind.in_(_ALLOWS_AGAIN),
        later.at <= Use.at,
    )
    by_recipient = and_(
        Delivery.role == RECIPIENT,
        or_(
            Use.client_id == Delivery.client_id,
            and_(Use.client_id.is_(None), Use.agency_id == Delivery.agency_id),
        ),
    )
    by_provider = and_(Delivery.role == PROVIDER, Use.provider_agency_id == Delivery.agency_id)
    rows = (
        await session.execute(
            select(
                *(column.label(column.name) for column in _USE),
                Delivery.id.label("delivery_id"),
                Delivery.kind.label("delivery_kind"),
                Delivery.items.label("delivery_items"),
            )
            .join(Delivery, Delivery.consent_id == Use.consent_id)
            .where(
                Delivery.id.in_(delivery_ids),
                Use.at > Delivery.stopped_at,
                or_(by_recipient, by_provider),
                ~allowed_again,
            )
            .order_by(Use.at, Use.id)
        )
    ).all()
    keys = await keys_of(session, {row.subject_id for row in rows if row.delivery_kind in SHRINKING})
    found: dict[str, str] = {}
    for row in rows:
        if row.delivery_id in found:
            continue
        # Where only some items were taken back, the others may be used on.
        if row.delivery_kind in SHRINKING and not _items(row, keys) & set(row.delivery_items):
            continue
        found[row.delivery_id] = row.id
    return found


def _items(use: Any, keys: Mapping[str, PersonalKey]) -> set[str]:
    """Which items a use was of; none once its person was erased."""
    key = keys.get(use.subject_id)
    if key is None:
        return set()
    try:
        return set(read(use, key).items)
    except KeysError:
        return set()


async def _times(session: AsyncSession, client_id: str, *, now: datetime) -> int:
    statement = select(func.count()).where(
        Delivery.client_id == client_id, Delivery.contradicted_at > now - COUNTED_FOR
    )
    return await session.scalar(statement) or 0
