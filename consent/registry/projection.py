"""What the registry's rows must say, if its events are the truth; and whether they do.

Events are appended and chained; rows are changed. So the statuses, and what agencies and items say, are rebuilt from
the events and compared: a row that somebody edited behind the program is found, and can be put right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.agencies import MEMBERS as AGENCY_MEMBERS
from consent.agencies import as_found
from consent.errors import ConsentError
from consent.log.models import LogEntry
from consent.models import Agency, DataAttribute, Purpose, PurposeVersion
from consent.purpose_draft import Draft
from consent.purposes import digest_of
from consent.registry.agreements import digest_of_agreement, list_agreements
from consent.registry.events import (
    AGENCY,
    AGREEMENT_VERSION,
    ATTRIBUTE,
    PURPOSE_VERSION,
    RegistryEntry,
    all_events,
    append_event,
    fault_in_chain,
)
from consent.registry.models import AgreementVersion
from consent.registry.people import Person, person
from consent.vault import vault_of
from keys.entropy import Entropy

# What each event of a version leads to, and after what it may come. `adopted`: was there before events were kept.
_VERSION_STEPS: Final[Mapping[str, tuple[frozenset[str], str | None]]] = {
    "drafted": (frozenset({""}), "draft"),
    "proposed": (frozenset({"", "draft"}), "proposed"),
    "approved": (frozenset({"proposed"}), None),
    "activated": (frozenset({"proposed"}), "active"),
    "rejected": (frozenset({"draft", "proposed"}), "rejected"),
    "superseded": (frozenset({"active"}), "superseded"),
    "ended": (frozenset({"active", "superseded"}), "ended"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Projected:
    """The state of a version that its events add up to."""

    status: str
    activated_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A row, an event or a leaf that is not what it must be."""

    object_kind: str
    object_id: str
    what: str


def rebuild_version(events: Sequence[RegistryEntry]) -> Projected:
    """A purpose's or agreement's version. Error: `ConsentError` when the events tell no possible story."""
    status, activated_at, ended_at = "", None, None
    for event in events:
        if event.kind == "adopted":
            if status:
                raise ConsentError("a version is adopted before anything else happens to it")
            status = str(event.detail["status"])
            continue
        step = _VERSION_STEPS.get(event.kind)
        if step is None or status not in step[0]:
            raise ConsentError(f"event {event.seq}: what is {status or 'nothing'} cannot be {event.kind}")
        status = step[1] or status
        if event.kind == "activated":
            activated_at = event.at
        if event.kind in {"superseded", "ended"}:
            ended_at = ended_at or event.at
    if not status:
        raise ConsentError("nothing ever happened to it")
    return Projected(status=status, activated_at=activated_at, ended_at=ended_at)


def rebuild_agency(events: Sequence[RegistryEntry]) -> tuple[str, Mapping[str, Any]]:
    """An agency's status, and what it says of itself. Error: `ConsentError`."""
    status, said = "", {}
    for event in events:
        begins = event.kind in {"registered", "adopted"}
        if begins is bool(status):
            raise ConsentError(f"event {event.seq}: what is {status or 'nothing'} cannot be {event.kind}")
        if event.kind == "adopted":
            status, said = str(event.detail["status"]), dict(event.detail["said"])
        elif event.kind in {"registered", "changed"}:
            status, said = status or "active", dict(event.detail["said"])
        elif event.kind in {"suspended", "reinstated"}:
            status = "suspended" if event.kind == "suspended" else "active"
        else:
            raise ConsentError(f"event {event.seq}: an agency is never {event.kind}")
    if not status:
        raise ConsentError("nothing ever happened to it")
    return status, said


async def check_registry(session: AsyncSession) -> list[Difference]:
    """Everything in the registry that does not agree with its events: empty if all does."""
    events = await all_events(session)
    found = await _check_events(session, events)
    found += await _check_agencies(session, events)
    found += await _check_attributes(session, events)
    found += await _check_purposes(session, events)
    found += await _check_agreements(session, events)
    return found


