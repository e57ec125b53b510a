"""What an agency may read through the GovStack API: its own data agreements, people by `sub`, and their records.

Spec: GovStack Consent Building Block 1.1 (data model).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from consent.errors import UnknownConsent, UnknownPurpose
from consent.event_store import events_of
from consent.events import Event
from consent.history import ConsentSummary, summaries, summary_of
from consent.identifiers import is_id
from consent.models import ConsentRecord, Purpose, PurposeVersion
from consent.purposes import PurposeVersionView, purpose_version


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """Which records. `individual` is a `sub`; `purpose_id` a data agreement's id."""

    agency_id: str
    individual: str | None = None
    purpose_id: str | None = None
    statuses: frozenset[str] | None = None


async def data_agreements(
    session: AsyncSession, *, agency_id: str, offset: int, limit: int, active: bool | None = None
) -> list[PurposeVersionView]:
    """The newest version of each of the agency's purposes, oldest purpose first; with `active`, those in force."""
    later = select(PurposeVersion.purpose_id, PurposeVersion.version).subquery("later")
    statement = (
        select(PurposeVersion.id)
        .join(Purpose, Purpose.id == PurposeVersion.purpose_id)
        .where(Purpose.agency_id == agency_id)
    )
    if active:
        statement = statement.where(PurposeVersion.status == "active")
    else:
        statement = statement.outerjoin(
            later,
            (later.c.purpose_id == PurposeVersion.purpose_id) & (later.c.version > PurposeVersion.version),
        ).where(later.c.version.is_(None))
    ids = (await session.scalars(statement.order_by(Purpose.id).offset(offset).limit(limit))).all()
    return [await purpose_version(session, version_id) for version_id in ids]


async def data_agreement(
    session: AsyncSession, purpose_id: str, *, agency_id: str, revision_id: str | None = None
) -> PurposeVersionView:
    """One of the agency's purposes: the version in force, else the newest, or a named one. Error: `UnknownPurpose`."""
    wanted = [purpose_id] if revision_id is None else [purpose_id, revision_id]
    if not all(map(is_id, wanted)):
        raise UnknownPurpose("there is no such data agreement")
    statement = (
        select(PurposeVersion.id)
        .join(Purpose, Purpose.id == PurposeVersion.purpose_id)
        .where(Purpose.id == purpose_id, Purpose.agency_id == agency_id)
    )
    if revision_id is not None:
        statement = statement.where(PurposeVersion.id == revision_id)
    in_force_first = statement.order_by((PurposeVersion.status == "active").desc(), PurposeVersion.version.desc())
    version_id = await session.scalar(in_force_first.limit(1))
    if version_id is None:
        raise UnknownPurpose("there is no such data agreement")
    return await purpose_version(session, version_id)


async def predecessor_of(session: AsyncSession, version: PurposeVersionView) -> bytes | None:
    """The digest of the version before this one, if there is one."""
    return await session.scalar(
        select(PurposeVersion.digest)
        .where(PurposeVersion.purpose_id == version.purpose_id, PurposeVersion.version < version.version)
        .order_by(PurposeVersion.version.desc())
        .limit(1)
    )


async def individuals(session: AsyncSession, *, agency_id: str, offset: int, limit: int) -> Sequence[str]:
    """The `sub`s of people with whom the agency has a record, in their order."""
    rows = await session.scalars(
        select(ConsentRecord.subject_ref)
        .where(ConsentRecord.agency_id == agency_id, ConsentRecord.subject_ref.is_not(None))
        .distinct()
        .order_by(ConsentRecord.subject_ref)
        .offset(offset)
        .limit(limit)
    )
    return [ref for ref in rows if ref is not None]


async def individual(session: AsyncSession, subject_ref: str, *, agency_id: str) -> str | None:
    """Our id of the person whom the agency knows by this `sub`; None when it has no record with them."""
    return await session.scalar(
        select(ConsentRecord.subject_id)
        .where(ConsentRecord.subject_ref == subject_ref, ConsentRecord.agency_id == agency_id)
        .limit(1)
    )


async def records(
    session: AsyncSession, wanted: RecordFilter, *, offset: int = 0, limit: int = 100
) -> list[ConsentSummary]:
    """Records, newest first."""
    statement = _filtered(wanted).order_by(ConsentRecord.id.desc()).offset(offset).limit(limit)
    return [summary_of(row) for row in await session.execute(statement)]


async def record(session: AsyncSession, record_id: str, *, agency_id: str) -> tuple[ConsentSummary, tuple[Event, ...]]:
    """One of the agency's records, and what happened to it. Error: `UnknownConsent`."""
    if not is_id(record_id):
        raise UnknownConsent("there is no such consent record")
    statement = _filtered(RecordFilter(agency_id=agency_id)).where(ConsentRecord.id == record_id)
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise UnknownConsent("there is no such consent record")
    return summary_of(row), await events_of(session, record_id)


def _filtered(wanted: RecordFilter) -> Select[Any]:
    statement = summaries().where(ConsentRecord.agency_id == wanted.agency_id)
    if wanted.individual is not None:
        statement = statement.where(ConsentRecord.subject_ref == wanted.individual)
    if wanted.purpose_id is not None:
        statement = statement.where(ConsentRecord.purpose_id == wanted.purpose_id)
    if wanted.statuses is not None:
        statement = statement.where(ConsentRecord.status.in_(sorted(wanted.statuses)))
    return statement
