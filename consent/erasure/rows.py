"""The rows that name a person, and how each comes to name nobody. A test compares this page with every table's columns.

What stays of a row is what concerns others: that something was decided about this purpose at that moment, that this
officer looked, that this agency received; and the hashes, so that every chain and every proof goes on to hold.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, bindparam, case, exists, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from consent.erasure.models import Hold
from consent.models import ConsentEvent, ConsentRecord, OfficerAction
from consent.statuses import CURRENT
from consent.uses.models import Use, UseDelay
from keys.entropy import Entropy, new_id

#: Every column that has a person's id. Who acted as an officer or for an agency did so in office, and stays named.
NAMES: Final[Sequence[InstrumentedAttribute[Any]]] = (
    ConsentRecord.subject_id,
    ConsentRecord.representative_id,
    ConsentEvent.subject_id,
    Use.subject_id,
    UseDelay.subject_id,
    OfficerAction.subject_id,
    Hold.subject_id,
)

_TABLES: Final = ConsentRecord.metadata.tables
_RECORDS: Final = _TABLES[ConsentRecord.__tablename__]
_EVENTS: Final = _TABLES[ConsentEvent.__tablename__]
_USES: Final = _TABLES[Use.__tablename__]
_DELAYS: Final = _TABLES[UseDelay.__tablename__]
_ACTIONS: Final = _TABLES[OfficerAction.__tablename__]
_HOLDS: Final = _TABLES[Hold.__tablename__]

# What an officer's look loses; its leaf was made with a person's key, and the mark says that this was not nobody's.
FORGOTTEN_LOOK: Final[Mapping[str, Any]] = {"subject_id": None, "reason": None, "filters": {"erased": True}}
# What a row loses besides its person's id. The body is blanked although its key is destroyed: the key may be found
# again in an old backup. What an officer typed as a reason, and an agency as its reference, may name the person.
_NOBODY: Final[ColumnElement[Any]] = bindparam("nobody")
_LOSES: Final[Sequence[tuple[Table, Mapping[str, Any]]]] = (
    (_USES, {"subject_id": _NOBODY, "body": b"", "reference": None}),
    (_DELAYS, {"subject_id": _NOBODY, "body": b""}),
    (_ACTIONS, FORGOTTEN_LOOK),
    (_HOLDS, {"subject_id": _NOBODY, "reason": "erased", "citation": "erased"}),
)


def named_somewhere(subject_id: Any) -> ColumnElement[bool]:
    """Whether any row still has this id."""
    return or_(*(exists().where(column == subject_id) for column in NAMES))


async def tidy(
    session: AsyncSession, subject_id: str, *, limit: int, now: datetime, entropy: Entropy
) -> dict[str, int]:
    """Makes at most `limit` rows (or consents, each with its events) name nobody. Returns how many of each table."""
    ids = await _ids(session, _RECORDS, _RECORDS.c.subject_id == subject_id, limit=limit)
    if ids:
        return await shred_consents(session, dict.fromkeys(ids, subject_id), now=now, entropy=entropy)
    for table, loses in _LOSES:
        ids = await _ids(session, table, table.c.subject_id == subject_id, limit=limit)
        if ids:
            names = [{"one": row_id, "nobody": new_id(entropy)} for row_id in ids]
            await _many(session, update(table).where(table.c.id == bindparam("one")).values(**loses), names)
            return {table.name: len(ids)}
    # Those for whom this person acted keep what was decided, and lose by whom.
    ids = await _ids(session, _RECORDS, _RECORDS.c.representative_id == subject_id, limit=limit)
    if ids:
        await session.execute(update(_RECORDS).where(_RECORDS.c.id.in_(ids)).values(representative_id=None))
        return {_RECORDS.name: len(ids)}
    return {}


async def shred_consents(
    session: AsyncSession, whose: Mapping[str, str], *, now: datetime, entropy: Entropy
) -> dict[str, int]:
    """Erases what these consents said, and whose they were. Their events stay as the links of a chain.

    `whose` has the person's id for each consent's.
    """
    names = [{"one": one, "whose": subject_id, "nobody": new_id(entropy)} for one, subject_id in whose.items()]
    record = update(_RECORDS).where(_RECORDS.c.id == bindparam("one"), _RECORDS.c.subject_id == bindparam("whose"))
    gone = record.values(
        subject_id=_NOBODY,
        subject_ref=None,
        granted=[],
        refused=[],
        representative_id=None,
        mandate_id=None,
        erased_at=now,
        # What was being written at the moment of the erasure permits nothing.
        status=case((or_(*(_RECORDS.c.status == one for one in CURRENT)), "unknown"), else_=_RECORDS.c.status),
    )
    await _many(session, gone, names)
    events = await session.scalar(select(func.count()).where(_EVENTS.c.consent_id.in_(whose)))
    event = update(_EVENTS).where(_EVENTS.c.consent_id == bindparam("one"))
    await _many(session, event.values(subject_id=_NOBODY, body=b"", text_sha256=None), names)
    pairs = [(subject_id, one) for one, subject_id in whose.items()]
    looks = await _ids(session, _ACTIONS, tuple_(_ACTIONS.c.subject_id, _ACTIONS.c.consent_id).in_(pairs))
    if looks:
        await session.execute(update(_ACTIONS).where(_ACTIONS.c.id.in_(looks)).values(**FORGOTTEN_LOOK))
    return {_RECORDS.name: len(whose), _EVENTS.name: events or 0, _ACTIONS.name: len(looks)}


async def _many(session: AsyncSession, statement: Any, parameters: Sequence[Mapping[str, Any]]) -> None:
    # Through the connection: the ORM would take many sets of parameters for rows to be found by their primary key.
    await (await session.connection()).execute(statement, [dict(one) for one in parameters])


async def _ids(
    session: AsyncSession, table: Table, where: ColumnElement[bool], *, limit: int | None = None
) -> Sequence[str]:
    return (await session.scalars(select(table.c.id).where(where).order_by(table.c.id).limit(limit))).all()
