"""A purpose version, an agreement, an agency or an app ends, and with it every consent that rests on it.

One person proposes, seeing how many consents of how many people it is; another approves. With the commit of the
approval the gate refuses: it reads the status that the approval wrote. What is left is to say so, consent by consent:

    run_endings   ends at most so many consents in a transaction: event, leaf, deliveries, tokens

Nobody is left out and nobody is ended twice, however often it is killed: a batch takes consents that are still in
force, and its commit is what takes them out of that set. It goes on until none is found, and for a while longer, since
a consent that was being given while the approval was committed comes to light a moment after.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.agencies import suspend_agency
from consent.decisions import revoke_all
from consent.identifiers import is_id
from consent.locking import dialect_of, hold
from consent.models import Agency, ConsentRecord, Purpose, PurposeVersion
from consent.registry.agreement_versions import end_agreement
from consent.registry.models import Agreement, AgreementVersion
from consent.registry.people import Person, person, same_person
from consent.registry.versions import end_version
from consent.statuses import CURRENT
from consent.withdrawal.errors import EndingRefused
from consent.withdrawal.models import Ending
from consent.wording import fault_in
from keys.entropy import Entropy, new_row_id

PURPOSE_VERSION: Final = "purpose_version"
AGREEMENT_VERSION: Final = "agreement_version"
AGENCY: Final = "agency"
CLIENT: Final = "client"
KINDS: Final = (PURPOSE_VERSION, AGREEMENT_VERSION, AGENCY, CLIENT)
LINGERS: Final = timedelta(minutes=2)
_TO_END: Final = sorted({*CURRENT, "requested"})
_STANDING: Final = ("active", "superseded")

ShutsClient = Callable[[AsyncSession, str, str, datetime], Awaitable[bool]]
"""Shuts an app (its id) for a reason, in the caller's transaction. Returns whether it was in use until now."""

