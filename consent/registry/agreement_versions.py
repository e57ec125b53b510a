"""The life of a sharing agreement's version: proposed, approved by the provider and the recipient, in force, ended.

    proposed → active → superseded → ended
             ↘ rejected      ↘ ended

Somebody of the provider's side and somebody of the recipient's approve: two different people, neither of whom proposed
it. The second approval puts it in force and replaces the version before. Every step is an event, appended and logged.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.errors import AgreementRefused, ReviewRefused, UnknownAgency, UnknownPurpose
from consent.locking import hold
from consent.models import Agency, Purpose
from consent.purposes import versions_of
from consent.registry.agreement_checks import check_terms, read_instrument
from consent.registry.agreements import (
    AgreementTerms,
    AgreementVersionView,
    Instrument,
    agreement_version,
    agreement_versions_of,
    digest_of_agreement,
)
from consent.registry.events import AGREEMENT_VERSION, append_event, events_of
from consent.registry.models import Agreement, AgreementVersion
from consent.registry.people import Person, person
from consent.registry.versions import check_four_eyes
from consent.wording import fault_in
from keys.entropy import Entropy, new_row_id

SIDES: Final = ("provider", "recipient")
_ASKED_NOW: Final = frozenset({"draft", "proposed", "active"})


async def propose_agreement(
    session: AsyncSession,
    *,
    code: str,
    provider_agency_id: str,
    purpose_code: str,
    instrument: Instrument | Mapping[str, Any],
    items: Sequence[str],
    valid_from: datetime,
    valid_until: datetime,
    data_life_days: int,
    fetch_type: str = "periodic",
    use_limit: int | None = None,
    use_window_days: int | None = None,
    proposed_by: Person | str,
    now: datetime,
    entropy: Entropy,
) -> AgreementVersionView:
    """Proposes a new agreement, or the next version of one. The recipient is the agency whose purpose it is for.

    `items` are among those that a version of the purpose asks the provider for. Errors: `UnknownAgency`,
    `UnknownPurpose`, `AgreementRefused`.
    """
    author = person(proposed_by)
    terms = AgreementTerms(
        instrument=read_instrument(instrument),
        items=tuple(items),
        valid_from=valid_from,
        valid_until=valid_until,
        fetch_type=fetch_type,
        use_limit=use_limit,
        use_window_days=use_window_days,
        data_life_days=data_life_days,
    )
    check_terms(code, terms, now=now)
    if await session.get(Agency, provider_agency_id) is None:
        raise UnknownAgency(f"there is no agency {provider_agency_id}")
    purpose = (
        await session.execute(select(Purpose.id, Purpose.agency_id).where(Purpose.code == purpose_code))
    ).one_or_none()
    if purpose is None:
        raise UnknownPurpose(f"there is no purpose with the code {purpose_code}")
    if purpose.agency_id == provider_agency_id:
        raise AgreementRefused("an agency needs no agreement with itself")
    await _check_items(session, purpose_code, provider_agency_id, terms.items)
    await hold(session, f"agreement {code}")
    agreement = (await session.execute(select(Agreement).where(Agreement.code == code))).scalar_one_or_none()
    if agreement is not None and (agreement.provider_agency_id, agreement.purpose_id) != (
        provider_agency_id,
        purpose.id,
    ):
        raise AgreementRefused(f"the agreement {code} is another provider's, or for another purpose")
    earlier = [] if agreement is None else await agreement_versions_of(session, code)
    digest = digest_of_agreement(code, provider_agency_id, purpose.agency_id, purpose.id, terms)
    for version in earlier:
        if version.digest == digest and version.status in {"proposed", "active"}:
            raise AgreementRefused(f"version {version.version} of {code} says exactly this already")
    agreement_id = agreement.id if agreement is not None else new_row_id(entropy, now)
    if agreement is None:
        await session.execute(
            insert(Agreement).values(
                id=agreement_id,
                code=code,
                provider_agency_id=provider_agency_id,
                recipient_agency_id=purpose.agency_id,
                purpose_id=purpose.id,
                created_at=now,
            )
        )
    version_id = new_row_id(entropy, now)
    await session.execute(
        insert(AgreementVersion).values(
            id=version_id,
            agreement_id=agreement_id,
            version=max((version.version for version in earlier), default=0) + 1,
            **{**terms.as_json(), "valid_from": valid_from, "valid_until": valid_until},
            status="proposed",
            digest=digest,
            created_at=now,
            created_by=author.name,
        )
    )
    await _append(session, version_id, "proposed", author, {"digest": digest.hex()}, now, entropy)
    return await agreement_version(session, version_id)


async def approve_agreement(
    session: AsyncSession, version_id: str, *, side: str, by: Person | str, now: datetime, entropy: Entropy
) -> AgreementVersionView:
    """One side approves; with the other's approval it is in force. Error: `ReviewRefused`."""
    who = person(by)
    if side not in SIDES:
        raise ReviewRefused(f"the side is one of {' and '.join(SIDES)}")
    version = await _held(session, version_id)
    _check_status(version, "proposed")
    if version.terms.valid_until <= now:
        raise ReviewRefused(f"version {version.version} of {version.code} is over already")
    await _check_agencies(session, version)
    history = await events_of(session, AGREEMENT_VERSION, version_id)
    check_four_eyes(history, side=side, who=who)
    await _append(session, version_id, "approved", who, {"side": side}, now, entropy)
    if any(event.kind == "approved" for event in history):
        await _put_in_force(session, version, who, now=now, entropy=entropy)
    return await agreement_version(session, version_id)


