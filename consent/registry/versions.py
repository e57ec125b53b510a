"""The life of a purpose version: written, proposed, approved by two, in force, replaced or ended.

    draft → proposed → active → superseded → ended
                    ↘ rejected        ↘ ended

Four eyes: somebody of the agency's side and somebody of the operator's side approve, two different people, neither of
whom wrote or proposed it. The second approval puts the version in force, in the same transaction. Every step is an
event that is appended and logged; the row's `status` is their projection.
Spec: Law 27/2022 (UU PDP) articles 20(2), 21 and 22; docs/integrate/purposes.md.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.attributes import ITEMS
from consent.errors import PurposeRefused, ReviewRefused, UnknownAgency
from consent.locking import hold
from consent.models import Agency, Purpose, PurposeVersion
from consent.purpose_checks import check_draft
from consent.purpose_draft import Draft, PurposeItem
from consent.purposes import PurposeVersionView, digest_of, purpose_version, versions_of
from consent.registry.agreements import agreement_for, needs_agreement
from consent.registry.attributes import attributes_named
from consent.registry.compatibility import widened
from consent.registry.events import PURPOSE_VERSION, RegistryEntry, append_event, events_of
from consent.registry.mandatory import Candidate, fault_in_members
from consent.registry.people import Person, person, same_person
from consent.registry.review import Review, check_review, examine, recorded
from consent.registry.terms import Terms
from consent.wording import fault_in
from keys.entropy import Entropy, new_row_id

SIDES: Final = ("agency", "operator")
# The versions that people were asked for.
WERE_IN_FORCE: Final = frozenset({"active", "superseded", "ended"})
# The versions that stand: an identical one besides would be two names for one thing.
_STANDING: Final = frozenset({"draft", "proposed", "active"})


async def propose_version(
    session: AsyncSession,
    *,
    agency_id: str,
    code: str,
    texts: Mapping[str, Mapping[str, str]],
    items: Sequence[PurposeItem | Mapping[str, Any]],
    legal_basis: str,
    legal_citation: str,
    retention_days: int,
    validity_days: int,
    fetch_type: str = "periodic",
    use_limit: int | None = None,
    use_window_days: int | None = None,
    terms: Terms | Mapping[str, Any] | None = None,
    compatible_with: Sequence[int] | None = None,
    proposed_by: Person | str,
    draft: bool = False,
    now: datetime,
    entropy: Entropy,
) -> PurposeVersionView:
    """Writes a new purpose, or the next version of the agency's existing one, and proposes it unless it is a `draft`.

    `compatible_with` are the numbers of earlier versions whose consents shall hold for this one too; a purpose's first
    version need not say it, every later one must, and () is an answer.
    Errors: `UnknownAgency`; `PurposeRefused` when a check fails, a version says this already, or the code is another
    agency's.
    """
    author = person(proposed_by)
    written = Draft.read(
        code=code,
        texts=texts,
        items=items,
        legal_basis=legal_basis,
        legal_citation=legal_citation,
        retention_days=retention_days,
        validity_days=validity_days,
        fetch_type=fetch_type,
        use_limit=use_limit,
        use_window_days=use_window_days,
        terms=terms,
    )
    elsewhere = {item.claim for item in written.items if item.claim not in ITEMS}
    known = {**ITEMS, **(await attributes_named(session, elsewhere) if elsewhere else {})}
    check_draft(written, known=known)
    if await session.get(Agency, agency_id) is None:
        raise UnknownAgency(f"there is no agency {agency_id}")
    await hold(session, f"purpose {code}")
    purpose = (await session.execute(select(Purpose.id, Purpose.agency_id).where(Purpose.code == code))).one_or_none()
    if purpose is not None and purpose.agency_id != agency_id:
        raise PurposeRefused(f"the code {code} belongs to another agency")
    earlier = [] if purpose is None else await versions_of(session, code)
    digest = digest_of(written, agency_id=agency_id)
    for version in earlier:
        if version.digest == digest and version.status in _STANDING:
            raise PurposeRefused(f"version {version.version} of {code} says exactly this already")
    compatible = _compatible(written, earlier, compatible_with)
    purpose_id = purpose.id if purpose is not None else new_row_id(entropy, now)
    if purpose is None:
        await session.execute(insert(Purpose).values(id=purpose_id, agency_id=agency_id, code=code, created_at=now))
    version_id = new_row_id(entropy, now)
    said = written.as_json()
    del said["code"]
    await session.execute(
        insert(PurposeVersion).values(
            id=version_id,
            purpose_id=purpose_id,
            version=max((version.version for version in earlier), default=0) + 1,
            **said,
            compatible_with=compatible,
            status="draft",
            digest=digest,
            created_at=now,
            created_by=author.name,
        )
    )
    await append_event(
        session,
        object_kind=PURPOSE_VERSION,
        object_id=version_id,
        kind="drafted",
        by=author,
        detail={"digest": digest.hex(), "compatible_with": compatible},
        now=now,
        entropy=entropy,
    )
    if not draft:
        return await propose(session, version_id, by=author, now=now, entropy=entropy)
    return await purpose_version(session, version_id)


async def propose(
    session: AsyncSession, version_id: str, *, by: Person | str, now: datetime, entropy: Entropy
) -> PurposeVersionView:
    """Hands a draft to the two who review it. Error: `ReviewRefused` when it is no draft, or lacks a member."""
    who = person(by)
    candidate = await _held(session, version_id)
    _check_status(candidate.version, "draft")
    fault = fault_in_members(candidate)
    if fault is not None:
        raise ReviewRefused(fault)
    await _move(session, candidate.version, to="proposed")
    await _append(session, version_id, "proposed", who, {"digest": candidate.version.digest.hex()}, now, entropy)
    return await purpose_version(session, version_id)


async def approve(
    session: AsyncSession,
    version_id: str,
    *,
    side: str,
    by: Person | str,
    review: Review,
    now: datetime,
    entropy: Entropy,
) -> PurposeVersionView:
    """One side approves. When the other side has approved already, the version is in force with this transaction.

    Error: `ReviewRefused` when it is not proposed, the wrong person approves, or anything stands against it.
    """
    who = person(by)
    if side not in SIDES:
        raise ReviewRefused(f"the side is one of {' and '.join(SIDES)}")
    candidate = await _held(session, version_id)
    version = candidate.version
    _check_status(version, "proposed")
    history = await events_of(session, PURPOSE_VERSION, version_id)
    check_four_eyes(history, side=side, who=who)
    if candidate.agency.status != "active":
        raise ReviewRefused(f"the agency {version.agency_code} is suspended")
    examination = examine(candidate)
    check_review(candidate, examination, review)
    others = await versions_of(session, version.code)
    _compatible(version.as_draft(), [one for one in others if one.version < version.version], version.compatible_with)
    await _append(session, version_id, "approved", who, {"side": side, **recorded(review, examination)}, now, entropy)
    if any(event.kind == "approved" for event in history):
        await _put_in_force(session, version, others, who, now=now, entropy=entropy)
    return await purpose_version(session, version_id)


async def reject(
    session: AsyncSession, version_id: str, *, by: Person | str, reason: str, now: datetime, entropy: Entropy
) -> PurposeVersionView:
    """Ends a draft or a proposal before anybody was asked. Error: `ReviewRefused`."""
    who = person(by)
    _check_reason(reason)
    version = (await _held(session, version_id)).version
    _check_status(version, "draft", "proposed")
    await _move(session, version, to="rejected")
    await _append(session, version_id, "rejected", who, {"reason": reason}, now, entropy)
    return await purpose_version(session, version_id)


async def end_version(
    session: AsyncSession, version_id: str, *, by: Person | str, reason: str, now: datetime, entropy: Entropy
) -> PurposeVersionView:
    """Ends a version that is or was in force. What ends with it is `consent.withdrawal.endings`' matter.

    Error: `ReviewRefused` when it is not in force and no consent can rest on it.
    """
    who = person(by)
    _check_reason(reason)
    version = (await _held(session, version_id)).version
    _check_status(version, "active", "superseded")
    await _adopt_if_unknown(session, version, who, now, entropy)
    await _move(session, version, to="ended", ended_at=version.ended_at or now)
    await _append(session, version_id, "ended", who, {"reason": reason}, now, entropy)
    return await purpose_version(session, version_id)


def check_four_eyes(history: Sequence[RegistryEntry], *, side: str, who: Person) -> None:
    """Error: `ReviewRefused` when who approves wrote or proposed it, or approved it already, or their side did."""
    for event in history:
        if event.kind in {"drafted", "proposed"} and same_person(event.by, who):
            raise ReviewRefused(f"{who.name} proposed it: two others approve")
        if event.kind == "approved" and event.detail.get("side") == side:
            raise ReviewRefused(f"the {side}'s side approved already: {event.by.name}")
        if event.kind == "approved" and same_person(event.by, who):
            raise ReviewRefused(f"{who.name} approved already, for the other side")


async def _put_in_force(
    session: AsyncSession,
    version: PurposeVersionView,
    others: Sequence[PurposeVersionView],
    who: Person,
    *,
    now: datetime,
    entropy: Entropy,
) -> None:
    source = needs_agreement(version)
    agreement = None
    if source is not None:
        agreement = await agreement_for(session, version, source_agency_id=source, now=now)
        if agreement is None:
            item = version.item(min(version.sources[source]))
            assert item.source is not None
            raise ReviewRefused(f"no agreement in force covers what comes from {item.source.code}")
    for other in others:
        if other.status == "active" and other.version > version.version:
            raise ReviewRefused(f"version {other.version} is in force already, and newer")
        if other.status == "active":
            await _adopt_if_unknown(session, other, who, now, entropy)
            await _move(session, other, to="superseded", ended_at=now)
            await _append(session, other.id, "superseded", who, {"by_version": version.id}, now, entropy)
    await _move(session, version, to="active", activated_at=now)
    detail = {"agreement_version_id": None if agreement is None else agreement.id}
    await _append(session, version.id, "activated", who, detail, now, entropy)


def _compatible(
    draft: Draft, earlier: Sequence[PurposeVersionView], compatible_with: Sequence[int] | None
) -> list[int]:
    """The numbers of the compatible versions, in order. Error: `PurposeRefused` when one of them is not."""
    approved = {version.version: version for version in earlier if version.status in WERE_IN_FORCE}
    if compatible_with is None:
        if approved:
            raise PurposeRefused(
                "compatible_with must say which earlier versions' consents hold for this one: [] if none"
            )
        return []
    numbers = sorted(set(compatible_with))
    for number in numbers:
        version = approved.get(number)
        if version is None or version.status == "ended":
            raise PurposeRefused(
                f"it cannot be compatible with version {number}: that is not one that people agreed to"
            )
        why = widened(version.as_draft(), draft)
        if why is not None:
            raise PurposeRefused(f"it is not compatible with version {number}: {why}")
    return numbers


async def _held(session: AsyncSession, version_id: str) -> Candidate:
    """The version, with its purpose held until the transaction ends. Error: `UnknownPurpose`."""
    version = await purpose_version(session, version_id)
    await hold(session, f"purpose {version.code}")
    agency = await session.get(Agency, version.agency_id, populate_existing=True)
    assert agency is not None, "a purpose's agency is held by a foreign key"
    return Candidate(await purpose_version(session, version_id), agency)


def _check_status(version: PurposeVersionView, *expected: str) -> None:
    if version.status not in expected:
        raise ReviewRefused(f"version {version.version} of {version.code} is {version.status}")


def _check_reason(reason: str) -> None:
    fault = fault_in(reason, most=500, lines=True)
    if fault is not None:
        raise ReviewRefused(f"the reason {fault}")


async def _move(session: AsyncSession, version: PurposeVersionView, *, to: str, **times: datetime) -> None:
    """Sets the status, if it still is what was read: without the lock (a mistake) two steps would both win."""
    moved = await session.execute(
        update(PurposeVersion)
        .where(PurposeVersion.id == version.id, PurposeVersion.status == version.status)
        .values(status=to, **times)
        .returning(PurposeVersion.id)
    )
    if moved.one_or_none() is None:
        raise ReviewRefused(f"version {version.version} of {version.code} is not {version.status} any more")


async def _adopt_if_unknown(
    session: AsyncSession, version: PurposeVersionView, who: Person, now: datetime, entropy: Entropy
) -> None:
    """A version from before events were kept gets the event that says how it was found."""
    if not await events_of(session, PURPOSE_VERSION, version.id):
        detail = {"status": version.status, "digest": version.digest.hex()}
        await _append(session, version.id, "adopted", who, detail, now, entropy)


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
        object_kind=PURPOSE_VERSION,
        object_id=version_id,
        kind=kind,
        by=who,
        detail=detail,
        now=now,
        entropy=entropy,
    )