async def rebuild(session: AsyncSession) -> int:
    """Writes every version's and agency's status as its events say. Returns how many rows were wrong.

    Only where the chain of events holds: from broken evidence nothing is rebuilt.
    """
    key = vault_of(session).nobodys
    wrong = 0
    for (kind, object_id), events in (await all_events(session)).items():
        if fault_in_chain(events, key) is not None:
            continue
        if kind == AGENCY:
            status, said = rebuild_agency(events)
            values: dict[str, Any] = {"status": status, **{name: said[name] for name in AGENCY_MEMBERS}}
            wrong += await _write(session, Agency, object_id, values)
        elif kind == PURPOSE_VERSION and not _is_adopted(events):
            projected = rebuild_version(events)
            values = {
                "status": projected.status,
                "activated_at": projected.activated_at,
                "ended_at": projected.ended_at,
            }
            wrong += await _write(session, PurposeVersion, object_id, values)
        elif kind in {PURPOSE_VERSION, AGREEMENT_VERSION}:
            table = PurposeVersion if kind == PURPOSE_VERSION else AgreementVersion
            wrong += await _write(session, table, object_id, {"status": rebuild_version(events).status})
    return wrong


async def adopt(session: AsyncSession, *, by: Person | str, now: datetime, entropy: Entropy) -> int:
    """Gives what was there before events were kept its first event. Returns how many things that were."""
    who, events, adopted = person(by), await all_events(session), 0
    for agency in await session.scalars(select(Agency).order_by(Agency.id)):
        if (AGENCY, agency.id) not in events:
            await _adopt(session, AGENCY, agency.id, who, as_found(agency), now, entropy)
            adopted += 1
    versions = await session.execute(select(PurposeVersion.id, PurposeVersion.status, PurposeVersion.digest))
    for version in versions.all():
        if (PURPOSE_VERSION, version.id) not in events:
            detail = {"status": version.status, "digest": version.digest.hex()}
            await _adopt(session, PURPOSE_VERSION, version.id, who, detail, now, entropy)
            adopted += 1
    return adopted


async def _adopt(
    session: AsyncSession, kind: str, object_id: str, who: Person, detail: Any, now: datetime, entropy: Entropy
) -> None:
    await append_event(
        session,
        object_kind=kind,
        object_id=object_id,
        kind="adopted",
        by=who,
        detail=detail,
        now=now,
        entropy=entropy,
    )


def _is_adopted(events: Sequence[RegistryEntry]) -> bool:
    return bool(events) and events[0].kind == "adopted"


async def _write(session: AsyncSession, table: type[Any], object_id: str, values: Mapping[str, Any]) -> int:
    columns = [getattr(table, name) for name in values]
    row = (await session.execute(select(*columns).where(table.id == object_id))).one_or_none()
    if row is None or dict(row._mapping) == dict(values):
        return 0
    await session.execute(update(table).where(table.id == object_id).values(**values))
    return 1


Events = Mapping[tuple[str, str], Sequence[RegistryEntry]]


async def _check_events(session: AsyncSession, events: Events) -> list[Difference]:
    """Every chain holds, and every event is a leaf."""
    key, found = vault_of(session).nobodys, []
    ids = [event.id for chain in events.values() for event in chain]
    leaves: dict[str, bytes] = {}
    for start in range(0, len(ids), 500):
        rows = await session.execute(
            select(LogEntry.id, LogEntry.commitment).where(LogEntry.id.in_(ids[start : start + 500]))
        )
        leaves |= {row.id: row.commitment for row in rows}
    for (kind, object_id), chain in events.items():
        fault = fault_in_chain(chain, key)
        if fault is not None:
            found.append(Difference(kind, object_id, fault))
        found += [
            Difference(kind, object_id, f"event {event.seq} is not what the log has")
            for event in chain
            if leaves.get(event.id) != event.hash
        ]
    return found