async def reject_agreement(
    session: AsyncSession, version_id: str, *, by: Person | str, reason: str, now: datetime, entropy: Entropy
) -> AgreementVersionView:
    """Ends a proposal. Error: `ReviewRefused`."""
    return await _finish(session, version_id, ("proposed",), "rejected", by, reason, now, entropy)


async def end_agreement(
    session: AsyncSession, version_id: str, *, by: Person | str, reason: str, now: datetime, entropy: Entropy
) -> AgreementVersionView:
    """Ends a version that is or was in force. What ends with it is `consent.withdrawal.endings`' matter.

    Error: `ReviewRefused` when nothing can rest on it.
    """
    return await _finish(session, version_id, ("active", "superseded"), "ended", by, reason, now, entropy)


async def _finish(
    session: AsyncSession,
    version_id: str,
    expected: tuple[str, ...],
    to: str,
    by: Person | str,
    reason: str,
    now: datetime,
    entropy: Entropy,
) -> AgreementVersionView:
    who = person(by)
    fault = fault_in(reason, most=500, lines=True)
    if fault is not None:
        raise ReviewRefused(f"the reason {fault}")
    version = await _held(session, version_id)
    _check_status(version, *expected)
    await _move(session, version, to=to)
    await _append(session, version_id, to, who, {"reason": reason}, now, entropy)
    return await agreement_version(session, version_id)


async def _put_in_force(
    session: AsyncSession, version: AgreementVersionView, who: Person, *, now: datetime, entropy: Entropy
) -> None:
    for other in await agreement_versions_of(session, version.code):
        if other.status == "active" and other.version > version.version:
            raise ReviewRefused(f"version {other.version} is in force already, and newer")
        if other.status == "active":
            await _move(session, other, to="superseded")
            await _append(session, other.id, "superseded", who, {"by_version": version.id}, now, entropy)
    await _move(session, version, to="active")
    await _append(session, version.id, "activated", who, {}, now, entropy)


async def _check_items(session: AsyncSession, purpose_code: str, provider_id: str, items: Sequence[str]) -> None:
    asked: set[str] = set()
    for version in await versions_of(session, purpose_code):
        if version.status in _ASKED_NOW:
            asked |= version.sources.get(provider_id, frozenset())
    beyond = sorted(set(items) - asked)
    if beyond:
        raise AgreementRefused(f"the purpose {purpose_code} does not ask the provider for {beyond[0]}")


async def _check_agencies(session: AsyncSession, version: AgreementVersionView) -> None:
    rows = await session.execute(
        select(Agency.code).where(
            Agency.id.in_((version.provider_agency_id, version.recipient_agency_id)), Agency.status != "active"
        )
    )
    for row in rows:
        raise ReviewRefused(f"the agency {row.code} is suspended")


async def _held(session: AsyncSession, version_id: str) -> AgreementVersionView:
    version = await agreement_version(session, version_id)
    await hold(session, f"agreement {version.code}")
    return await agreement_version(session, version_id)


def _check_status(version: AgreementVersionView, *expected: str) -> None:
    if version.status not in expected:
        raise ReviewRefused(f"version {version.version} of {version.code} is {version.status}")


async def _move(session: AsyncSession, version: AgreementVersionView, *, to: str) -> None:
    moved = await session.execute(
        update(AgreementVersion)
        .where(AgreementVersion.id == version.id, AgreementVersion.status == version.status)
        .values(status=to)
        .returning(AgreementVersion.id)
    )
    if moved.one_or_none() is None:
        raise ReviewRefused(f"version {version.version} of {version.code} is not {version.status} any more")


async def _append(
    session: AsyncSession,
    version_id: str,
    kind: str,
    who: Person,
    detail: Mapping[str, Any],
    now: datetime,
    entropy: Entropy,
) -> None:
    await append_event(
        session,
        object_kind=AGREEMENT_VERSION,
        object_id=version_id,
        kind=kind,
        by=who,
        detail=detail,
        now=now,
        entropy=entropy,
    )
