"""The third part of an audit: what is changed in place. Consents and the registry must say what their events add up to.

Rows and events are read one after the other beside a living service, so whatever differs is looked at again before it
is told: what changed in between agrees the second time.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from consent.errors import ConsentError
from consent.event_store import EVENT_COLUMNS, events_of, read_events
from consent.events import Broken, Event, Projected, rebuild, verify_chain
from consent.log.audit_rows import BATCH, ReadsRules
from consent.log.findings import How, Progress, Report
from consent.models import Agency, ConsentEvent, ConsentRecord, DataAttribute, PurposeVersion
from consent.registry.events import AGENCY, AGREEMENT_VERSION, ATTRIBUTE, PURPOSE_VERSION
from consent.registry.models import AgreementVersion, RegistryEvent
from consent.registry.projection import check_registry

_RECORDS: Final = ConsentRecord.__tablename__
_EVENTS: Final = ConsentEvent.__tablename__
_PROJECTED: Final = tuple(field.name for field in fields(Projected))
_COLUMNS: Final = (*(getattr(ConsentRecord, name) for name in _PROJECTED), ConsentRecord.erased_at)
_REGISTERED: Final = {
    AGENCY: Agency.__tablename__,
    ATTRIBUTE: DataAttribute.__tablename__,
    PURPOSE_VERSION: PurposeVersion.__tablename__,
    AGREEMENT_VERSION: AgreementVersion.__tablename__,
}


async def audit_consents(session: AsyncSession, report: Report, by_rule: ReadsRules, *, progress: Progress) -> None:
    """Each consent's events are there from the first to the last, linked, and add up to what its row says.

    An event that was deleted together with its entry, before that had its place, leaves this trace alone.
    """
    statement, after = select(*_COLUMNS).order_by(ConsentRecord.id).limit(BATCH), None
    while rows := (
        await session.execute(statement if after is None else statement.where(ConsentRecord.id > after))
    ).all():
        stories = await _stories(session, [row.id for row in rows])
        erasing = (await by_rule(session)).erased is None
        for row in rows:
            if _faults(row, stories.get(row.id, ()), erasing=erasing):
                await _tell(session, report, row.id, by_rule)
        after = rows[-1].id
        report.checked[_RECORDS] += len(rows)
        progress(_RECORDS, report.checked[_RECORDS])


async def _stories(session: AsyncSession, consent_ids: Sequence[str]) -> dict[str, list[Event]]:
    rows = await session.execute(
        select(*EVENT_COLUMNS)
        .where(ConsentEvent.consent_id.in_(consent_ids))
        .order_by(ConsentEvent.consent_id, ConsentEvent.seq)
    )
    stories: dict[str, list[Event]] = {}
    for event in await read_events(session, rows):
        stories.setdefault(event.consent_id, []).append(event)
    return stories


def _faults(row: Row[Any], story: Sequence[Event], *, erasing: bool) -> list[tuple[How, str, str, str]]:
    """What is wrong with one consent: how, in which table, which row, and why."""
    # While somebody is being erased, their key is gone before their rows say so.
    expected_erased = None if erasing else row.erased_at is not None
    chain = verify_chain(story, expected_last_seq=row.last_seq, expected_erased=expected_erased)
    if isinstance(chain, Broken):
        if chain.event_id is None or "is missing" in chain.why:
            return [(How.DELETED, _EVENTS, f"of the consent {row.id}", chain.why)]
        return [(How.EDITED, _EVENTS, chain.event_id, chain.why)]
    if chain.erased:
        return []
    try:
        projected = rebuild(story)
    except ConsentError as impossible:
        return [(How.EDITED, _RECORDS, row.id, str(impossible))]
    wrong = [name for name in _PROJECTED if _plain(getattr(row, name)) != _plain(getattr(projected, name))]
    if wrong:
        return [(How.EDITED, _RECORDS, row.id, f"its {', '.join(wrong)} are not what its events say")]
    return []


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


async def _tell(session: AsyncSession, report: Report, consent_id: str, by_rule: ReadsRules) -> None:
    statement = select(*_COLUMNS).where(ConsentRecord.id == consent_id)
    for _ in range(3):
        row = (await session.execute(statement)).one_or_none()
        story = await events_of(session, consent_id)
        again = (await session.execute(statement)).one_or_none()
        if row is not None and row == again:
            erasing = (await by_rule(session)).erased is None
            for how, table, name, why in _faults(row, story, erasing=erasing):
                if not report.names(table, name):
                    report.add(how, table, name, why)
            return


async def audit_registry(session: AsyncSession, report: Report) -> None:
    """Agencies, data items, purposes and agreements say what the registry's events say."""
    found = await check_registry(session)
    if found:
        again = set(await check_registry(session))
        found = [difference for difference in found if difference in again]
    named_already = report.names(RegistryEvent.__tablename__)
    for difference in found:
        if named_already and difference.what.startswith("event "):
            continue
        report.add(How.EDITED, _REGISTERED[difference.object_kind], difference.object_id, difference.what)