async def _check_agencies(session: AsyncSession, events: Events) -> list[Difference]:
    found = []
    for agency in await session.scalars(select(Agency).execution_options(populate_existing=True)):
        chain = events.get((AGENCY, agency.id), ())
        try:
            status, said = rebuild_agency(chain)
        except ConsentError as broken:
            found.append(Difference(AGENCY, agency.code, str(broken)))
            continue
        row = {"code": agency.code, **{name: getattr(agency, name) for name in AGENCY_MEMBERS}}
        if status != agency.status:
            found.append(Difference(AGENCY, agency.code, f"it is {agency.status}, and its events say {status}"))
        found += [
            Difference(AGENCY, agency.code, f"its {name} is not what its events say")
            for name in row
            if row[name] != said.get(name)
        ]
    return found


async def _check_attributes(session: AsyncSession, events: Events) -> list[Difference]:
    found = []
    for item in await session.scalars(select(DataAttribute).execution_options(populate_existing=True)):
        chain = events.get((ATTRIBUTE, item.name), ())
        said = chain[0].detail.get("said") if chain else None
        row = {
            "name": item.name,
            "labels": item.labels,
            "category": item.category,
            "is_specific": item.is_specific,
            "dpv_iri": item.dpv_iri,
            "source_agency_id": item.source_agency_id,
        }
        if said != row:
            found.append(Difference(ATTRIBUTE, item.name, "it is not what its events say"))
    return found


async def _check_purposes(session: AsyncSession, events: Events) -> list[Difference]:
    found = []
    rows = await session.execute(
        select(PurposeVersion, Purpose.code, Purpose.agency_id)
        .join(Purpose, Purpose.id == PurposeVersion.purpose_id)
        .execution_options(populate_existing=True)
    )
    for version, code, agency_id in rows:
        name = f"{code} version {version.version}"
        chain = events.get((PURPOSE_VERSION, version.id), ())
        try:
            projected = rebuild_version(chain)
        except ConsentError as broken:
            found.append(Difference(PURPOSE_VERSION, name, str(broken)))
            continue
        if projected.status != version.status:
            found.append(
                Difference(PURPOSE_VERSION, name, f"it is {version.status}, and its events say {projected.status}")
            )
        written = chain[0].detail
        if written.get("digest") != version.digest.hex():
            found.append(Difference(PURPOSE_VERSION, name, "its digest is not what its events say"))
        if _is_adopted(chain):
            # Its digest is of an earlier program's members, and its times were not kept.
            continue
        if (projected.activated_at, projected.ended_at) != (version.activated_at, version.ended_at):
            found.append(Difference(PURPOSE_VERSION, name, "its times are not what its events say"))
        if written.get("compatible_with") != version.compatible_with:
            found.append(Difference(PURPOSE_VERSION, name, "what it is compatible with is not what its events say"))
        if _digest(version, code, agency_id) != version.digest:
            found.append(Difference(PURPOSE_VERSION, name, "its words are not those of its digest"))
    return found


def _digest(version: PurposeVersion, code: str, agency_id: str) -> bytes:
    draft = Draft.read(
        code=code,
        texts=version.texts,
        items=version.items,
        legal_basis=version.legal_basis,
        legal_citation=version.legal_citation,
        retention_days=version.retention_days,
        validity_days=version.validity_days,
        fetch_type=version.fetch_type,
        use_limit=version.use_limit,
        use_window_days=version.use_window_days,
        terms=version.terms,
    )
    return digest_of(draft, agency_id=agency_id)


async def _check_agreements(session: AsyncSession, events: Events) -> list[Difference]:
    found = []
    for version in await list_agreements(session):
        name = f"{version.code} version {version.version}"
        chain = events.get((AGREEMENT_VERSION, version.id), ())
        try:
            projected = rebuild_version(chain)
        except ConsentError as broken:
            found.append(Difference(AGREEMENT_VERSION, name, str(broken)))
            continue
        if projected.status != version.status:
            found.append(
                Difference(AGREEMENT_VERSION, name, f"it is {version.status}, and its events say {projected.status}")
            )
        computed = digest_of_agreement(
            version.code, version.provider_agency_id, version.recipient_agency_id, version.purpose_id, version.terms
        )
        if computed != version.digest or chain[0].detail.get("digest") != version.digest.hex():
            found.append(Difference(AGREEMENT_VERSION, name, "its words are not those of its digest"))
    return found
