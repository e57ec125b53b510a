"""What privacy officers look at and do, written down before they see it, and read back: the watchers are watched.

Each look is a leaf of the log: under the key of the person whom they looked for, or else under nobody's.
Spec: Law 27/2022 (UU PDP) article 31 (a record of all processing).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from consent.cursor import Cursor, older_than
from consent.errors import Erased
from consent.event_list import EventFilter
from consent.events import plain
from consent.identifiers import is_id
from consent.log import entries
from consent.log.entry import Kind
from consent.models import OfficerAction
from consent.vault import key_of, keys_of, vault_of
from keys.entropy import Entropy, new_row_id
from keys.personal import PersonalKey

# Whoever is found by their name, or acted for, exists; an id in a filter is only what somebody typed.
_OF_A_PERSON: Final = frozenset({"find", "act"})
_COLUMNS: Final = tuple(OfficerAction.__table__.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look or deed of one officer, as recorded. `rows` is how much they got to see."""

    id: str
    at: datetime
    officer_id: str
    action: str
    consent_id: str | None
    subject_id: str | None
    reason: str | None
    filters: Mapping[str, Any]
    rows: int

    def as_json(self) -> dict[str, Any]:
        """What the log commits to."""
        values = {name: plain(getattr(self, name)) for name in self.__dataclass_fields__}
        return {**values, "filters": dict(self.filters)}


@dataclass(frozen=True, slots=True)
class LooksPage:
    """Some looks, newest first; `next` is where to go on, None at the end."""

    looks: tuple[Look, ...]
    next: Cursor | None


async def record_officer_action(
    session: AsyncSession,
    *,
    officer_id: str,
    action: str,
    filters: EventFilter | Mapping[str, Any] | None = None,
    consent_id: str | None = None,
    subject_id: str | None = None,
    reason: str | None = None,
    rows: int,
    now: datetime,
    entropy: Entropy,
) -> str:
    """Records that an officer looked (`list`, `open`, `export`, `find`) or acted (`act`), in the transaction that does.

    `subject_id` is the person whom they looked for; an `EventFilter` names its own. `rows` is how many rows they got to
    see. Returns the row's id. There is no way to look that does not leave this behind.
    """
    described = filters.as_json() if isinstance(filters, EventFilter) else dict(filters or {})
    wanted = subject_id or (filters.subject_id if isinstance(filters, EventFilter) else described.get("subject_id"))
    key = await _key(session, wanted, action=action, now=now)
    if key is not None:
        # In the column alone: erasing a person has one place to look.
        described.pop("subject_id", None)
    look = Look(
        id=new_row_id(entropy, now),
        at=now,
        officer_id=officer_id,
        action=action,
        consent_id=consent_id,
        subject_id=wanted if key is not None else None,
        reason=reason,
        filters=described,
        rows=rows,
    )
    await session.execute(insert(OfficerAction).values(**{**_members(look), "filters": described}))
    leaf = entries.entry_of(Kind.OFFICER, look.id, look.as_json(), key or vault_of(session).nobodys, at=now)
    await entries.append(session, [leaf])
    return look.id


async def list_looks(
    session: AsyncSession, *, subject_id: str | None = None, after: Cursor | None = None, limit: int = 50
) -> LooksPage:
    """The officers' looks, newest first; with `subject_id` those for one person. Keyset, as all lists."""
    statement = select(*_COLUMNS)
    if subject_id is not None:
        statement = statement.where(OfficerAction.subject_id == subject_id)
    if after is not None:
        statement = statement.where(older_than(OfficerAction.at, OfficerAction.id, after))
    statement = statement.order_by(OfficerAction.at.desc(), OfficerAction.id.desc())
    rows = (await session.execute(statement.limit(limit + 1))).all()
    looks = tuple(read_look(row) for row in rows[:limit])
    return LooksPage(looks, Cursor(looks[-1].at, looks[-1].id) if len(rows) > limit else None)


def read_look(row: Row[Any]) -> Look:
    """The look of a row that has `OfficerAction`'s columns."""
    return Look(**{name: getattr(row, name) for name in Look.__dataclass_fields__})


def _members(look: Look) -> dict[str, Any]:
    return {name: getattr(look, name) for name in look.__dataclass_fields__}


async def _key(session: AsyncSession, subject_id: str | None, *, action: str, now: datetime) -> PersonalKey | None:
    """The key of the person looked for; None for nobody, for whoever nothing is known of, and for the erased."""
    if subject_id is None or not is_id(subject_id):
        return None
    if action not in _OF_A_PERSON:
        return (await keys_of(session, [subject_id])).get(subject_id)
    try:
        return await key_of(session, subject_id, now=now)
    except Erased:
        return None
