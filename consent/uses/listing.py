"""A person's uses, newest first: who received what from whom, when, and on what basis. Also those without a consent.

Spec: Law 27/2022 (UU PDP) article 32 (access to the trail of processing).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from consent.cursor import Cursor, older_than
from consent.models import Agency, Purpose, PurposeVersion
from consent.uses.delays import is_due
from consent.uses.disclosure import Disclosure, read
from consent.uses.models import Use
from consent.vault import keys_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenUse:
    """One use, with the names of who gave and who received. `provider_names` of None: Satu Pintu gave it itself.

    `privacy_contact` is that of who gave, or where that was Satu Pintu of who received: whom to ask about it.

    `purpose_texts` are those of the version that was agreed to, where there was one. `delay_basis` is the law by which
    the use could be seen only later, if it was so.
    """

    use: Disclosure
    agency_code: str
    agency_names: Mapping[str, str]
    privacy_contact: str
    provider_names: Mapping[str, str] | None
    purpose_texts: Mapping[str, Mapping[str, str]] | None
    purpose_code: str | None
    delay_basis: str | None


@dataclass(frozen=True, slots=True)
class UsesPage:
    """Some of a person's uses; `next` is where to go on, None at the end."""

    uses: tuple[SeenUse, ...]
    next: Cursor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """An agency that received something of the person."""

    code: str
    names: Mapping[str, str]


async def uses_of(
    session: AsyncSession,
    *,
    subject_id: str,
    now: datetime,
    agency_code: str | None = None,
    after: Cursor | None = None,
    limit: int = 50,
) -> UsesPage:
    """What the person may see by now; with `agency_code` only what that agency received, or gave."""
    receiver, provider = aliased(Agency), aliased(Agency)
    statement = (
        select(
            *Use.__table__.columns,
            receiver.code.label("receiver_code"),
            receiver.names.label("receiver_names"),
            provider.names.label("provider_names"),
            func.coalesce(provider.privacy_contact, receiver.privacy_contact).label("privacy_contact"),
            PurposeVersion.texts.label("purpose_texts"),
            Purpose.code.label("purpose_code"),
        )
        .select_from(Use)
        .join(receiver, receiver.id == Use.agency_id)
        .outerjoin(provider, provider.id == Use.provider_agency_id)
        .outerjoin(PurposeVersion, PurposeVersion.id == Use.purpose_version_id)
        .outerjoin(Purpose, Purpose.id == PurposeVersion.purpose_id)
        .where(Use.subject_id == subject_id, is_due(now))
    )
    if agency_code is not None:
        statement = statement.where((receiver.code == agency_code) | (provider.code == agency_code))
    if after is not None:
        statement = statement.where(older_than(Use.at, Use.id, after))
    rows = (await session.execute(statement.order_by(Use.at.desc(), Use.id.desc()).limit(limit + 1))).all()
    keys = await keys_of(session, [subject_id])
    key = keys.get(subject_id)
    if key is None:
        return UsesPage((), None)
    uses = tuple(_seen(row, read(row, key)) for row in rows[:limit])
    more = len(rows) > limit
    return UsesPage(uses, Cursor(uses[-1].use.at, uses[-1].use.id) if more else None)


async def receivers_of(session: AsyncSession, *, subject_id: str, now: datetime) -> Sequence[Receiver]:
    """Every agency that received something of the person, by code."""
    rows = await session.execute(
        select(Agency.code, Agency.names)
        .where(
            Agency.id.in_(select(Use.agency_id).where(Use.subject_id == subject_id, is_due(now)).distinct()),
        )
        .order_by(Agency.code)
    )
    return [Receiver(code=code, names=names) for code, names in rows]


def _seen(row: Any, use: Disclosure) -> SeenUse:
    return SeenUse(
        use=use,
        agency_code=row.receiver_code,
        agency_names=row.receiver_names,
        privacy_contact=row.privacy_contact,
        provider_names=row.provider_names,
        purpose_texts=row.purpose_texts,
        purpose_code=row.purpose_code,
        delay_basis=row.delay_basis,
    )