EndsTokens = Callable[[AsyncSession, Sequence[str], datetime], Awaitable[None]]
"""Ends what rests on these consents, in the transaction that ended them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What would end: consents in force or paused, and open requests."""

    consents: int
    people: int
    by_app: Mapping[str, int]
    by_agency: Mapping[str, int]
    by_status: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """The counts in plain JSON values."""
        return {
            "consents": self.consents,
            "people": self.people,
            "by_app": dict(self.by_app),
            "by_agency": dict(self.by_agency),
            "by_status": dict(self.by_status),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingView:
    """An ending as it is shown."""

    id: str
    object_kind: str
    object_id: str
    reason: str
    preview: Mapping[str, Any]
    proposed_by: Mapping[str, Any]
    approved_by: Mapping[str, Any] | None
    status: str
    ended: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


async def preview(session: AsyncSession, object_kind: str, object_id: str) -> Preview:
    """How many consents, of how many people, by app, agency (its code) and status. Error: `EndingRefused`."""
    await _must_exist(session, object_kind, object_id)
    rests = _resting_on(object_kind, object_id)
    rows = (
        await session.execute(
            select(ConsentRecord.client_id, Agency.code, ConsentRecord.status, func.count())
            .join(Agency, Agency.id == ConsentRecord.agency_id)
            .where(rests, _open())
            .group_by(ConsentRecord.client_id, Agency.code, ConsentRecord.status)
        )
    ).all()
    people = await session.scalar(select(func.count(ConsentRecord.subject_id.distinct())).where(rests, _open()))
    counts: list[dict[str, int]] = [{}, {}, {}]
    for *names, number in rows:
        for found, name in zip(counts, names, strict=True):
            found[name] = found.get(name, 0) + number
    return Preview(
        consents=sum(counts[2].values()),
        people=people or 0,
        by_app=counts[0],
        by_agency=counts[1],
        by_status=counts[2],
    )


async def propose_ending(
    session: AsyncSession,
    *,
    object_kind: str,
    object_id: str,
    reason: str,
    proposed_by: Person | str,
    now: datetime,
    entropy: Entropy,
) -> EndingView:
    """Proposes an ending, with what it would end. Nothing ends yet. Error: `EndingRefused`."""
    fault = fault_in(reason, most=400, lines=True)
    if fault is not None:
        raise EndingRefused(f"the reason {fault}")
    counted = await preview(session, object_kind, object_id)
    await hold(session, f"ending {object_kind} {object_id}")
    open_one = await session.scalar(
        select(Ending.id).where(
            Ending.object_kind == object_kind,
            Ending.object_id == object_id,
            Ending.status.in_(["proposed", "running"]),
        )
    )
    if open_one is not None:
        raise EndingRefused(f"its ending {open_one} is under way already")
    ending = Ending(
        id=new_row_id(entropy, now),
        object_kind=object_kind,
        object_id=object_id,
        reason=reason,
        preview=counted.as_json(),
        proposed_by=person(proposed_by).as_json(),
        status="proposed",
        ended=0,
        created_at=now,
    )
    session.add(ending)
    await session.flush()
    return _view(ending)


async def approve_ending(
    session: AsyncSession,
    ending_id: str,
    *,
    by: Person | str,
    shut_client: ShutsClient,
    now: datetime,
    entropy: Entropy,
) -> EndingView:
    """Approves an ending: from this commit on nothing flows. The consents follow, batch by batch.

    Errors: `EndingRefused`, also when it is who proposed it; those of the registry when the thing has ended already.
    """
    ending = await _held(session, ending_id, "proposed")
    who = person(by)
    if same_person(Person(ending.proposed_by["name"], ending.proposed_by["account_id"]), who):
        raise EndingRefused(f"{who.name} proposed it: somebody else approves")
    await _end_object(session, ending, who, shut_client=shut_client, now=now, entropy=entropy)
    ending.status, ending.approved_by, ending.started_at = "running", who.as_json(), now
    await session.flush()
    return _view(ending)


async def reject_ending(session: AsyncSession, ending_id: str, *, by: Person | str, now: datetime) -> EndingView:
    """Drops a proposal. Whoever proposed it may take it back. Error: `EndingRefused`."""
    ending = await _held(session, ending_id, "proposed")
    ending.status, ending.approved_by, ending.finished_at = "rejected", person(by).as_json(), now
    await session.flush()
    return _view(ending)


async def list_endings(session: AsyncSession, *, limit: int = 200) -> list[EndingView]:
    """The newest endings first."""
    rows = await session.scalars(
        select(Ending)
        .order_by(Ending.created_at.desc(), Ending.id.desc())
        .limit(limit)
        .execution_options(populate_existing=True)
    )
    return [_view(ending) for ending in rows]


async def ending_by_id(session: AsyncSession, ending_id: str) -> EndingView:
    """One ending. Error: `EndingRefused`."""
    ending = await session.get(Ending, ending_id, populate_existing=True) if is_id(ending_id) else None
    if ending is None:
        raise EndingRefused("there is no such ending")
    return _view(ending)


async def labels(session: AsyncSession, endings: Sequence[EndingView]) -> Mapping[str, str]:
    """What people call the things that end, by their ids: a code, and a version where there are several."""
    ids = {kind: {one.object_id for one in endings if one.object_kind == kind} for kind in KINDS}
    purposes = (
        select(PurposeVersion.id, Purpose.code, PurposeVersion.version)
        .join(Purpose, Purpose.id == PurposeVersion.purpose_id)
        .where(PurposeVersion.id.in_(ids[PURPOSE_VERSION]))
    )
    agreements = (
        select(AgreementVersion.id, Agreement.code, AgreementVersion.version)
        .join(Agreement, Agreement.id == AgreementVersion.agreement_id)
        .where(AgreementVersion.id.in_(ids[AGREEMENT_VERSION]))
    )
    found = {client_id: client_id for client_id in ids[CLIENT]}
    for statement in (purposes, agreements):
        found |= {row.id: f"{row.code} · {row.version}" for row in await session.execute(statement)}
    agencies = await session.execute(select(Agency.id, Agency.code).where(Agency.id.in_(ids[AGENCY])))
    return found | {row.id: row.code for row in agencies}


async def run_endings(
    session: AsyncSession, *, end_tokens: EndsTokens, now: datetime, entropy: Entropy, limit: int
) -> int:
    """Ends at most `limit` consents of what is running, the longest running first. Returns how many.

    Call again, in a transaction of its own, while it returns so many.
    """
    running = await session.scalars(
        select(Ending).where(Ending.status == "running").order_by(Ending.started_at, Ending.id)
    )
    ended = 0
    for ending in running.all():
        ended += await _run_one(session, ending, end_tokens=end_tokens, now=now, entropy=entropy, limit=limit - ended)
        if ended >= limit:
            break
    return ended


async def _run_one(
    session: AsyncSession, ending: Ending, *, end_tokens: EndsTokens, now: datetime, entropy: Entropy, limit: int
) -> int:
    some = (
        select(ConsentRecord.id)
        .where(_resting_on(ending.object_kind, ending.object_id), _open())
        .order_by(ConsentRecord.id)
        .limit(limit)
    )
    if dialect_of(session) == "postgresql":
        # A person who withdraws just now is faster; their consent has ended when the next batch looks.
        some = some.with_for_update(skip_locked=True)
    ids = (await session.scalars(some)).all()
    if not ids:
        assert ending.started_at is not None
        # What somebody else holds just now was passed over, and is not done.
        left = select(ConsentRecord.id).where(_resting_on(ending.object_kind, ending.object_id), _open()).limit(1)
        if now >= ending.started_at + LINGERS and await session.scalar(left) is None:
            await session.execute(update(Ending).where(Ending.id == ending.id).values(status="done", finished_at=now))
        return 0
    assert ending.approved_by is not None
    ended = await revoke_all(
        session,
        consent_ids=ids,
        actor=ending.approved_by["account_id"] or ending.approved_by["name"],
        reason=ending.reason,
        now=now,
        entropy=entropy,
    )
    await end_tokens(session, ended, now)
    await session.execute(update(Ending).where(Ending.id == ending.id).values(ended=Ending.ended + len(ended)))
    return len(ended)


def _open() -> ColumnElement[bool]:
    return ConsentRecord.status.in_(_TO_END) & ConsentRecord.erased_at.is_(None)


def _resting_on(object_kind: str, object_id: str) -> ColumnElement[bool]:
    """The consents that end with it. An agency's are those for its purposes, and those for what it gives."""
    if object_kind == CLIENT:
        return ConsentRecord.client_id == object_id
    if object_kind == PURPOSE_VERSION:
        return ConsentRecord.purpose_version_id == object_id
    if object_kind == AGREEMENT_VERSION:
        return ConsentRecord.agreement_version_id == object_id
    purposes = (
        select(PurposeVersion.id)
        .join(Purpose, Purpose.id == PurposeVersion.purpose_id)
        .where(Purpose.agency_id == object_id)
    )
    return or_(
        ConsentRecord.purpose_version_id.in_(purposes),
        ConsentRecord.agreement_version_id.in_(_agreement_versions_of(object_id)),
    )


def _agreement_versions_of(agency_id: str) -> Any:
    return (
        select(AgreementVersion.id)
        .join(Agreement, Agreement.id == AgreementVersion.agreement_id)
        .where(or_(Agreement.provider_agency_id == agency_id, Agreement.recipient_agency_id == agency_id))
    )


async def _end_object(
    session: AsyncSession, ending: Ending, who: Person, *, shut_client: ShutsClient, now: datetime, entropy: Entropy
) -> None:
    """Writes the status that the gate reads."""
    object_id, reason = ending.object_id, ending.reason
    if ending.object_kind == CLIENT:
        await shut_client(session, object_id, reason, now)
    elif ending.object_kind == PURPOSE_VERSION:
        await end_version(session, object_id, by=who, reason=reason, now=now, entropy=entropy)
    elif ending.object_kind == AGREEMENT_VERSION:
        await end_agreement(session, object_id, by=who, reason=reason, now=now, entropy=entropy)
    else:
        # What it gives to others flows by agreements; what it receives, by being an agency in good standing.
        standing = _agreement_versions_of(object_id).where(AgreementVersion.status.in_(_STANDING))
        for version_id in (await session.scalars(standing)).all():
            await end_agreement(session, version_id, by=who, reason=reason, now=now, entropy=entropy)
        if await session.scalar(select(Agency.status).where(Agency.id == object_id)) == "active":
            await suspend_agency(session, object_id, by=who, reason=reason, now=now, entropy=entropy)


async def _must_exist(session: AsyncSession, object_kind: str, object_id: str) -> None:
    if object_kind not in KINDS:
        raise EndingRefused(f"what ends is one of {', '.join(KINDS)}")
    if object_kind == CLIENT:
        return  # apps are known by their ids only; one that nobody has given anything to ends with nothing
    table: Any = {PURPOSE_VERSION: PurposeVersion, AGREEMENT_VERSION: AgreementVersion, AGENCY: Agency}[object_kind]
    if not is_id(object_id) or await session.get(table, object_id) is None:
        raise EndingRefused(f"there is no {object_kind.replace('_', ' ')} {object_id}")


async def _held(session: AsyncSession, ending_id: str, status: str) -> Ending:
    if not is_id(ending_id):
        raise EndingRefused("there is no such ending")
    await hold(session, f"ending {ending_id}")
    ending = await session.get(Ending, ending_id, populate_existing=True)
    if ending is None:
        raise EndingRefused("there is no such ending")
    if ending.status != status:
        raise EndingRefused(f"the ending is {ending.status}")
    return ending


def _view(ending: Ending) -> EndingView:
    return EndingView(**{name: getattr(ending, name) for name in EndingView.__dataclass_fields__})
