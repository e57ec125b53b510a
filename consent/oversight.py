"""What privacy officers looked at, read back: the watchers are watched.

Spec: Law 27/2022 (UU PDP) article 31 (a record of all processing).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from consent.history import Cursor
from consent.models import OfficerAction


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look of one officer, as recorded. `rows` is how much they got to see."""

    id: str
    at: datetime
    officer_id: str
    action: str
    consent_id: str | None
    filters: Mapping[str, Any]
    rows: int


@dataclass(frozen=True, slots=True)
class LooksPage:
    """Some looks, newest first; `next` is where to go on, None at the end."""

    looks: tuple[Look, ...]
    next: Cursor | None


async def list_looks(session: AsyncSession, *, after: Cursor | None = None, limit: int = 50) -> LooksPage:
    """The officers' looks, newest first. Keyset, as all lists of what happened."""
    statement = select(*OfficerAction.__table__.columns)
    if after is not None:
        # `at <= …` first: an index on `at` can start there, which an OR alone would not let it.
        statement = statement.where(
            and_(
                OfficerAction.at <= after.at,
                or_(OfficerAction.at < after.at, OfficerAction.id < after.id),
            )
        )
    statement = statement.order_by(OfficerAction.at.desc(), OfficerAction.id.desc())
    rows = (await session.execute(statement.limit(limit + 1))).all()
    looks = tuple(
        Look(
            id=row.id,
            at=row.at,
            officer_id=row.officer_id,
            action=row.action,
            consent_id=row.consent_id,
            filters=row.filters,
            rows=row.rows,
        )
        for row in rows[:limit]
    )
    return LooksPage(looks, Cursor(looks[-1].at, looks[-1].id) if len(rows) > limit else None)
